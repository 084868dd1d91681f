//! A stand-in for Kinesis that costs as little as it can: it takes whatever PutRecord and PutRecords it is sent over TLS, in JSON or in
//! CBOR, in packs or not, and counts.
//!
//! `sink CERTIFICATE` writes the certificate it makes itself (for 127.0.0.1, localhost and 10.0.2.2) to that file and prints its port. Then
//! it is told on standard input, one word a line:
//! - `hold`: read requests, and answer none; `open`: answer again, those that waited first
//! - `limit`: from now on it is one shard that takes what one of Kinesis takes a second, and refuses the rest; `unlimit`: it takes all
//! - `report`: print what came since the last report, as one line of JSON

mod count;
mod kinesis;

use std::io::{BufRead, BufReader, Write, stdin};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use anyhow::{Context, bail};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use testkit::http::Request;
use testkit::tls::self_signed;

use count::{Counted, Counts};
use kinesis::{Answers, Call, Wire};

fn main() -> anyhow::Result<()> {
    let file = std::env::args().nth(1).context("usage: sink CERTIFICATE")?;
    let (config, certificate) = self_signed(&["127.0.0.1", "localhost", "10.0.2.2"]);
    std::fs::write(file, certificate)?;

    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    println!("{}", listener.local_addr()?.port());
    let counts = Arc::new(Counts::default());
    thread::spawn({
        let counts = counts.clone();
        move || accept(&listener, &config, &counts)
    });
    for command in stdin().lock().lines() {
        match command?.as_str() {
            "hold" => counts.hold(true),
            "open" => counts.hold(false),
            "limit" => counts.limit(true),
            "unlimit" => counts.limit(false),
            "report" => println!("{}", counts.report()),
            other => bail!("'{other}' is none of hold, open, limit, unlimit, report"),
        }
    }
    Ok(())
}

fn accept(listener: &TcpListener, config: &Arc<ServerConfig>, counts: &Arc<Counts>) {
    for connection in listener.incoming().flatten() {
        let (config, counts) = (config.clone(), counts.clone());
        counts.connected();
        // A client that goes away, in the middle of a request or not, is no fault of the server.
        thread::spawn(move || serve(connection, config, &counts));
    }
}

fn serve(
    connection: TcpStream,
    config: Arc<ServerConfig>,
    counts: &Arc<Counts>,
) -> anyhow::Result<()> {
    connection.set_nodelay(true)?;
    let mut tls = ServerConnection::new(config)?;
    // A whole answer is one write to the connection.
    tls.set_buffer_limit(None);
    let counted = Counted::new(connection, counts.clone());
    let mut stream = BufReader::with_capacity(64 << 10, StreamOwned::new(tls, counted));
    let mut answers = Answers::default();
    while let Some(request) = Request::read(&mut stream)? {
        let call = Call::of(&request).context("neither PutRecord nor PutRecords")?;
        let wire = Wire::of(&request);
        let taken = counts.arrived(&wire.records(&request.body)?);
        counts.wait_until_open();
        stream.get_mut().write_all(answers.to(call, wire, &taken))?;
        stream.get_mut().flush()?;
    }
    Ok(())
}
