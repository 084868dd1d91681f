//! A Kinesis of the tests' own, over real sockets, that does to each call what the test says.

use std::collections::VecDeque;
use std::io::{BufReader, Read, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};

use crate::cbor;
use crate::http::{Answer, Request};
use crate::pack;
use crate::server::Server;

/// What the server does with one call.
#[derive(Debug)]
pub enum Reply {
    /// Takes every record.
    Accept,
    /// Takes every record, and closes the connection without an answer.
    AcceptAndCut,
    /// Takes every record, and answers only half.
    AcceptAndAnswerHalf,
    /// Takes those for which the answer is true; the others fail with this code.
    AcceptSome(fn(usize) -> bool, &'static str),
    /// The same, said of each record in its place.
    AcceptThese(Vec<bool>, &'static str),
    /// Answers with this status and body, in the way the call is written.
    Error(u16, Value),
    /// Answers with this status and text, however the call is written.
    Answer(u16, String),
}

impl Reply {
    /// Answers with an error code as Kinesis does.
    pub fn error(status: u16, code: &str) -> Self {
        Self::Error(
            status,
            json!({"__type": code, "message": "as the test says"}),
        )
    }

    /// Refuses a record as Kinesis does: by naming what of it is wrong, `partitionKey` or `data`.
    pub fn refusal(member: &str) -> Self {
        let message = format!(
            "1 validation error detected: Value at '{member}' failed to satisfy constraint"
        );
        let body = json!({"__type": "ValidationException", "message": message});
        Self::Answer(400, body.to_string())
    }
}

/// One record of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Put {
    /// Its partition key.
    pub key: String,
    /// Its data, decoded; those of a pack are its posts, each with its newline.
    pub data: String,
    /// The bytes of a pack as they came.
    pub pack: Option<Vec<u8>>,
    /// The number of the record it must come after.
    pub after: Option<String>,
}

impl Put {
    /// The posts in it: one, or those of the pack.
    pub fn posts(&self) -> Vec<String> {
        match self.pack {
            None => vec![self.data.clone()],
            Some(_) => self.data.lines().map(str::to_owned).collect(),
        }
    }
}

/// One call.
#[derive(Clone, Debug)]
pub struct Call {
    /// Such as `Kinesis_20131202.PutRecord`.
    pub target: String,
    /// The access key that signed it, without the signature.
    pub authorization: String,
    /// When it was signed, as in `20260115T103500Z`.
    pub signed_at: String,
    /// It is written in CBOR, not in JSON.
    pub is_cbor: bool,
    /// Its records.
    pub puts: Vec<Put>,
}

type Decide = dyn Fn(usize, &Call) -> Reply + Send + Sync;

/// The server, and what it saw. Ends, with every connection, when dropped.
#[derive(Debug)]
pub struct Kinesis {
    server: Server,
    seen: Arc<Seen>,
}

impl Kinesis {
    /// Starts a server that asks `decide` about each call, numbered from 0.
    ///
    /// # Panics
    /// No port can be had.
    pub fn start(decide: impl Fn(usize, &Call) -> Reply + Send + Sync + 'static) -> Self {
        let seen = Seen::new(decide);
        let ours = seen.clone();
        let server = Server::start(move |stream| ours.serve(stream)).expect("a port");
        Self { server, seen }
    }

    /// A server that takes everything, over TLS, as localhost.
    ///
    /// # Panics
    /// No port can be had.
    pub fn encrypted(config: Arc<ServerConfig>) -> Self {
        let seen = Seen::new(|_, _| Reply::Accept);
        let ours = seen.clone();
        let server = Server::start(move |stream| {
            if let Ok(connection) = ServerConnection::new(config.clone()) {
                ours.serve(StreamOwned::new(connection, stream));
            }
        });
        let server = server.expect("a port");
        Self { server, seen }
    }

    /// A server that answers with these in turn, then takes everything.
    ///
    /// # Panics
    /// No port can be had.
    pub fn scripted(replies: impl IntoIterator<Item = Reply>) -> Self {
        let replies = Mutex::new(replies.into_iter().collect::<VecDeque<_>>());
        Self::start(move |_, _| lock(&replies).pop_front().unwrap_or(Reply::Accept))
    }

    /// Its address, in the clear.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.server.address().port()
    }

    /// How many connections there were.
    pub fn connections(&self) -> u64 {
        self.server.accepted()
    }

    /// The calls so far.
    pub fn calls(&self) -> Vec<Call> {
        lock(&self.seen.calls).clone()
    }

    /// The records it took, in order.
    pub fn taken(&self) -> Vec<Put> {
        lock(&self.seen.taken).clone()
    }

    /// How many records it took.
    pub fn count(&self) -> usize {
        lock(&self.seen.taken).len()
    }

    /// The posts in the records it took, in order.
    pub fn data(&self) -> Vec<String> {
        self.taken().iter().flat_map(Put::posts).collect()
    }
}

/// What all connections share.
struct Seen {
    calls: Mutex<Vec<Call>>,
    taken: Mutex<Vec<Put>>,
    decide: Box<Decide>,
}

