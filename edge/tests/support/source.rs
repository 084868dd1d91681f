//! What the tests of sources have in common: a spool to look into, and a source at work.

use std::cell::RefCell;
use std::net::TcpStream;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tempfile::TempDir;

use headwater::net::endpoint::Endpoint;
use headwater::observe::counters::Counters;
use headwater::platform::facts::Facts;
use headwater::platform::time::{SystemClock, TestClock};
use headwater::post::record::MAX_RECORD_BYTES;
use headwater::source::{Feed, Source};
use headwater::spool::{Options, Spool, WhenFull};
use testkit::http::Answer;
use testkit::wait_until;
use testkit::web::Web;

thread_local! {
    /// The folders of a test's spools. Each test has a thread of its own: they are removed when it ends.
    static FOLDERS: RefCell<Vec<TempDir>> = const { RefCell::new(Vec::new()) };
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
    wait_until("the spool is made", || card.exists());
    // A spool that is removed while it is in use is noticed, and given up.
    FOLDERS.with_borrow_mut(|folders| folders.push(unnamed));
    Feed {
        spool,
        clock,
        stop: Arc::default(),
        counters: Arc::new(Counters::default()),
        state: Arc::new(Facts::open(folder.map(|folder| folder.join("state")), None)),
        echo: false,
        max_record_bytes: MAX_RECORD_BYTES,
    }
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

/// Where a server of the tests is, as the program knows it.
pub fn endpoint(server: &Web) -> Endpoint {
    Endpoint::parse(&server.url(), false).unwrap()
}

/// Sends a whole answer, with `headers`, a line each.
pub fn answer(stream: &mut TcpStream, status: u16, headers: &str, body: &str) -> bool {
    let named = headers.lines().filter_map(|line| line.split_once(": "));
    let whole = named.fold(Answer::new(status, body), |answer, (name, value)| {
        answer.with(name, value)
    });
    whole.write(stream).is_ok()
}
