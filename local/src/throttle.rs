//! The limits of a stream's shards, in front of a Kinesis that has none.
//!
//! A call whose records all have room passes as it came, signature and all. Of another one only the records with room reach the server, in a
//! call signed anew; the others are answered as Kinesis answers them. So what is said to be refused never arrived.

use std::io::{self, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use serde_json::{Value, json};
use testkit::cbor;
use testkit::chaos::forward;
use testkit::http::{Answer, Request};
use testkit::server::Server;
use testkit::shards::{Limits, Shards, hash};
use testkit::stream::coding::{Coding, Fate, Operation};

use crate::aws::Aws;

/// Shards with limits, in front of one server.
#[derive(Debug)]
pub struct Throttle {
    server: Server,
    stream: Arc<Mutex<Stream>>,
}

/// What was sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Records, each as often as it came.
    pub sent: u64,
    /// Records refused, each as often as it was.
    pub refused: u64,
}

#[derive(Debug)]
struct Stream {
    shards: Shards,
    started: Instant,
    counts: Counts,
}

impl Throttle {
    /// A way to `server` with one shard for each of `limits`. Calls that are signed anew are those of `aws`, which must be the same server.
    ///
    /// # Errors
    ///
    /// If this machine gives no port to listen on.
    pub fn before(server: SocketAddr, aws: Aws, limits: &[Limits]) -> io::Result<Self> {
        let stream = Arc::new(Mutex::new(Stream {
            shards: Shards::new(limits),
            started: Instant::now(),
            counts: Counts::default(),
        }));
        let ours = Arc::clone(&stream);
        let upstream = server;
        let server = Server::start(move |client| {
            // A producer that goes away is no fault of the server.
            let _ = serve(&client, upstream, &aws, &ours);
        })?;
        Ok(Self { server, stream })
    }

    /// The way in.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// What was sent so far.
    pub fn counts(&self) -> Counts {
        lock(&self.stream).counts
    }
}

fn serve(
    mut client: &TcpStream,
    upstream: SocketAddr,
    aws: &Aws,
    stream: &Mutex<Stream>,
) -> io::Result<()> {
    let mut requests = BufReader::new(client);
    let mut server = BufReader::new(TcpStream::connect(upstream)?);
    while let Some(request) = Request::read(&mut requests)? {
        let answer = match lock(stream).decide(&request) {
            Some((coding, operation, fates)) if fates.iter().any(is_throttled) => {
                answer(&request, coding, operation, &fates, aws)
            }
            _ => forward(&request, &mut server)?,
        };
        client.write_all(&answer.to_bytes())?;
    }
    Ok(())
}

impl Stream {
    /// What becomes of each record of a call; `None` if it has none that can be read.
    fn decide(&mut self, request: &Request) -> Option<(Coding, Operation, Vec<Fate>)> {
        let operation = Operation::of(request.header("x-amz-target")?).ok()?;
        let coding = Coding::of(request.header("content-type")?)?;
        let puts = coding.decode(operation, &request.body).ok()?;
        let now = self.started.elapsed();
        let mut fates = Vec::new();
        for put in puts {
            let shard = self
                .shards
                .of(put.explicit_hash.unwrap_or_else(|| hash(&put.key)));
            let takes = self
                .shards
                .offer(shard, now, put.data.len() + put.key.len());
            self.counts.sent += 1;
            self.counts.refused += u64::from(!takes);
            fates.push(match takes {
                true => Fate::Accepted(shard, self.counts.sent),
                false => Fate::Throttled(shard),
            });
        }
        Some((coding, operation, fates))
    }
}

/// Puts the records with room, and answers for all.
fn answer(
    request: &Request,
    coding: Coding,
    operation: Operation,
    fates: &[Fate],
    aws: &Aws,
) -> Answer {
    let mut body = Vec::new();
    let mut status = Coding::Json.encode(operation, fates, &mut body);
    let mut answer: Value = serde_json::from_slice(&body).unwrap_or_default();
    if !fates.iter().all(is_throttled)
        && let Err(error) = pass(request, coding, fates, aws, &mut answer)
    {
        status = 500;
        answer = json!({"__type": "InternalFailure", "message": error.to_string()});
    }
    match coding {
        Coding::Json => Answer::json(status, &answer),
        Coding::Cbor => {
            Answer::new(status, cbor::from_json(&answer)).with("content-type", cbor::CONTENT_TYPE)
        }
    }
}

/// Puts those records of a PutRecords that have room, and enters what the server said of them into `answer`.
fn pass(
    request: &Request,
    coding: Coding,
    fates: &[Fate],
    aws: &Aws,
    answer: &mut Value,
) -> anyhow::Result<()> {
    let mut input: Value = match coding {
        Coding::Json => serde_json::from_slice(&request.body)?,
        Coding::Cbor => cbor::to_json(&request.body)?,
    };
    let mut index = 0;
    if let Some(records) = input["Records"].as_array_mut() {
        records.retain(|_| {
            index += 1;
            !is_throttled(&fates[index - 1])
        });
    }
    let mut said = aws.kinesis("PutRecords", &input)?;
    let failed = said["FailedRecordCount"].as_u64().unwrap_or_default();
    let refused = fates.iter().filter(|fate| is_throttled(fate)).count() as u64;
    answer["FailedRecordCount"] = json!(failed + refused);
    let mut said = said["Records"].as_array_mut().into_iter().flatten();
    for (index, fate) in fates.iter().enumerate() {
        if !is_throttled(fate)
            && let Some(said) = said.next()
        {
            answer["Records"][index] = said.take();
        }
    }
    Ok(())
}

fn is_throttled(fate: &Fate) -> bool {
    matches!(fate, Fate::Throttled(_))
}

fn lock(stream: &Mutex<Stream>) -> MutexGuard<'_, Stream> {
    stream.lock().unwrap_or_else(PoisonError::into_inner)
}
