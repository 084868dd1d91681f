//! An HTTP proxy for what is encrypted.

use std::io::{self, BufReader, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use crate::http::Request;
use crate::server::Server;

/// A proxy that connects anyone to anywhere on this machine, and notes where to.
#[derive(Debug)]
pub struct Proxy {
    server: Server,
    targets: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    /// Starts it.
    ///
    /// # Errors
    /// No port can be had.
    pub fn start() -> io::Result<Self> {
        let targets = Arc::new(Mutex::new(Vec::new()));
        let noted = targets.clone();
        let server = Server::start(move |client| {
            // An end that goes away is no matter of the proxy's.
            let _ = connect(&client, &noted);
        })?;
        Ok(Self { server, targets })
    }

    /// For HTTPS_PROXY.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// Whom it connected to so far, as in `localhost:443`.
    pub fn targets(&self) -> Vec<String> {
        let targets = self.targets.lock();
        targets.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn connect(mut client: &TcpStream, noted: &Mutex<Vec<String>>) -> io::Result<()> {
    let mut from_client = BufReader::new(client);
    let Some(Request { target, .. }) = Request::read(&mut from_client)? else {
        return Ok(());
    };
    let server = TcpStream::connect(target.replace("localhost", "127.0.0.1"))?;
    let mut targets = noted.lock().unwrap_or_else(PoisonError::into_inner);
    targets.push(target);
    drop(targets);
    client.write_all(b"HTTP/1.1 200 Connected\r\n\r\n")?;
    thread::scope(|scope| {
        scope.spawn(|| {
            let _ = io::copy(&mut from_client, &mut &server);
            let _ = server.shutdown(std::net::Shutdown::Write);
        });
        let ended = io::copy(&mut &server, &mut client).map(drop);
        let _ = client.shutdown(std::net::Shutdown::Both);
        ended
    })
}
