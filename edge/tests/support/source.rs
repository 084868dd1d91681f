//! What the tests of sources have in common: a clock of their own, a spool to look into, and a
//! server on a port of its own.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::ops::ControlFlow;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use headwater::net::endpoint::Endpoint;
use headwater::observe::counters::Counters;
use headwater::platform::facts::Facts;
use headwater::platform::stop::Stop;
use headwater::platform::time::{Clock, SystemClock};
use headwater::source::{Feed, Source};
use headwater::spool::{Options, Spool, WhenFull};

use super::kinesis::Kinesis;

/// When tests begin, by the wall clock: 2026-01-15T10:35:00Z.
pub const WALL_START_SECS: u64 = 1_768_473_300;

/// How long a test waits for what must happen before it is called failed.
const PATIENCE: Duration = Duration::from_secs(30);

/// Time that goes by when a test says so, and when the program sleeps.
#[derive(Debug, Default)]
pub struct TestClock {
    elapsed: Mutex<Duration>,
    sleeps: Mutex<Vec<Duration>>,
}

impl TestClock {
    pub fn advance(&self, time: Duration) {
        *self.elapsed.lock().unwrap() += time;
    }

    /// The pauses so far, those of no length left out.
    pub fn sleeps(&self) -> Vec<Duration> {
        self.sleeps.lock().unwrap().clone()
    }
}

impl Clock for TestClock {
    fn wall(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(WALL_START_SECS) + self.elapsed()
    }

    fn elapsed(&self) -> Duration {
        *self.elapsed.lock().unwrap()
    }

    fn sleep(&self, pause: Duration, stop: &Stop) -> bool {
        self.advance(pause);
        if !pause.is_zero() {
            self.sleeps.lock().unwrap().push(pause);
        }
        stop.asked()
    }
}

/// A feed into memory, with state in the folder if there is one.
pub fn feed(clock: Arc<TestClock>, folder: Option<&Path>) -> Feed {
    let unnamed = tempfile::tempdir().unwrap();
    let card = unnamed.path().join("spool");
    let options = Options {
        card: card.clone(),
        stage: None,
        size_bytes: 32 << 20,
        when_full: WhenFull::Block,
        durable_within: Duration::from_secs(1),
    };
    // The spool keeps time by itself: what tests do to the source's clock is none of its business.
    let own_clock = Arc::new(SystemClock::default());
    let spool = Arc::new(Spool::open(options, own_clock).unwrap());
    std::thread::spawn({
        let spool = spool.clone();
        move || spool.run_committer()
    });
    // Then the file goes with its folder: it stays open until the test ends.
    wait_until("the spool is made", || card.exists());
    Feed {
        spool,
        clock,
        stop: Arc::default(),
        counters: Arc::new(Counters::default()),
        state: Arc::new(Facts::open(folder.map(|folder| folder.join("state")), None)),
        echo: false,
    }
}

/// The real program with its spool in `folder` and files of its runtime in `runtime`, which sends
/// to `kinesis`.
pub fn headwater(folder: &Path, runtime: &Path, kinesis: &Kinesis) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_headwater"));
    command
        .env_clear()
        .env("RUNTIME_DIRECTORY", runtime)
        .env("AWS_ACCESS_KEY_ID", "AK")
        .env("AWS_SECRET_KEY", "a-secret-of-the-tests")
        .env("AWS_REGION", "eu-west-1")
        .env("AWS_STREAM_NAME", "posts")
        .args([
            "--endpoint",
            &kinesis.url(),
            "--spool-size",
            "1MiB",
            "--spool",
        ])
        .arg(folder.join("spool"));
    command
}

/// A folder in RAM, as systemd would give, that goes with the test.
pub fn runtime_folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").unwrap()
}

/// The records in the spool: partition key and data.
pub fn records(feed: &Feed) -> Vec<(String, String)> {
    let mut records = Vec::new();
    feed.spool.peek(|_, record| {
        let data = String::from_utf8(record.data.to_vec()).unwrap();
        records.push((record.partition_key.to_owned(), data));
        ControlFlow::Continue(())
    });
    records
}

