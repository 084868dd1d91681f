//! A stream of Kinesis over TLS: shards that refuse what is over their limits, and a [`ledger`] of what became of every record.
//!
//! It takes PutRecord and PutRecords, at one [`door`](Door) or several that can be shut. Signatures are not verified; the access key tells the boards apart. Twenty thousand records a second
//! are no trouble for it.

pub mod chain;
pub mod coding;
mod door;
pub mod ledger;

use std::hash::{DefaultHasher, Hasher};
use std::io::{self, BufReader, Read, Write};
use std::iter;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context;
use rustls::{HandshakeKind, ServerConnection, StreamOwned};

use crate::http::{Answer, Request};
use crate::shards::{Limits, Shards, hash};
use chain::Chain;
use coding::{Coding, Fate, Operation};
pub use door::Door;
use ledger::{Counts, Ledger};

/// What the stream is like.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where it listens.
    pub listen: SocketAddr,
    /// What its certificate says it is called.
    pub names: Vec<String>,
    /// About how long its certificates are together, in bytes.
    pub chain_bytes: usize,
    /// What each shard takes.
    pub shards: Vec<Limits>,
    /// How many ports it has beside the first: networks of their own, each to be cut alone.
    pub more_doors: usize,
}

impl Default for Settings {
    /// One shard, on this machine alone.
    fn default() -> Self {
        Self {
            listen: (Ipv4Addr::LOCALHOST, 0).into(),
            names: ["localhost", "127.0.0.1"].map(str::to_owned).to_vec(),
            chain_bytes: 4 << 10,
            shards: vec![Limits::default()],
            more_doors: 0,
        }
    }
}

/// The running stream. Dropped, it closes every connection.
#[derive(Debug)]
pub struct Stream {
    doors: Vec<Door>,
    chain: Chain,
    shared: Arc<Shared>,
}

/// What one connection carried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Carried {
    /// Bytes of TLS, both ways.
    pub wire: u64,
    /// Bytes of HTTP in them, both ways. What is beside them is nearly all handshake and tickets.
    pub plain: u64,
    /// It resumed an earlier session.
    pub resumed: bool,
}

#[derive(Debug)]
struct Shared {
    started: Instant,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    shards: Shards,
    ledger: Ledger,
    carried: Vec<Carried>,
}

impl Stream {
    /// Starts it.
    ///
    /// # Errors
    ///
    /// If it cannot listen there, or has a name that is none.
    pub fn start(settings: &Settings) -> anyhow::Result<Self> {
        let chain = Chain::new(&settings.names, settings.chain_bytes)?;
        let shared = Arc::new(Shared {
            started: Instant::now(),
            state: Mutex::new(State {
                shards: Shards::new(&settings.shards),
                ledger: Ledger::new(settings.shards.len()),
                carried: Vec::new(),
            }),
        });
        let another = SocketAddr::new(settings.listen.ip(), 0);
        let addresses =
            iter::once(settings.listen).chain(iter::repeat_n(another, settings.more_doors));
        let open = |address| {
            let (shared, config) = (Arc::clone(&shared), Arc::clone(&chain.config));
            Door::open(address, move |stream| {
                // A client that goes away, in the middle of a call or not, is no fault of the server.
                let _ = ServerConnection::new(Arc::clone(&config))
                    .map_err(anyhow::Error::from)
                    .and_then(|tls| shared.serve(stream, tls));
            })
        };
        Ok(Self {
            doors: addresses.map(open).collect::<Result<_, _>>()?,
            chain,
            shared,
        })
    }

    /// Where it listens; the first of its doors.
    pub fn address(&self) -> SocketAddr {
        self.doors[0].address()
    }

    /// Its doors, the first one first.
    pub fn doors(&self) -> &[Door] {
        &self.doors
    }

    /// The authority to trust, as PEM.
    pub fn authority(&self) -> &str {
        &self.chain.authority
    }

    /// What it counted so far. Times are counted from its start.
    pub fn counts(&self) -> Counts {
        self.shared.state().ledger.counts().clone()
    }

    /// The connections in the order in which they came.
    pub fn carried(&self) -> Vec<Carried> {
        self.shared.state().carried.clone()
    }

