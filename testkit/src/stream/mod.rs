//! A stream of Kinesis over TLS: shards that refuse what is over their limits, and a [`ledger`] of what became of every record.
//!
//! It takes PutRecord and PutRecords. Signatures are not verified; the access key tells the boards apart. Twenty thousand records a second
//! are no trouble for it.

pub mod chain;
pub mod coding;
pub mod ledger;

use std::hash::{DefaultHasher, Hasher};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, ensure};
use rustls::{HandshakeKind, ServerConnection, StreamOwned};
use socket2::SockRef;

use crate::shards::{Limits, Shards, hash};
use chain::Chain;
use coding::{Coding, Fate, Operation};
use ledger::{Counts, Ledger};

/// The largest body of a call.
const MAX_BODY_BYTES: usize = 16 << 20;

/// The largest head of a call.
const MAX_HEAD_BYTES: usize = 16 << 10;

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
}

impl Default for Settings {
    /// One shard, on this machine alone.
    fn default() -> Self {
        Self {
            listen: (Ipv4Addr::LOCALHOST, 0).into(),
            names: ["localhost", "127.0.0.1"].map(str::to_owned).to_vec(),
            chain_bytes: 4 << 10,
            shards: vec![Limits::default()],
        }
    }
}

/// The running stream. Dropped, it closes every connection.
#[derive(Debug)]
pub struct Stream {
    address: SocketAddr,
    listener: Arc<TcpListener>,
    chain: Chain,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
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
    ending: AtomicBool,
}

#[derive(Debug)]
struct State {
    shards: Shards,
    ledger: Ledger,
    carried: Vec<Carried>,
    open: Vec<TcpStream>,
}

