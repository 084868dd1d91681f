//! The connection to Kinesis: HTTP/1.1, one call at a time, kept from call to call.
//!
//! ureq makes it: TLS, and the way through a proxy. What goes over it is written and read here: by ureq's own way a live post costs ten
//! system calls, forty allocations and a question to the name server; here one call to the system sends it, and one receives the answer.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use httparse::{EMPTY_HEADER, Status};
use ureq::config::Config;
use ureq::http::Uri;
use ureq::tls::TlsConfig;
use ureq::unversioned::transport::{
    Buffers, ConnectProxyConnector, ConnectionDetails, Connector, Either, LazyBuffers, NextTimeout,
    RustlsConnector, Transport,
};
use ureq::{Error, Timeout};

use crate::net::agent::{self, Roots};

/// The longest silence of a server that still counts as an answer to come.
const SILENCE: Duration = Duration::from_secs(20);

/// How long an idle connection is kept. AWS keeps them a minute; a new one costs a handshake.
const IDLE: Duration = Duration::from_secs(50);

/// A connection used so recently is not asked whether it stands. If it does not, the call fails, and is made again.
const FRESH: Duration = Duration::from_secs(1);

/// What is sent in one piece; a larger call goes in several.
const OUTPUT_BYTES: usize = 32 << 10;

/// What is read at once, and the longest head of an answer: a TLS record at most.
const INPUT_BYTES: usize = 16 << 10;

/// An answer to 500 records takes about 80 KiB; more than this is not Kinesis's.
const MAX_BODY_BYTES: usize = 1 << 20;

/// More headers than any server sends.
const MAX_HEADERS: usize = 64;

/// The way to one server. Nothing is sent before the first call.
#[derive(Debug)]
pub struct Connection {
    uri: Uri,
    config: Config,
    kept: Option<Box<dyn Transport>>,
    /// When the last answer came.
    used: Instant,
    /// The last answer's body; used again for every one.
    body: Vec<u8>,
}

/// What stands before the body of an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// The HTTP status.
    pub status: u16,
    /// The header `x-amzn-errortype`.
    pub error_type: Option<String>,
    /// The header `date`, unless a cache held the answer for a while.
    pub date: Option<String>,
    length: Length,
    /// The connection ends with this answer.
    closes: bool,
}

/// How the end of a body is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Length {
    /// It has so many bytes.
    Known(usize),
    /// It comes in chunks; the last one is empty.
    Chunked,
    /// By the end of the connection.
    #[default]
    ToEnd,
}

impl Connection {
    /// To the server of `uri`, which is trusted by `roots`.
    pub fn new(uri: Uri, roots: &Roots) -> Self {
        let config = agent::config(TlsConfig::builder(), roots, SILENCE)
            .input_buffer_size(INPUT_BYTES)
            .output_buffer_size(OUTPUT_BYTES)
            .build();
        Self {
            uri,
            config,
            kept: None,
            used: Instant::now(),
            // Only what is written to costs memory.
            body: Vec::with_capacity(MAX_BODY_BYTES),
        }
    }

    /// Sends a request, and reads the answer. After an error, whether the server got the request is unknown, and the next call is made
    /// over a new connection.
    pub fn call(&mut self, head: &[u8], body: &[u8]) -> Result<(Head, &[u8]), Error> {
        let mut transport = match self.take_kept() {
            Some(kept) => kept,
            None => self.connect()?,
        };
        send(&mut *transport, head, body)?;
        let mut answer = Answer(&mut *transport);
        let head = answer.head()?;
        self.body.clear();
        answer.body(head.length, &mut self.body)?;
        if !head.closes && head.length != Length::ToEnd {
            self.kept = Some(transport);
            self.used = Instant::now();
        }
        Ok((head, &self.body))
    }

    /// Leaves the kept connection: the next call looks the name up and connects anew.
    pub fn close(&mut self) {
        self.kept = None;
    }

    fn take_kept(&mut self) -> Option<Box<dyn Transport>> {
        let idle = self.used.elapsed();
        let mut kept = self.kept.take().filter(|_| idle < IDLE)?;
        (idle < FRESH || kept.is_open()).then_some(kept)
    }

    fn connect(&self) -> Result<Box<dyn Transport>, Error> {
        let connector =
            ().chain(ConnectProxyConnector::default())
                .chain(Direct)
                .chain(RustlsConnector::default());
        agent::connect(&self.uri, &self.config, Arc::new(connector))
    }
}

