//! Measures the Lambda function without Lambda: `measure-function [target/release/bootstrap]`.
//!
//! It is Lambda's Runtime API and a DynamoDB that takes everything at once, so what is left is the
//! function's own time and memory: from its start until it asks for work, for batches of 500 posts of X
//! and of Jetstream (which are put one a call), for the packs that Lambda's 6 MB can hold, for packs that
//! are bombs, and at its peak in each. Exits with 1 where a figure is over its limit.

use std::io::{BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::LazyLock;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant, SystemTime};
use std::{env, fs, thread};

use anyhow::{Context, Result, bail, ensure};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use testkit::http::{Answer, Request};

const STARTS: usize = 20;
const BATCHES: usize = 20;
const RECORDS: usize = 500;
/// Posts of 570 bytes that the board puts into a pack, which it fills up to 64 KiB.
const POSTS_A_PACK: usize = 114;
/// Lambda's limit on an event.
const MAX_EVENT_BYTES: usize = 6 << 20;

/// The limits that the project sets itself.
const MAX_INIT: Duration = Duration::from_millis(30);
const MAX_PEAK_KB: u64 = 32 << 10;

fn main() -> ExitCode {
    let binary = env::args()
        .nth(1)
        .unwrap_or_else(|| "target/release/bootstrap".to_owned());
    match measure(Path::new(&binary)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("measure-function: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Prints the figures; whether all of them keep to their limits.
fn measure(binary: &Path) -> Result<bool> {
    let size = fs::metadata(binary)
        .with_context(|| {
            format!(
                "no function at {}; build it with cargo build --release -p cloud",
                binary.display()
            )
        })?
        .len();
    let lambda = Lambda::start()?;

    let mut inits = (0..STARTS)
        .map(|_| Ok(lambda.run(binary)?.init))
        .collect::<Result<Vec<_>>>()?;
    inits.sort();
    let init = inits[STARTS / 2];
    println!("binary       {:.1} MB", size as f64 / 1e6);
    println!(
        "init         {init:.1?}, the slowest of {STARTS} {:.1?}",
        inits[STARTS - 1]
    );

    let mut fine = init <= MAX_INIT;
    let one_a_record = |post: fn(usize) -> Value| (0..RECORDS).map(move |n| post(n).to_string());
    let batches: [(&str, Batch); 4] = [
        ("posts of X", Batch::of(one_a_record(x_post))),
        (
            "posts of Jetstream",
            Batch::of(one_a_record(jetstream_post)),
        ),
        ("packs", Batch::of((0..).map(pack))),
        ("bombs", Batch::of((0..RECORDS).map(|_| bomb()))),
    ];
    for (of, batch) in batches {
        // A process of its own, so that its peak is of this batch.
        let mut function = lambda.run(binary)?;
        let mut times = (0..BATCHES)
            .map(|_| lambda.invoke(&mut function, &batch.event))
            .collect::<Result<Vec<_>>>()?;
        times.sort();
        let peak_kb = function.peak_kb()?;
        println!(
            "{:4} {of:18} {:.1?}, an event of {:.0} KB; the slowest of {BATCHES} {:.1?}; peak memory {:.1} MB",
            batch.records,
            times[BATCHES / 2],
            batch.event.len() as f64 / 1e3,
            times[BATCHES - 1],
            peak_kb as f64 / 1024.0
        );
        fine &= peak_kb <= MAX_PEAK_KB;
    }
    Ok(fine)
}

/// Lambda's Runtime API, and the DynamoDB behind the function, on one port.
struct Lambda {
    address: String,
    /// When the function asked for an invocation, and where to send it.
    asked: Receiver<(Instant, TcpStream)>,
    /// When the function was done, and with which answer.
    answered: Receiver<(Instant, String)>,
}

/// The function's process, waiting for an invocation.
struct Function {
    process: Child,
    init: Duration,
    next: TcpStream,
}

impl Lambda {
    fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?.to_string();
        let ((ask, asked), (answer, answered)) = (channel(), channel());
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (ask, answer) = (ask.clone(), answer.clone());
                // A connection that breaks is the end of its function.
                thread::spawn(move || serve(stream, &ask, &answer).ok());
            }
        });
        Ok(Self {
            address,
            asked,
            answered,
        })
    }

    /// Starts the function and waits until it asks for its first invocation.
    fn run(&self, binary: &Path) -> Result<Function> {
        let url = format!("http://{}", self.address);
        let began = Instant::now();
        let mut process = Command::new(binary)
            .env_clear()
            .env("AWS_LAMBDA_RUNTIME_API", &self.address)
            .env("AWS_LAMBDA_FUNCTION_NAME", "measured")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "1")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256")
            .env("AWS_LAMBDA_LOG_GROUP_NAME", "measured")
            .env("AWS_LAMBDA_LOG_STREAM_NAME", "measured")
            .env("AWS_REGION", "us-east-1")
            .env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
            .env("AWS_SECRET_ACCESS_KEY", "none")
            .env("AWS_ENDPOINT_URL", &url)
            .env("TABLE_NAME", "posts")
            .env("FAILURE_QUEUE_URL", format!("{url}/1/failures"))
            .env("DAYS_TO_KEEP", "90")
            .stdout(Stdio::null())
            .spawn()?;
        match self.asked.recv_timeout(Duration::from_secs(10)) {
            Ok((asked, next)) => Ok(Function {
                process,
                init: asked - began,
                next,
            }),
            Err(_) => {
                process.kill()?;
                bail!(
                    "the function never asked for an invocation; {}",
                    process.wait()?
                )
            }
        }
    }

    /// One invocation, until the function asks for the next.
    fn invoke(&self, function: &mut Function, event: &str) -> Result<Duration> {
        let deadline =
            SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)? + Duration::from_secs(60);
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nLambda-Runtime-Aws-Request-Id: measured\r\n\
             Lambda-Runtime-Invoked-Function-Arn: arn:aws:lambda:us-east-1:1:function:measured\r\n\
             Lambda-Runtime-Deadline-Ms: {}\r\n\r\n",
            event.len(),
            deadline.as_millis()
        );
        let began = Instant::now();
        function.next.write_all(head.as_bytes())?;
        function.next.write_all(event.as_bytes())?;
        let (done, answer) = self.answered.recv_timeout(Duration::from_secs(60))?;
        ensure!(
            answer == r#"{"batchItemFailures":[]}"#,
            "the function answers {answer}"
        );
        function.next = self.asked.recv_timeout(Duration::from_secs(10))?.1;
        Ok(done - began)
    }
}

