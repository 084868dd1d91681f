//! An HTTP server whose responses the test decides, and which records the requests.

use std::io::{BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::PATIENCE;
use crate::http::{Answer, Request};
use crate::server::Server;

/// Serves until dropped.
#[derive(Debug)]
pub struct Web {
    server: Server,
    seen: Arc<Seen>,
    scheme: &'static str,
}

#[derive(Debug, Default)]
struct Seen {
    requests: Mutex<Vec<Request>>,
    changed: Condvar,
}

impl Web {
    /// Passes each request and its connection to `handle`, which returns whether the connection stays open for another request.
    ///
    /// # Panics
    /// No port can be had.
    pub fn start(
        handle: impl Fn(&Request, &mut TcpStream) -> bool + Send + Sync + 'static,
    ) -> Self {
        let seen = Arc::new(Seen::default());
        let ours = seen.clone();
        let server = Server::start(move |stream| ours.serve(stream, &handle)).expect("a port");
        Self {
            server,
            seen,
            scheme: "http",
        }
    }

    /// Answers each request with `answer`. A response without a date gets the current one.
    ///
    /// # Panics
    /// No port can be had.
    pub fn answering(answer: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        Self::start(move |request, stream| answer(request).dated().write(stream).is_ok())
    }

    /// The same over TLS, with a certificate for localhost.
    ///
    /// # Panics
    /// No port can be had.
    pub fn encrypted(
        config: Arc<ServerConfig>,
        answer: impl Fn(&Request) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let seen = Arc::new(Seen::default());
        let ours = seen.clone();
        let server = Server::start(move |stream| {
            let Ok(connection) = ServerConnection::new(config.clone()) else {
                return;
            };
            let encrypted = StreamOwned::new(connection, stream);
            ours.serve(encrypted, &|request, stream| {
                answer(request).dated().write(stream).is_ok()
            });
        });
        Self {
            server: server.expect("a port"),
            seen,
            scheme: "https",
        }
    }

    /// Its address.
    pub fn url(&self) -> String {
        let host = match self.scheme {
            "https" => "localhost",
            _ => "127.0.0.1",
        };
        format!("{}://{host}:{}", self.scheme, self.server.address().port())
    }

    /// The requests so far.
    pub fn requests(&self) -> Vec<Request> {
        self.seen.requests().clone()
    }

    /// Waits for the `nth` request, counted from 1, whose target begins with `target`.
    ///
    /// # Panics
    /// It does not come for a long time.
    pub fn wait_for(&self, nth: usize, target: &str) -> Request {
        let matching = |seen: &Vec<Request>| {
            let mut matching = seen
                .iter()
                .filter(|request| request.target.starts_with(target));
            matching.nth(nth - 1).cloned()
        };
        let (seen, _) = self
            .seen
            .changed
            .wait_timeout_while(self.seen.requests(), PATIENCE, |seen| {
                matching(seen).is_none()
            })
            .unwrap_or_else(PoisonError::into_inner);
        matching(&seen).unwrap_or_else(|| panic!("no request {nth} for {target} among {seen:#?}"))
    }
}

impl Seen {
    fn requests(&self) -> MutexGuard<'_, Vec<Request>> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Serves one connection, until either side closes it.
    fn serve<S: Read + Write>(&self, stream: S, handle: &dyn Fn(&Request, &mut S) -> bool) {
        let mut stream = BufReader::new(stream);
        while let Ok(Some(request)) = Request::read(&mut stream) {
            self.requests().push(request.clone());
            self.changed.notify_all();
            if !handle(&request, stream.get_mut()) {
                return;
            }
        }
    }
}

/// Begins a response with a chunked body.
pub fn begin_stream(stream: &mut TcpStream) {
    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
}

/// Sends one chunk of the body. False if the peer is gone.
pub fn chunk(stream: &mut TcpStream, data: &[u8]) -> bool {
    let mut bytes = format!("{:x}\r\n", data.len()).into_bytes();
    bytes.extend_from_slice(data);
    bytes.extend_from_slice(b"\r\n");
    stream.write_all(&bytes).is_ok()
}

/// Waits until the other side closes the connection.
pub fn wait_for_close(stream: &mut TcpStream) {
    let mut byte = [0];
    while matches!(stream.read(&mut byte), Ok(1..)) {}
}
