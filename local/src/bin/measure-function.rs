//! Measures the Lambda function without Lambda: `measure-function [target/release/bootstrap]`.
//!
//! It is Lambda's Runtime API and a DynamoDB that takes everything at once, so what is left is the
//! function's own time and memory: from its start until it asks for work, for a batch of 500
//! records, and at its peak. Exits with 1 where a figure is over its limit.

use std::io::{BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
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

    let mut inits = Vec::new();
    for _ in 1..STARTS {
        inits.push(lambda.run(binary)?.init);
    }
    let mut function = lambda.run(binary)?;
    inits.push(function.init);

    let event = batch();
    let mut batches = Vec::new();
    for _ in 0..BATCHES {
        batches.push(lambda.invoke(&mut function, &event)?);
    }
    let peak_kb = function.peak_kb()?;

    inits.sort();
    batches.sort();
    let (init, batch) = (inits[STARTS / 2], batches[BATCHES / 2]);
    println!("binary       {:.1} MB", size as f64 / 1e6);
    println!(
        "init         {init:.1?}, the slowest of {STARTS} {:.1?}",
        inits[STARTS - 1]
    );
    println!(
        "a batch      {batch:.1?} for {RECORDS} records, an event of {:.0} KB; the slowest of {BATCHES} {:.1?}",
        event.len() as f64 / 1e3,
        batches[BATCHES - 1]
    );
    println!("peak memory  {:.1} MB", peak_kb as f64 / 1024.0);
    Ok(init <= MAX_INIT && peak_kb <= MAX_PEAK_KB)
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

/// Lambda's event for a full batch of posts of X, about 570 bytes each.
fn batch() -> String {
    let record = |n: usize| {
        let id = (1_790_000_000_000_000_000 + n).to_string();
        let post = json!({
            "data": {"id": id, "text": "I could eat pizza all day 🍕 ".repeat(5), "author_id": "98",
                "created_at": "2026-01-15T10:35:00.000Z", "lang": "en", "edit_history_tweet_ids": [id]},
            "includes": {"users": [{"id": "98", "username": "catperson", "name": "Cat Person"}]},
            "matching_rules": [{"id": "1273026", "tag": "headwater:pizza"}],
        });
        json!({
            "eventID": format!("shardId-000000000000:{n}"),
            "eventSource": "aws:kinesis",
            "eventSourceARN": "arn:aws:kinesis:us-east-1:1:stream/posts",
            "kinesis": {"sequenceNumber": n.to_string(), "partitionKey": "catperson",
                "approximateArrivalTimestamp": 1_768_473_301.5,
                "data": BASE64_STANDARD.encode(post.to_string())},
        })
    };
    json!({"Records": (0..RECORDS).map(record).collect::<Vec<Value>>()}).to_string()
}
