//! The connection to Kinesis: HTTP/1.1, one call at a time, reused from call to call.
//!
//! ureq opens it, through the proxy if there is one. Requests are written and responses read here, because with ureq a live post costs ten system
//! calls, forty allocations and a DNS lookup. Here one system call probes whether the connection is idle, one sends the call, and one receives the
//! response.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::ClientConfig;
use ureq::Error;
use ureq::config::Config;

use crate::net::agent;
use crate::net::answer::{Answer, Head, INPUT_BYTES, MAX_BODY_BYTES, patience};
use crate::net::endpoint::Endpoint;
use crate::net::meter::{Broken, Life, Limits, Meter, Sent};
use crate::net::roots::Roots;
use crate::net::tcp::Direct;
use crate::net::tls::Tls;
use crate::net::unversioned::{ConnectProxyConnector, Connector, Transport};

/// How long an idle connection is kept. AWS closes one after a minute; a new one costs a handshake.
const IDLE: Duration = Duration::from_secs(50);

/// Size of the send buffer. A larger call is sent in several pieces.
const OUTPUT_BYTES: usize = 32 << 10;

/// The connection to one server. It is opened by the first call.
#[derive(Debug)]
pub struct Connection {
    endpoint: Endpoint,
    config: Config,
    /// Holds the TLS session tickets, so it outlives each connection.
    tls: Arc<ClientConfig>,
    meter: Meter,
    kept: Option<Box<dyn Transport>>,
    /// When the last response came.
    used: Instant,
    /// When the newest connection was requested.
    asked: Instant,
    /// Its traffic.
    carried: u64,
    /// Buffer of the response's body, reused.
    body: Vec<u8>,
}

impl Connection {
    /// For calls to the server at `endpoint`, with these trusted `roots` and timeouts.
    pub fn new(endpoint: &Endpoint, roots: &Roots, limits: Limits) -> Self {
        let config = agent::config(endpoint, limits.silence)
            .input_buffer_size(INPUT_BYTES)
            .output_buffer_size(OUTPUT_BYTES)
            .build();
        Self {
            endpoint: endpoint.clone(),
            config,
            tls: roots.client_config(),
            meter: Meter::new(limits),
            kept: None,
            used: Instant::now(),
            asked: Instant::now(),
            carried: 0,
            // Pages that are never written to cost no memory.
            body: Vec::with_capacity(MAX_BODY_BYTES),
        }
    }

    /// Sends a request and reads the response. After an error, the next call opens a new connection.
    ///
    /// # Errors
    ///
    /// The connection could not be opened, or broke, or a timeout passed: see [`Broken`].
    pub fn call(&mut self, head: &[u8], body: &[u8]) -> Result<(Head, &[u8], Sent), Broken> {
        self.meter.begin();
        let kept = self.take_kept();
        if kept.is_none() {
            self.asked = Instant::now();
            self.carried = 0;
        }
        let mut transport = match kept.map_or_else(|| self.connect(), Ok) {
            Ok(transport) => transport,
            Err(error) => return Err(self.meter.broken(error)),
        };
        self.meter.connected();
        let exchanged = self.exchange(&mut *transport, head, body);
        self.carried += self.meter.sent().traffic;
        match exchanged {
            Ok(head) => {
                if !head.closes {
                    self.kept = Some(transport);
                    self.used = Instant::now();
                }
                Ok((head, &self.body, self.meter.sent()))
            }
            Err(error) => Err(self.meter.broken(error)),
        }
    }

    fn exchange(
        &mut self,
        transport: &mut dyn Transport,
        head: &[u8],
        body: &[u8],
    ) -> Result<Head, Error> {
        send(transport, head, body)?;
        let mut answer = Answer(transport);
        let head = answer.head()?;
        // A server may refuse a call before it has received all of it, but it cannot have executed it.
        if head.status < 300 && self.meter.is_early() {
            return Err(io::Error::other("an answer came that belongs to another call").into());
        }
        self.body.clear();
        answer.body(head.length, &mut self.body)?;
        Ok(head)
    }

    /// The traffic of the newest connection, also of one that broke.
    pub fn life(&self) -> Life {
        Life {
            bytes: usize::try_from(self.carried).unwrap_or(usize::MAX),
            time: self.asked.elapsed(),
        }
    }

    /// Closes the connection. The next call does a DNS lookup and connects again.
    pub fn close(&mut self) {
        self.kept = None;
    }

    /// The open connection, unless bytes were left after the last response or came since: they would be taken for the next response.
    fn take_kept(&mut self) -> Option<Box<dyn Transport>> {
        let mut kept = self.kept.take().filter(|_| self.used.elapsed() < IDLE)?;
        let is_quiet = kept.buffers().input().is_empty() && kept.is_open();
        is_quiet.then_some(kept)
    }

    fn connect(&self) -> Result<Box<dyn Transport>, Error> {
        let connector =
            ().chain(ConnectProxyConnector::default())
                .chain(Direct(self.meter.clone()))
                .chain(Tls(self.tls.clone()));
        agent::connect(self.endpoint.uri(), &self.config, Arc::new(connector))
    }
}

fn send(transport: &mut dyn Transport, head: &[u8], body: &[u8]) -> Result<(), Error> {
    let mut parts = [head, body];
    while parts.iter().any(|part| !part.is_empty()) {
        let room = transport.buffers().output();
        let mut filled = 0;
        for part in &mut parts {
            let (now, later) = part.split_at(part.len().min(room.len() - filled));
            room[filled..filled + now.len()].copy_from_slice(now);
            filled += now.len();
            *part = later;
        }
        transport.transmit_output(filled, patience())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
