//! A network and a Kinesis that misbehave: calls fail, connections end after a call was accepted, responses are cut short, single records fail, and
//! the server's clock is off. Faults are random but deterministic for a seed, and counted.
//!
//! A call that gets through is forwarded unchanged with its signature, so the server verifies what the producer really sent. A record that "fails"
//! here was in fact accepted. The producer must send it again, and the stream then has one more copy, which is counted in
//! [`Counts::copies_caused`].

use std::io::{self, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use crate::http::{Answer, Request};
use crate::server::Server;

/// The probabilities of faults, from 0 to 1.
#[derive(Clone, Debug)]
pub struct Faults {
    /// Of a record: that it fails.
    pub record_fails: f64,
    /// Of a call: that it is answered 500, and goes no further.
    pub call_fails: f64,
    /// Of a call: that the connection ends after it was accepted.
    pub cut_after_accepted: f64,
    /// Of a call: that it is accepted, and half of the answer comes.
    pub cut_in_answer: f64,
    /// How far the server's clock is ahead of this machine's.
    pub clock_ahead: Duration,
    /// Seed of the random numbers.
    pub seed: u64,
}

/// The faults so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// All calls.
    pub calls: u64,
    /// Calls answered 500.
    pub calls_failed: u64,
    /// Connections ended after the call was accepted.
    pub cut_after_accepted: u64,
    /// Connections ended halfway through the answer.
    pub cut_in_answer: u64,
    /// Calls the server itself refused: credentials, clock.
    pub refused: u64,
    /// Calls answered that the credentials expired.
    pub expired: u64,
    /// Records said to have failed.
    pub records_failed: u64,
    /// Records in the stream that the producer was not told of, so that it has to send them again.
    pub copies_caused: u64,
    /// TCP connections.
    pub connections: u64,
}

/// The misbehaving network, in front of one server.
#[derive(Debug)]
pub struct Chaos {
    server: Server,
    fate: Arc<Mutex<Fate>>,
}

#[derive(Debug)]
struct Fate {
    faults: Faults,
    random: u64,
    counts: Counts,
    expired_key: Option<String>,
}

impl Chaos {
    /// A network to `server` with these `faults`.
    ///
    /// # Errors
    /// If no port can be listened on.
    pub fn before(server: SocketAddr, faults: Faults) -> io::Result<Self> {
        let fate = Arc::new(Mutex::new(Fate {
            random: faults.seed | 1,
            faults,
            counts: Counts::default(),
            expired_key: None,
        }));
        let ours = Arc::clone(&fate);
        let upstream = server;
        let server = Server::start(move |client| {
            lock(&ours).counts.connections += 1;
            // A producer that closes its connection is no error of the network.
            let _ = serve(&client, upstream, &ours);
        })?;
        Ok(Self { server, fate })
    }

    /// Its address.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.server.address())
    }

    /// What was done so far.
    pub fn counts(&self) -> Counts {
        lock(&self.fate).counts
    }

    /// From now on, answers calls with this access key with ExpiredTokenException.
    pub fn expire(&self, access_key_id: &str) {
        lock(&self.fate).expired_key = Some(access_key_id.to_owned());
    }
}

fn serve(mut client: &TcpStream, upstream: SocketAddr, fate: &Mutex<Fate>) -> io::Result<()> {
    let mut requests = BufReader::new(client);
    let mut server = BufReader::new(TcpStream::connect(upstream)?);
    while let Some(request) = Request::read(&mut requests)? {
        // Two steps: the lock must not be held while the server works.
        let refused = lock(fate).refuse(&request);
        let (mut answer, end) = match refused {
            Some(answer) => (answer, End::None),
            None => {
                let mut answer = forward(&request, &mut server)?;
                let end = lock(fate).spoil(&mut answer);
                (answer, end)
            }
        };
        lock(fate).date(&mut answer);
        let bytes = answer.to_bytes();
        match end {
            End::None => client.write_all(&bytes)?,
            End::BeforeAnswer => return Ok(()),
            End::InAnswer => return client.write_all(&bytes[..bytes.len() / 2]),
        }
    }
    Ok(())
}

/// Has `server` answer `request`, signature and all as it came.
///
/// # Errors
/// If the connection to the server breaks, or its response cannot be read.
pub fn forward(request: &Request, server: &mut BufReader<TcpStream>) -> io::Result<Answer> {
    let mut bytes = request.head.clone();
    bytes.extend(&request.body);
    server.get_mut().write_all(&bytes)?;
    Answer::read(server)
}

/// Where the connection ends.
enum End {
    None,
    BeforeAnswer,
    InAnswer,
}

impl Fate {
    /// The answer to a call that does not get through.
    fn refuse(&mut self, request: &Request) -> Option<Answer> {
        self.counts.calls += 1;
        let key = self.expired_key.as_deref();
        let authorization = request.header("authorization").unwrap_or_default();
        if key.is_some_and(|key| authorization.contains(&format!("Credential={key}/"))) {
            self.counts.expired += 1;
            let error = "ExpiredTokenException";
            let message = "The security token included in the request is expired";
            return Some(Answer::json(
                400,
                &json!({ "__type": error, "message": message }),
            ));
        }
        if self.happens(self.faults.call_fails) {
            self.counts.calls_failed += 1;
            return Some(Answer::json(500, &json!({ "__type": "InternalFailure" })));
        }
        let one = request
            .header("x-amz-target")
            .is_some_and(|target| target.ends_with(".PutRecord"));
        if one && self.happens(self.faults.record_fails) {
            self.counts.records_failed += 1;
            return Some(Answer::json(400, &refusal("__type", "message")));
        }
        None
    }

    /// Applies random faults to a response. Returns where the connection ends.
    fn spoil(&mut self, answer: &mut Answer) -> End {
        if answer.status != 200 {
            self.counts.refused += 1;
            return End::None;
        }
        let mut body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let records = body["Records"].as_array().map_or(1, Vec::len) as u64;
        if self.happens(self.faults.cut_after_accepted) {
            self.counts.cut_after_accepted += 1;
            self.counts.copies_caused += records;
            return End::BeforeAnswer;
        }
        if self.happens(self.faults.cut_in_answer) {
            self.counts.cut_in_answer += 1;
            self.counts.copies_caused += records;
            return End::InAnswer;
        }
        if let Some(records) = body["Records"].as_array_mut() {
            let mut failed = 0;
            for record in records {
                if self.happens(self.faults.record_fails) {
                    *record = refusal("ErrorCode", "ErrorMessage");
                    failed += 1;
                }
            }
            body["FailedRecordCount"] = json!(failed);
            self.counts.records_failed += failed;
            self.counts.copies_caused += failed;
            answer.body = body.to_string().into_bytes();
        }
        End::None
    }

    /// Gives an answer the time that the server believes it is.
    fn date(&self, answer: &mut Answer) {
        answer
            .headers
            .retain(|(name, _)| !name.eq_ignore_ascii_case("date"));
        let date = httpdate::fmt_http_date(SystemTime::now() + self.faults.clock_ahead);
        answer.headers.push(("date".to_owned(), date));
    }

    /// A random number (xorshift): good enough for a test, and deterministic.
    fn happens(&mut self, likelihood: f64) -> bool {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        ((self.random >> 11) as f64) < likelihood * (1u64 << 53) as f64
    }
}

fn refusal(code: &str, message: &str) -> Value {
    json!({
        code: "InternalFailure",
        message: "Internal Service Failure.",
    })
}

fn lock(fate: &Mutex<Fate>) -> MutexGuard<'_, Fate> {
    fate.lock().unwrap_or_else(PoisonError::into_inner)
}