impl Function {
    /// The most memory it ever had, in KiB.
    fn peak_kb(&self) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let peak = peak.and_then(|line| line.trim().strip_suffix(" kB"));
        Ok(peak.context("no VmHWM in /proc")?.parse()?)
    }
}

impl Drop for Function {
    fn drop(&mut self) {
        // It may have ended by itself.
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

/// One of the function's connections, until it closes.
fn serve(
    stream: TcpStream,
    ask: &Sender<(Instant, TcpStream)>,
    answer: &Sender<(Instant, String)>,
) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut requests = BufReader::new(stream.try_clone()?);
    while let Some(request) = Request::read(&mut requests)? {
        let (status, body) = match request.path().rsplit('/').next() {
            Some("next") => {
                ask.send((Instant::now(), stream.try_clone()?))?;
                continue;
            }
            Some("response" | "error") => {
                answer.send((Instant::now(), request.text()))?;
                (202, "{}")
            }
            _ => (200, r#"{"UnprocessedItems":{}}"#),
        };
        Answer::new(status, body).write(&mut &stream)?;
    }
    Ok(())
}

/// Lambda's event, and how many records are in it.
struct Batch {
    event: String,
    records: usize,
}

impl Batch {
    /// As many of these records as an event can hold, and a shard gives at once.
    fn of<T: AsRef<[u8]>>(data: impl Iterator<Item = T>) -> Self {
        let mut records = Vec::new();
        let mut bytes = 0;
        for (n, data) in data.take(RECORDS).enumerate() {
            let record = json!({
                "eventID": format!("shardId-000000000000:{n}"),
                "eventSource": "aws:kinesis",
                "eventSourceARN": "arn:aws:kinesis:us-east-1:1:stream/posts",
                "kinesis": {"sequenceNumber": n.to_string(), "partitionKey": "catperson",
                    "approximateArrivalTimestamp": 1_768_473_301.5,
                    "data": BASE64_STANDARD.encode(data)},
            });
            let record = record.to_string();
            bytes += record.len();
            if bytes > MAX_EVENT_BYTES - 1024 {
                break;
            }
            records.push(record);
        }
        Self {
            event: format!("{{\"Records\":[{}]}}", records.join(",")),
            records: records.len(),
        }
    }
}

/// A post of X of about 570 bytes.
fn x_post(n: usize) -> Value {
    let id = (1_790_000_000_000_000_000 + n).to_string();
    json!({
        "data": {"id": id, "text": "I could eat pizza all day 🍕 ".repeat(5), "author_id": "98",
            "created_at": "2026-01-15T10:35:00.000Z", "lang": "en", "edit_history_tweet_ids": [id]},
        "includes": {"users": [{"id": "98", "username": "catperson", "name": "Cat Person"}]},
        "matching_rules": [{"id": "1273026", "tag": "headwater:pizza"}],
    })
}

fn jetstream_post(n: usize) -> Value {
    json!({
        "did": "did:plc:nutrvewgbjnm5xfydgzzbxbh", "time_us": 1_768_473_300_000_000_u64, "kind": "commit",
        "commit": {"rev": "3m64666fhjs2e", "operation": "create", "collection": "app.bsky.feed.post",
            "rkey": n.to_string(), "record": {"createdAt": "2026-01-15T10:35:00.000Z", "langs": ["en"],
            "text": "I could eat pizza all day 🍕 ".repeat(5)}},
    })
}

/// A pack of posts of X that compress as real ones do, to a fifth or so: their texts are noise by a third.
fn pack(n: usize) -> Vec<u8> {
    let post = |m: usize| {
        let number = n * POSTS_A_PACK + m;
        let mut post = x_post(number);
        let mut noise = number as u64;
        let word = |_| {
            noise = noise
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            format!("{:x} ", noise >> 40)
        };
        let text = (0..14).map(word).collect::<String>() + &"pizza ".repeat(12);
        post["data"]["text"] = text.into();
        format!("{post}\n")
    };
    compressed((0..POSTS_A_PACK).map(post).collect::<String>().as_bytes())
}

/// A pack that would grow to 100 MB.
fn bomb() -> Vec<u8> {
    static BOMB: LazyLock<Vec<u8>> = LazyLock::new(|| compressed(&vec![b'\n'; 100_000_000]));
    BOMB.clone()
}

fn compressed(text: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(zstd_safe::compress_bound(text.len()));
    zstd_safe::compress(&mut frame, text, 1).expect("room for it");
    frame
}