/// Waits until `is_so`, looking again whenever there may be news.
pub fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let end = std::time::Instant::now() + PATIENCE;
    while !is_so() {
        assert!(
            std::time::Instant::now() < end,
            "waited in vain until {what}"
        );
        std::thread::yield_now();
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// A source at work in a thread of its own.
pub struct Running {
    pub feed: Feed,
    thread: Option<JoinHandle<anyhow::Result<()>>>,
}

impl Running {
    pub fn start(mut source: impl Source + 'static, feed: &Feed) -> Self {
        let (feed, own) = (feed.clone(), feed.clone());
        let thread = Some(std::thread::spawn(move || source.run(&own)));
        Self { feed, thread }
    }

    /// Asks the source to end, and waits for it.
    pub fn stop(mut self) -> anyhow::Result<()> {
        self.feed.stop.ask();
        self.thread.take().unwrap().join().unwrap()
    }

    /// Waits until the source ends by itself.
    pub fn end(mut self) -> anyhow::Result<()> {
        self.thread.take().unwrap().join().unwrap()
    }
}

/// A request as the server got it.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    pub target: String,
    pub headers: BTreeMap<String, String>,
    pub body: String,
}

/// What the server does with each request. Returns whether it takes another one on the same
/// connection.
type Handler = dyn Fn(&Request, &mut TcpStream) -> bool + Send + Sync;

/// An HTTP server on this machine.
pub struct Server {
    port: u16,
    seen: Arc<(Mutex<Vec<Request>>, Condvar)>,
    ended: Arc<AtomicBool>,
    open: Arc<Mutex<Vec<TcpStream>>>,
}

impl Server {
    pub fn start(
        handler: impl Fn(&Request, &mut TcpStream) -> bool + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Self {
            port: listener.local_addr().unwrap().port(),
            seen: Arc::default(),
            ended: Arc::default(),
            open: Arc::default(),
        };
        let handler: Arc<Handler> = Arc::new(handler);
        let (seen, ended, open) = (
            server.seen.clone(),
            server.ended.clone(),
            server.open.clone(),
        );
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if ended.load(Ordering::Relaxed) {
                    return;
                }
                open.lock().unwrap().extend(stream.try_clone());
                let (handler, seen) = (handler.clone(), seen.clone());
                std::thread::spawn(move || serve(stream, &*handler, &seen));
            }
        });
        server
    }

    pub fn endpoint(&self) -> Endpoint {
        Endpoint::parse(&format!("http://127.0.0.1:{}", self.port), false).unwrap()
    }

    pub fn requests(&self) -> Vec<Request> {
        self.seen.0.lock().unwrap().clone()
    }

    /// Waits for the `nth` request, counted from 1, whose target begins with `target`.
    pub fn wait_for(&self, nth: usize, target: &str) -> Request {
        let (seen, news) = &*self.seen;
        let matching = |seen: &Vec<Request>| {
            let mut matching = seen
                .iter()
                .filter(|request| request.target.starts_with(target));
            matching.nth(nth - 1).cloned()
        };
        let (seen, _) = news
            .wait_timeout_while(seen.lock().unwrap(), PATIENCE, |seen| {
                matching(seen).is_none()
            })
            .unwrap();
        matching(&seen).unwrap_or_else(|| panic!("no request {nth} for {target} among {seen:#?}"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        for stream in self.open.lock().unwrap().iter() {
            let _ = stream.shutdown(Shutdown::Both);
        }
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

fn serve(mut stream: TcpStream, handler: &Handler, seen: &(Mutex<Vec<Request>>, Condvar)) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    while let Some(request) = read_request(&mut reader) {
        seen.0.lock().unwrap().push(request.clone());
        seen.1.notify_all();
        if !handler(&request, &mut stream) {
            break;
        }
    }
    let _ = stream.shutdown(Shutdown::Both);
}

fn read_request(reader: &mut impl BufRead) -> Option<Request> {
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split_whitespace();
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            break;
        };
        headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    let length = headers
        .get("content-length")
        .map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Request {
        method,
        target,
        headers,
        body: String::from_utf8(body).unwrap(),
    })
}

/// Sends a whole answer.
pub fn answer(stream: &mut TcpStream, status: u16, headers: &str, body: &str) -> bool {
    let head = format!(
        "HTTP/1.1 {status} Status\r\ncontent-length: {}\r\n{headers}\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).is_ok() && stream.write_all(body.as_bytes()).is_ok()
}

/// Begins an answer whose body comes in chunks.
pub fn begin_stream(stream: &mut TcpStream) {
    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
}

/// Sends one chunk of that body.
pub fn chunk(stream: &mut TcpStream, data: &[u8]) -> bool {
    let mut bytes = format!("{:x}\r\n", data.len()).into_bytes();
    bytes.extend_from_slice(data);
    bytes.extend_from_slice(b"\r\n");
    stream.write_all(&bytes).is_ok()
}

/// Waits until the other side closes the connection.
pub fn wait_for_close(stream: &mut TcpStream) {
    let mut byte = [0];
    while matches!(stream.read(&mut byte), Ok(1..)) {}
}
