//! A stand-in for Kinesis that costs as little as it can: it takes whatever PutRecord and PutRecords it is sent over TLS, and counts.
//!
//! `sink CERTIFICATE` writes the certificate it makes itself (for 127.0.0.1, localhost and 10.0.2.2) to that file and prints its port. Then
//! it is told on standard input, one word a line:
//! - `hold`: read requests, and answer none; `open`: answer again, those that waited first
//! - `report`: print what came since the last report, as one line of JSON

mod count;
mod http;

use std::io::{BufRead, BufReader, Write, stdin};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use anyhow::{Context, bail};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use count::{Counted, Counts};
use http::Answers;

fn main() -> anyhow::Result<()> {
    let file = std::env::args().nth(1).context("usage: sink CERTIFICATE")?;
    let names = ["127.0.0.1", "localhost", "10.0.2.2"].map(str::to_owned);
    let made = rcgen::generate_simple_self_signed(names)?;
    std::fs::write(file, made.cert.pem())?;
    let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    // Named, for where the SDK's own choice is compiled in too.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)?;

    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    println!("{}", listener.local_addr()?.port());
    let counts = Arc::new(Counts::default());
    thread::spawn({
        let counts = counts.clone();
        move || accept(&listener, &Arc::new(config), &counts)
    });
    for command in stdin().lock().lines() {
        match command?.as_str() {
            "hold" => counts.hold(true),
            "open" => counts.hold(false),
            "report" => println!("{}", counts.report()),
            other => bail!("'{other}' is none of hold, open, report"),
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
    let mut body = Vec::new();
    let mut answers = Answers::default();
    while let Some(call) = http::read(&mut stream, &mut body)? {
        let records = http::records(call, &body);
        counts.arrived(records);
        counts.wait_until_open();
        stream.get_mut().write_all(answers.to(call, records))?;
        stream.get_mut().flush()?;
    }
    Ok(())
}
