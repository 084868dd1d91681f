//! A Kinesis of the tests' own, over real sockets, that does to each call what the test says.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};

/// What the server does with one call.
pub enum Reply {
    /// Takes every record.
    Accept,
    /// Takes every record, and closes the connection without an answer.
    AcceptAndCut,
    /// Takes every record, and answers only half.
    AcceptAndAnswerHalf,
    /// Takes those for which the answer is true; the others fail with this code.
    AcceptSome(fn(usize) -> bool, &'static str),
    /// Answers with this status and body.
    Answer(u16, String),
}

impl Reply {
    /// Answers with an error code as Kinesis does.
    pub fn error(status: u16, code: &str) -> Self {
        Self::Answer(
            status,
            json!({"__type": code, "message": "as the test says"}).to_string(),
        )
    }
}

/// One record of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Put {
    pub key: String,
    pub data: String,
    pub after: Option<String>,
}

/// One call.
#[derive(Clone, Debug)]
pub struct Call {
    pub target: String,
    /// The access key that signed it, without the signature.
    pub authorization: String,
    pub signed_at: String,
    pub puts: Vec<Put>,
}

type Decide = dyn Fn(usize, &Call) -> Reply + Send + Sync;

/// The server, and what it saw.
pub struct Kinesis {
    pub port: u16,
    pub connections: Arc<AtomicUsize>,
    pub calls: Arc<Mutex<Vec<Call>>>,
    /// The records it took, in order.
    pub taken: Arc<Mutex<Vec<Put>>>,
}

impl Kinesis {
    /// Starts a server that asks `decide` about each call, numbered from 0.
    pub fn start(decide: impl Fn(usize, &Call) -> Reply + Send + Sync + 'static) -> Self {
        Self::start_with(decide, None)
    }

    /// A server that takes everything, over TLS, as localhost.
    pub fn encrypted(config: Arc<ServerConfig>) -> Self {
        Self::start_with(|_, _| Reply::Accept, Some(config))
    }

    fn start_with(
        decide: impl Fn(usize, &Call) -> Reply + Send + Sync + 'static,
        tls: Option<Arc<ServerConfig>>,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let connections = Arc::new(AtomicUsize::new(0));
        let seen = Seen {
            calls: Arc::default(),
            taken: Arc::default(),
            decide: Arc::new(decide),
        };
        let server = Self {
            port,
            connections: connections.clone(),
            calls: seen.calls.clone(),
            taken: seen.taken.clone(),
        };
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                connections.fetch_add(1, Ordering::SeqCst);
                let (seen, tls) = (seen.clone(), tls.clone());
                std::thread::spawn(move || match tls {
                    None => seen.serve(stream),
                    Some(tls) => seen.serve(StreamOwned::new(
                        ServerConnection::new(tls).unwrap(),
                        stream,
                    )),
                });
            }
        });
        server
    }

    /// A server that answers with these in turn, then takes everything.
    pub fn scripted(replies: impl IntoIterator<Item = Reply>) -> Self {
        let replies = Mutex::new(replies.into_iter().collect::<VecDeque<_>>());
        Self::start(move |_, _| replies.lock().unwrap().pop_front().unwrap_or(Reply::Accept))
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The data of the records it took, in order.
    pub fn data(&self) -> Vec<String> {
        self.taken
            .lock()
            .unwrap()
            .iter()
            .map(|put| put.data.clone())
            .collect()
    }
}

/// What one connection shares with all others.
#[derive(Clone)]
struct Seen {
    calls: Arc<Mutex<Vec<Call>>>,
    taken: Arc<Mutex<Vec<Put>>>,
    decide: Arc<Decide>,
}

impl Seen {
    /// Serves until the client, or a decision, ends the connection.
    fn serve(&self, stream: impl Read + Write) {
        let mut stream = BufReader::new(stream);
        while let Some(call) = read_call(&mut stream) {
            let reply = {
                let mut calls = self.calls.lock().unwrap();
                calls.push(call.clone());
                (self.decide)(calls.len() - 1, &call)
            };
            let accept = |which: &dyn Fn(usize) -> bool| {
                let mut taken = self.taken.lock().unwrap();
                let mut numbers = Vec::new();
                for (index, put) in call.puts.iter().enumerate() {
                    numbers.push(which(index).then(|| {
                        taken.push(put.clone());
                        taken.len().to_string()
                    }));
                }
                numbers
            };
            let (status, body, how_much) = match reply {
                Reply::Accept => (200, success(&call, &accept(&|_| true), ""), 1.0),
                Reply::AcceptAndCut => {
                    accept(&|_| true);
                    return;
                }
                Reply::AcceptAndAnswerHalf => (200, success(&call, &accept(&|_| true), ""), 0.5),
                Reply::AcceptSome(which, code) => (200, success(&call, &accept(&which), code), 1.0),
                Reply::Answer(status, body) => (status, body, 1.0),
            };
            let date = httpdate::fmt_http_date(SystemTime::now());
            let head = format!(
                "HTTP/1.1 {status} X\r\nDate: {date}\r\nContent-Length: {}\r\n\r\n",
                body.len()
            );
            let answer = [head.as_bytes(), body.as_bytes()].concat();
            let end = head.len() + (body.len() as f64 * how_much) as usize;
            let sent = stream
                .get_mut()
                .write_all(&answer[..end])
                .and_then(|()| stream.get_mut().flush());
            if sent.is_err() || end < answer.len() {
                return;
            }
        }
    }
}

fn read_call(reader: &mut impl BufRead) -> Option<Call> {
    let (mut line, mut length) = (String::new(), 0);
    let (mut target, mut authorization, mut signed_at) = Default::default();
    loop {
        line.clear();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            if line.trim().is_empty() {
                break;
            }
            continue;
        };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse().ok()?,
            "x-amz-target" => target = value.to_owned(),
            "authorization" => authorization = value.split('/').next()?.to_owned(),
            "x-amz-date" => signed_at = value.to_owned(),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let body: Value = serde_json::from_slice(&body).unwrap();
    let put = |value: &Value| Put {
        key: value["PartitionKey"].as_str().unwrap().to_owned(),
        data: String::from_utf8(STANDARD.decode(value["Data"].as_str().unwrap()).unwrap()).unwrap(),
        after: value["SequenceNumberForOrdering"]
            .as_str()
            .map(str::to_owned),
    };
    let puts = body["Records"].as_array().map_or_else(
        || vec![put(&body)],
        |records| records.iter().map(put).collect(),
    );
    Some(Call {
        target,
        authorization,
        signed_at,
        puts,
    })
}

fn success(call: &Call, numbers: &[Option<String>], code: &str) -> String {
    let one = |number: &Option<String>| match number {
        Some(number) => json!({"SequenceNumber": number, "ShardId": "shardId-000000000000"}),
        None => json!({"ErrorCode": code, "ErrorMessage": "as the test says"}),
    };
    if call.target.ends_with("PutRecord") {
        return one(&numbers[0]).to_string();
    }
    let failed = numbers.iter().filter(|number| number.is_none()).count();
    json!({"FailedRecordCount": failed, "Records": numbers.iter().map(one).collect::<Vec<_>>()})
        .to_string()
}