    /// The time since its start.
    pub fn now(&self) -> Duration {
        self.shared.started.elapsed()
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Serves one connection until its end.
    fn serve(&self, stream: TcpStream, mut tls: ServerConnection) -> anyhow::Result<()> {
        stream.set_nodelay(true)?;
        let number = {
            let mut state = self.state();
            state.ledger.connection(self.started.elapsed());
            state.carried.push(Carried::default());
            state.carried.len() - 1
        };
        // A whole answer is one write to the connection.
        tls.set_buffer_limit(None);
        let counted = Counted { stream, bytes: 0 };
        let mut stream = BufReader::with_capacity(64 << 10, StreamOwned::new(tls, counted));
        let mut accepted = Vec::new();
        let mut plain = 0;
        loop {
            let request = Request::read(&mut stream);
            if let Ok(Some(request)) = &request {
                plain += request.head.len() + request.body.len();
            }
            let tls = stream.get_ref();
            self.state().carried[number] = Carried {
                wire: tls.sock.bytes,
                plain: plain as u64,
                resumed: tls.conn.handshake_kind() == Some(HandshakeKind::Resumed),
            };
            let Some(request) = request? else {
                return Ok(());
            };
            // Who calls again has read the answer before.
            self.state().ledger.known(&accepted);
            accepted.clear();
            let answer = self.answer(&request, &mut accepted).to_bytes();
            plain += answer.len();
            stream.get_mut().write_all(&answer)?;
            stream.get_mut().flush()?;
            let tls = stream.get_ref();
            let carried = &mut self.state().carried[number];
            (carried.wire, carried.plain) = (tls.sock.bytes, plain as u64);
        }
    }

    /// Decides about a call's records; `accepted` are those that were.
    fn answer(&self, request: &Request, accepted: &mut Vec<u64>) -> Answer {
        let asked_in = request.header("content-type").and_then(Coding::of);
        let coding = asked_in.unwrap_or(Coding::Json);
        let mut body = Vec::new();
        let status = match self.decide(request, asked_in, accepted) {
            Ok((operation, fates)) => coding.encode(operation, &fates, &mut body),
            Err(error) => {
                coding.encode_error("SerializationException", &error.to_string(), &mut body);
                400
            }
        };
        Answer::new(status, body)
            .with("x-amzn-RequestId", "c1ab2e1d-6b3f-9d3e-9f5c-0d8a5a3cbf0e")
            .with(
                "x-amz-id-2",
                "9eX1kJ3xWm7mBLTxvCq3WqB7q3m3ZqXl2yO0g6kq3vYb6mD4s6yNqf3K1wVQmO0bT1tQm1l0f5q=",
            )
            .with("Content-Type", coding.content_type())
            .dated()
    }

    fn decide(
        &self,
        request: &Request,
        coding: Option<Coding>,
        accepted: &mut Vec<u64>,
    ) -> anyhow::Result<(Operation, Vec<Fate>)> {
        let coding = coding.context("the content type is not one of Kinesis's")?;
        let operation = Operation::of(request.header("x-amz-target").unwrap_or_default())?;
        let puts = coding.decode(operation, &request.body)?;
        let identified: Vec<_> = puts
            .iter()
            .map(|put| {
                let mut hasher = DefaultHasher::new();
                hasher.write(&put.data);
                let hash = put.explicit_hash.unwrap_or_else(|| hash(&put.key));
                (hasher.finish(), hash, put.data.len() + put.key.len())
            })
            .collect();
        let now = self.started.elapsed();
        let State { shards, ledger, .. } = &mut *self.state();
        ledger.call(request.body.len(), now);
        let fates = identified.into_iter().map(|(record, hash, bytes)| {
            let shard = shards.of(hash);
            if !shards.offer(shard, now, bytes) {
                ledger.refuse(record, now);
                return Fate::Throttled(shard);
            }
            ledger.accept(record, shard, access_key(request), now);
            accepted.push(record);
            Fate::Accepted(shard, ledger.counts().sent)
        });
        Ok((operation, fates.collect()))
    }
}

/// The access key of a signed request; empty if it has none.
fn access_key(request: &Request) -> &str {
    let credential = request
        .header("authorization")
        .and_then(|header| header.split_once("Credential="));
    let (_, credential) = credential.unwrap_or_default();
    credential.split('/').next().unwrap_or_default()
}

/// A connection whose bytes are counted, both ways.
struct Counted {
    stream: TcpStream,
    bytes: u64,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.stream.read(buffer)?;
        self.bytes += read as u64;
        Ok(read)
    }
}

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.stream.write(bytes)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}