fn patience() -> NextTimeout {
    NextTimeout {
        per_read: Some(SILENCE.into()),
        per_write: Some(SILENCE.into()),
        ..NextTimeout::default()
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

/// An answer as it comes.
struct Answer<'a>(&'a mut dyn Transport);

impl Answer<'_> {
    fn head(&mut self) -> Result<Head, Error> {
        loop {
            let head = self.next(parse_head)?;
            // Others, such as "100 Continue", come before the answer.
            if head.status >= 200 {
                return Ok(head);
            }
        }
    }

    fn body(&mut self, length: Length, body: &mut Vec<u8>) -> Result<(), Error> {
        match length {
            Length::Known(length) => self.bytes(length, body),
            Length::Chunked => loop {
                let length = self.next(parse_chunk_size)?;
                self.bytes(length, body)?;
                self.next(parse_chunk_end)?;
                if length == 0 {
                    return Ok(());
                }
            },
            Length::ToEnd => match self.bytes(MAX_BODY_BYTES, body) {
                Err(Error::Io(error)) if error.kind() == ErrorKind::UnexpectedEof => Ok(()),
                result => result,
            },
        }
    }

    /// Appends `length` bytes to `body`; those that come before an error, too.
    fn bytes(&mut self, length: usize, body: &mut Vec<u8>) -> Result<(), Error> {
        let end = body.len().saturating_add(length);
        if end > MAX_BODY_BYTES {
            return Err(not_http("it is longer than any of Kinesis"));
        }
        while body.len() < end {
            self.next(|input| {
                let count = input.len().min(end - body.len());
                body.extend_from_slice(&input[..count]);
                Ok((count > 0).then_some((count, ())))
            })?;
        }
        Ok(())
    }

    /// Has `parse` look at what came. It says how many bytes it takes and what they are, or `None` for more of them.
    fn next<T>(
        &mut self,
        mut parse: impl FnMut(&[u8]) -> Result<Option<(usize, T)>, Error>,
    ) -> Result<T, Error> {
        let Self(transport) = self;
        loop {
            if let Some((count, parsed)) = parse(transport.buffers().input())? {
                transport.buffers().input_consume(count);
                return Ok(parsed);
            }
            if !transport.await_input(patience())? {
                return Err(io::Error::from(ErrorKind::UnexpectedEof).into());
            }
        }
    }
}

fn not_http(why: &str) -> Error {
    let what = format!("what came is no answer: {why}");
    io::Error::new(ErrorKind::InvalidData, what).into()
}

fn parse_head(input: &[u8]) -> Result<Option<(usize, Head)>, Error> {
    let mut headers = [EMPTY_HEADER; MAX_HEADERS];
    let mut answer = httparse::Response::new(&mut headers);
    let bytes = match answer.parse(input) {
        Ok(Status::Complete(bytes)) => bytes,
        Ok(Status::Partial) if input.len() < INPUT_BYTES => return Ok(None),
        Ok(Status::Partial) => return Err(not_http("its head is too long")),
        Err(error) => return Err(not_http(&error.to_string())),
    };
    let mut head = Head {
        status: answer.code.unwrap_or_default(),
        // HTTP/1.0
        closes: answer.version == Some(0),
        ..Head::default()
    };
    let mut is_cached = false;
    for header in answer.headers.iter() {
        let value = std::str::from_utf8(header.value).unwrap_or_default();
        let is = |name: &str| header.name.eq_ignore_ascii_case(name);
        if is("content-length") && head.length == Length::ToEnd {
            let length = value.parse();
            head.length = Length::Known(length.map_err(|_| not_http("its length is no number"))?);
        } else if is("transfer-encoding") && value.eq_ignore_ascii_case("chunked") {
            head.length = Length::Chunked;
        } else if is("connection") {
            head.closes |= value.eq_ignore_ascii_case("close");
        } else if is("x-amzn-errortype") {
            head.error_type = Some(value.to_owned());
        } else if is("date") {
            head.date = Some(value.to_owned());
        } else if is("age") {
            is_cached = true;
        }
    }
    if matches!(head.status, 100..=199 | 204 | 304) {
        head.length = Length::Known(0);
    }
    head.date = head.date.filter(|_| !is_cached);
    Ok(Some((bytes, head)))
}

fn parse_chunk_size(input: &[u8]) -> Result<Option<(usize, usize)>, Error> {
    match httparse::parse_chunk_size(input) {
        Ok(Status::Complete((bytes, size))) => {
            Ok(Some((bytes, usize::try_from(size).unwrap_or(usize::MAX))))
        }
        Ok(Status::Partial) => Ok(None),
        Err(_) => Err(not_http("a chunk has no length")),
    }
}

fn parse_chunk_end(input: &[u8]) -> Result<Option<(usize, ())>, Error> {
    match input {
        [b'\r', b'\n', ..] => Ok(Some((2, ()))),
        [] | [b'\r'] => Ok(None),
        _ => Err(not_http("a chunk has no end")),
    }
}