impl Stream {
    /// Starts it.
    ///
    /// # Errors
    ///
    /// If it cannot listen there, or has a name that is none.
    pub fn start(settings: &Settings) -> anyhow::Result<Self> {
        let chain = Chain::new(&settings.names, settings.chain_bytes)?;
        let listener = TcpListener::bind(settings.listen)
            .with_context(|| format!("{} is not to be had", settings.listen))?;
        let listener = Arc::new(listener);
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            started: Instant::now(),
            state: Mutex::new(State {
                shards: Shards::new(&settings.shards),
                ledger: Ledger::new(settings.shards.len()),
                carried: Vec::new(),
                open: Vec::new(),
            }),
            ending: AtomicBool::new(false),
        });
        let accepting = thread::spawn({
            let (shared, config) = (Arc::clone(&shared), Arc::clone(&chain.config));
            let listener = Arc::clone(&listener);
            move || {
                for stream in listener.incoming() {
                    if shared.ending.load(Ordering::Acquire) {
                        return;
                    }
                    let (Ok(stream), Ok(tls)) =
                        (stream, ServerConnection::new(Arc::clone(&config)))
                    else {
                        continue;
                    };
                    let shared = Arc::clone(&shared);
                    // A client that goes away, in the middle of a call or not, is no fault of the server.
                    thread::spawn(move || shared.serve(stream, tls));
                }
            }
        });
        Ok(Self {
            address,
            listener,
            chain,
            shared,
            accepting: Some(accepting),
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
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

impl Drop for Stream {
    fn drop(&mut self) {
        self.shared.ending.store(true, Ordering::Release);
        // Wakes the thread that accepts; a connection to it would not, where the server listens in another network namespace.
        let _ = SockRef::from(&*self.listener).shutdown(Shutdown::Both);
        if let Some(accepting) = self.accepting.take() {
            let _ = accepting.join();
        }
        for stream in &self.shared.state().open {
            let _ = stream.shutdown(Shutdown::Both);
        }
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
            // One whose peer is gone has no address any more.
            state.open.retain(|stream| stream.peer_addr().is_ok());
            state.open.push(stream.try_clone()?);
            state.carried.push(Carried::default());
            state.carried.len() - 1
        };
        // A whole answer is one write to the connection.
        tls.set_buffer_limit(None);
        let counted = Counted { stream, bytes: 0 };
        let mut stream = BufReader::with_capacity(64 << 10, StreamOwned::new(tls, counted));
        let (mut head, mut body, mut answer) = (Vec::new(), Vec::new(), Vec::new());
        let mut accepted = Vec::new();
        let mut plain = 0;
        loop {
            let call = read(&mut stream, &mut head, &mut body);
            let tls = stream.get_ref();
            plain += if matches!(call, Ok(Some(_))) {
                head.len() + body.len()
            } else {
                0
            };
            self.state().carried[number] = Carried {
                wire: tls.sock.bytes,
                plain: plain as u64,
                resumed: tls.conn.handshake_kind() == Some(HandshakeKind::Resumed),
            };
            let Some(call) = call? else { return Ok(()) };
            // Who calls again has read the answer before.
            self.state().ledger.known(&accepted);
            accepted.clear();
            self.answer(&call, &body, &mut accepted, &mut answer);
            plain += answer.len();
            stream.get_mut().write_all(&answer)?;
            stream.get_mut().flush()?;
            let tls = stream.get_ref();
            let carried = &mut self.state().carried[number];
            (carried.wire, carried.plain) = (tls.sock.bytes, plain as u64);
        }
    }

    /// Decides about a call's records, and writes the answer; `accepted` are those that were.
    fn answer(&self, call: &Call, body: &[u8], accepted: &mut Vec<u64>, answer: &mut Vec<u8>) {
        let mut text = Vec::new();
        let coding = call.coding.unwrap_or(Coding::Json);
        let status = match self.decide(call, body, accepted) {
            Ok((operation, fates)) => coding.encode(operation, &fates, &mut text),
            Err(error) => {
                coding.encode_error("SerializationException", &error.to_string(), &mut text);
                400
            }
        };
        answer.clear();
        // Writing to memory does not fail.
        let _ = write!(
            answer,
            "HTTP/1.1 {status} {}\r\n\
             x-amzn-RequestId: c1ab2e1d-6b3f-9d3e-9f5c-0d8a5a3cbf0e\r\n\
             x-amz-id-2: 9eX1kJ3xWm7mBLTxvCq3WqB7q3m3ZqXl2yO0g6kq3vYb6mD4s6yNqf3K1wVQmO0bT1tQm1l0f5q=\r\n\
             Date: {}\r\n\
             Content-Type: {}\r\n\
             Content-Length: {}\r\n\r\n",
            if status == 200 { "OK" } else { "Bad Request" },
            httpdate::fmt_http_date(SystemTime::now()),
            coding.content_type(),
            text.len(),
        );
        answer.extend(text);
    }

    fn decide(
        &self,
        call: &Call,
        body: &[u8],
        accepted: &mut Vec<u64>,
    ) -> anyhow::Result<(Operation, Vec<Fate>)> {
        let coding = call
            .coding
            .context("the content type is not one of Kinesis's")?;
        let operation = Operation::of(&call.target)?;
        let puts = coding.decode(operation, body)?;
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
        ledger.call(body.len());
        let fates = identified.into_iter().map(|(record, hash, bytes)| {
            let shard = shards.of(hash);
            if !shards.offer(shard, now, bytes) {
                ledger.refuse(record);
                return Fate::Throttled(shard);
            }
            ledger.accept(record, shard, &call.access_key, now);
            accepted.push(record);
            Fate::Accepted(shard, ledger.counts().sent)
        });
        Ok((operation, fates.collect()))
    }
}

/// What the head of a call says.
struct Call {
    target: String,
    access_key: String,
    coding: Option<Coding>,
}

/// Reads a call; `None` at the connection's end.
fn read(
    stream: &mut impl BufRead,
    head: &mut Vec<u8>,
    body: &mut Vec<u8>,
) -> anyhow::Result<Option<Call>> {
    head.clear();
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read_until(b'\n', head)? == 0 {
            return Ok(None);
        }
        ensure!(
            head.len() <= MAX_HEAD_BYTES,
            "a head of more than {MAX_HEAD_BYTES} bytes"
        );
    }
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut request = httparse::Request::new(&mut headers);
    ensure!(request.parse(head)?.is_complete(), "half a head");
    let header = |name: &str| {
        let found = request
            .headers
            .iter()
            .find(|header| header.name.eq_ignore_ascii_case(name));
        found
            .and_then(|header| str::from_utf8(header.value).ok())
            .unwrap_or_default()
    };
    let length: usize = header("content-length")
        .parse()
        .context("a call without a length")?;
    ensure!(length <= MAX_BODY_BYTES, "a body of {length} bytes");
    let credential = header("authorization")
        .split_once("Credential=")
        .map_or("", |(_, rest)| rest);
    let call = Call {
        target: header("x-amz-target").to_owned(),
        access_key: credential.split('/').next().unwrap_or_default().to_owned(),
        coding: Coding::of(header("content-type")),
    };
    body.resize(length, 0);
    stream.read_exact(body)?;
    Ok(Some(call))
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