impl std::fmt::Debug for Seen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Seen")
            .field("calls", &self.calls)
            .finish_non_exhaustive()
    }
}

impl Seen {
    fn new(decide: impl Fn(usize, &Call) -> Reply + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self {
            calls: Mutex::default(),
            taken: Mutex::default(),
            decide: Box::new(decide),
        })
    }

    /// Serves until the client, or a decision, ends the connection.
    fn serve(&self, stream: impl Read + Write) {
        let mut stream = BufReader::new(stream);
        while let Ok(Some(request)) = Request::read(&mut stream) {
            let call = Call::from(&request);
            let number = {
                let mut calls = lock(&self.calls);
                calls.push(call.clone());
                calls.len() - 1
            };
            let reply = (self.decide)(number, &call);
            let all: fn(usize) -> bool = |_| true;
            let success = |which: &dyn Fn(usize) -> bool, code| {
                call.write(&call.success(&self.accept(&call, which), code))
            };
            let (status, body, part) = match reply {
                Reply::Accept => (200, success(&all, ""), 1.0),
                Reply::AcceptAndCut => {
                    self.accept(&call, all);
                    return;
                }
                Reply::AcceptAndAnswerHalf => (200, success(&all, ""), 0.5),
                Reply::AcceptSome(which, code) => (200, success(&which, code), 1.0),
                Reply::AcceptThese(which, code) => (200, success(&|index| which[index], code), 1.0),
                Reply::Error(status, body) => (status, call.write(&body), 1.0),
                Reply::Answer(status, body) => (status, Answer::new(status, body), 1.0),
            };
            let body = Answer { status, ..body };
            let bytes = body.clone().dated().to_bytes();
            let end = bytes.len() - (body.body.len() as f64 * (1.0 - part)) as usize;
            let sent = stream
                .get_mut()
                .write_all(&bytes[..end])
                .and_then(|()| stream.get_mut().flush());
            if sent.is_err() || end < bytes.len() {
                return;
            }
        }
    }

    /// Takes the records for whose place `which` is true: the numbers they get.
    fn accept(&self, call: &Call, which: impl Fn(usize) -> bool) -> Vec<Option<String>> {
        let mut taken = lock(&self.taken);
        let mut numbers = Vec::new();
        for (index, put) in call.puts.iter().enumerate() {
            numbers.push(which(index).then(|| {
                taken.push(put.clone());
                taken.len().to_string()
            }));
        }
        numbers
    }
}

impl From<&Request> for Call {
    /// # Panics
    /// The body is none that Kinesis takes.
    fn from(request: &Request) -> Self {
        let header = |name| request.header(name).unwrap_or_default();
        let is_cbor = header("content-type") == cbor::CONTENT_TYPE;
        let body = if is_cbor {
            cbor::to_json(&request.body).expect("CBOR")
        } else {
            serde_json::from_slice(&request.body).expect("JSON")
        };
        let put = |value: &Value| {
            let data = STANDARD.decode(value["Data"].as_str().expect("data"));
            let data = data.expect("base64");
            let pack = pack::is_pack(&data).then(|| data.clone());
            let data = pack
                .as_ref()
                .map_or(data, |pack| pack::unpack(pack).expect("a whole frame"));
            Put {
                pack,
                key: value["PartitionKey"].as_str().expect("a key").to_owned(),
                data: String::from_utf8(data).expect("UTF-8"),
                after: value["SequenceNumberForOrdering"]
                    .as_str()
                    .map(str::to_owned),
            }
        };
        Self {
            target: header("x-amz-target").to_owned(),
            authorization: header("authorization")
                .split('/')
                .next()
                .unwrap_or_default()
                .to_owned(),
            signed_at: header("x-amz-date").to_owned(),
            is_cbor,
            puts: body["Records"].as_array().map_or_else(
                || vec![put(&body)],
                |records| records.iter().map(put).collect(),
            ),
        }
    }
}

impl Call {
    /// The answer to it, with the numbers of the records that were taken, and `code` for the others.
    fn success(&self, numbers: &[Option<String>], code: &str) -> Value {
        let one = |number: &Option<String>| match number {
            Some(number) => json!({"SequenceNumber": number, "ShardId": "shardId-000000000000"}),
            None => json!({"ErrorCode": code, "ErrorMessage": "as the test says"}),
        };
        if self.target.ends_with("PutRecord") {
            return one(&numbers[0]);
        }
        let failed = numbers.iter().filter(|number| number.is_none()).count();
        let records: Vec<_> = numbers.iter().map(one).collect();
        json!({"FailedRecordCount": failed, "Records": records})
    }

    /// An answer written as the call is.
    fn write(&self, body: &Value) -> Answer {
        if self.is_cbor {
            Answer::new(200, cbor::from_json(body)).with("content-type", cbor::CONTENT_TYPE)
        } else {
            Answer::new(200, body.to_string()).with("content-type", "application/x-amz-json-1.1")
        }
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