/// Connects to the first address that answers, unless a proxy's connection is there already.
#[derive(Debug)]
struct Direct;

impl<In: Transport> Connector<In> for Direct {
    type Out = Either<In, Tcp>;

    fn connect(
        &self,
        details: &ConnectionDetails,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, Error> {
        if let Some(connected) = chained {
            return Ok(Some(Either::A(connected)));
        }
        let share = *details.timeout.after / (details.addrs.len() as u32).max(1);
        let mut result = Err(Error::HostNotFound);
        for address in details.addrs.iter() {
            result = match TcpStream::connect_timeout(address, share) {
                Ok(stream) => return Tcp::new(stream).map(|tcp| Some(Either::B(tcp))),
                Err(error) if error.kind() == ErrorKind::TimedOut => {
                    Err(Error::Timeout(Timeout::Connect))
                }
                Err(error) => Err(error.into()),
            };
        }
        result
    }
}

/// A TCP connection that sends when its buffer is full, or an answer is waited for.
#[derive(Debug)]
struct Tcp {
    stream: TcpStream,
    gathered: Gathered,
    /// The socket's timeouts, as they were set last.
    read_timeout: Option<Duration>,
    write_timeout: Option<Duration>,
}

impl Tcp {
    fn new(stream: TcpStream) -> Result<Self, Error> {
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            gathered: Gathered {
                buffers: LazyBuffers::new(INPUT_BYTES, OUTPUT_BYTES),
                waiting: 0,
            },
            read_timeout: None,
            write_timeout: None,
        })
    }

    fn send(&mut self, timeout: NextTimeout) -> Result<(), Error> {
        let waiting = std::mem::take(&mut self.gathered.waiting);
        if waiting == 0 {
            return Ok(());
        }
        let timeout = timeout.for_write();
        let limit = timeout.not_zero().map(|limit| *limit);
        if limit != self.write_timeout {
            self.stream.set_write_timeout(limit)?;
            self.write_timeout = limit;
        }
        let bytes = &self.gathered.buffers.output()[..waiting];
        let sent = self.stream.write_all(bytes);
        sent.map_err(|error| told(error, timeout))
    }
}

impl Transport for Tcp {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.gathered
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        self.gathered.waiting += amount;
        match self.gathered.output() {
            [] => self.send(timeout),
            _ => Ok(()),
        }
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        self.send(timeout)?;
        let timeout = timeout.for_read();
        let limit = timeout.not_zero().map(|limit| *limit);
        if limit != self.read_timeout {
            self.stream.set_read_timeout(limit)?;
            self.read_timeout = limit;
        }
        let buffers = &mut self.gathered.buffers;
        let count = loop {
            match self.stream.read(buffers.input_append_buf()) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                result => break result.map_err(|error| told(error, timeout))?,
            }
        };
        buffers.input_appended(count);
        Ok(count > 0)
    }

    fn is_open(&mut self) -> bool {
        is_quiet(&self.stream).unwrap_or(false)
    }
}

/// Whether the other end has neither closed the connection nor sent what nobody asked for.
fn is_quiet(mut stream: &TcpStream) -> io::Result<bool> {
    stream.set_nonblocking(true)?;
    let read = stream.read(&mut [0]);
    stream.set_nonblocking(false)?;
    Ok(read.is_err_and(|error| error.kind() == ErrorKind::WouldBlock))
}

fn told(error: io::Error, timeout: NextTimeout) -> Error {
    match error.kind() {
        // Which of the two says that the time is over depends on the system.
        ErrorKind::WouldBlock | ErrorKind::TimedOut => Error::Timeout(timeout.reason),
        _ => error.into(),
    }
}

/// Buffers that gather their output until it is sent.
#[derive(Debug)]
struct Gathered {
    buffers: LazyBuffers,
    /// Bytes at the beginning of the output that are to be sent.
    waiting: usize,
}

impl Buffers for Gathered {
    fn output(&mut self) -> &mut [u8] {
        &mut self.buffers.output()[self.waiting..]
    }

    fn tmp_and_output(&mut self) -> (&mut [u8], &mut [u8]) {
        let (tmp, output) = self.buffers.tmp_and_output();
        (tmp, &mut output[self.waiting..])
    }

    fn input(&self) -> &[u8] {
        self.buffers.input()
    }

    fn input_append_buf(&mut self) -> &mut [u8] {
        self.buffers.input_append_buf()
    }

    fn input_appended(&mut self, amount: usize) {
        self.buffers.input_appended(amount);
    }

    fn input_consume(&mut self, amount: usize) {
        self.buffers.input_consume(amount);
    }

    fn can_use_input(&self) -> bool {
        self.buffers.can_use_input()
    }
}

#[cfg(test)]
mod tests;
