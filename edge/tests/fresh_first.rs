//! `--fresh-first` with the real program: an outage longer than the window of the uplink, and what is read after it goes before the backlog.

mod support;

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use rustix::process::Signal;
use serde_json::Value;
use support::board::board_to;
use support::delivery::{Delivery, texts};

use headwater::spool::WINDOW;
use testkit::kinesis::{Call, Kinesis, Put, Reply};
use testkit::network::Network;
use testkit::program::{Board, Program};
use testkit::wait_until;

/// Lines from this number on are written after the network came back.
const FRESH: u64 = 1_000_000;

/// More than the uplink reads ahead of the oldest post that waits.
const BACKLOG: u64 = WINDOW + 6000;

/// What holds calls up, when the test says so.
#[derive(Debug, Default)]
struct Gate {
    /// How many fresh lines were taken.
    fresh: AtomicUsize,
    /// The gate closes once so many are.
    closes_at: Mutex<Option<usize>>,
    closed: AtomicBool,
    /// A call waits at it.
    held: AtomicBool,
}

impl Gate {
    fn close_at(&self, fresh: usize) {
        *self.closes_at.lock().unwrap() = Some(fresh);
    }

    fn pass(&self, call: &Call) -> Reply {
        if self.closed.load(Ordering::SeqCst) {
            self.held.store(true, Ordering::SeqCst);
            wait_until("the gate opens", || !self.closed.load(Ordering::SeqCst));
            self.held.store(false, Ordering::SeqCst);
        }
        let fresh = numbers(&call.puts).filter(|n| *n >= FRESH).count();
        let fresh = fresh + self.fresh.fetch_add(fresh, Ordering::SeqCst);
        let mut closes_at = self.closes_at.lock().unwrap();
        if closes_at.is_some_and(|at| fresh >= at) {
            *closes_at = None;
            self.closed.store(true, Ordering::SeqCst);
        }
        Reply::Accept
    }

    fn wait_for_call(&self) {
        wait_until("a call is held", || self.held.load(Ordering::SeqCst));
    }

    fn open(&self) {
        self.closed.store(false, Ordering::SeqCst);
    }
}

/// The numbers of the lines in these records.
fn numbers(puts: &[Put]) -> impl Iterator<Item = u64> {
    puts.iter().flat_map(Put::posts).map(|post| {
        let post: Value = serde_json::from_str(&post).unwrap();
        post["line"]["n"].as_u64().unwrap()
    })
}

fn add_lines(file: &Path, lines: std::ops::Range<u64>) {
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(file)
        .unwrap();
    let text: String = lines.map(|n| format!("{{\"n\":{n}}}\n")).collect();
    file.write_all(text.as_bytes()).unwrap();
}

/// A stand-in behind a network and a gate, and a program that sends there what is added to a file.
struct Outage {
    gate: Arc<Gate>,
    server: Kinesis,
    network: Network,
    board: Board,
}

impl Outage {
    /// The network is gone, and more waits than the uplink reads ahead.
    fn with(options: &[(&str, &str)]) -> (Self, Program) {
        let gate = Arc::new(Gate::default());
        let server = Kinesis::start({
            let gate = gate.clone();
            move |_, call| gate.pass(call)
        });
        let network = Network::to(([127, 0, 0, 1], server.port()).into()).unwrap();
        let mut board = board_to(&format!("http://{}", network.address()));
        board.set("HEADWATER_SPOOL_SIZE", "16MiB");
        board.set("HEADWATER_INPUT", board.card().join("lines"));
        board.set("HEADWATER_METRICS_FILE", board.metrics_file());
        for (name, value) in options {
            board.set(name, *value);
        }
        let outage = Self {
            gate,
            server,
            network,
            board,
        };
        outage.add(0..1);
        let running = outage.board.start(&[]).unwrap();
        wait_until("the first line arrives", || outage.server.count() == 1);
        outage.network.cut();
        outage.add(1..BACKLOG);
        outage.wait_until_read(BACKLOG);
        (outage, running)
    }

    fn add(&self, lines: std::ops::Range<u64>) {
        add_lines(&self.board.card().join("lines"), lines);
    }

    fn wait_until_read(&self, lines: u64) {
        wait_until("the lines are read", || {
            self.board.metrics().get("headwater_read_total") == Some(&lines)
        });
    }

    /// The network comes back, and `fresh` lines come before the second call is answered.
    fn ends(&self, fresh: u64) {
        self.gate.close_at(0);
        self.network.restore().unwrap();
        self.gate.wait_for_call();
        self.add(FRESH..FRESH + fresh);
        self.wait_until_read(BACKLOG + fresh);
    }

    fn arrived(&self) -> Vec<u64> {
        numbers(&self.server.taken()).collect()
    }

    fn wait_for(&self, lines: u64) {
        wait_until("all lines arrive", || {
            self.gate.fresh.load(Ordering::SeqCst) as u64 > 0 && {
                let mut arrived = self.arrived();
                arrived.sort_unstable();
                arrived.dedup();
                arrived.len() as u64 == lines
            }
        });
    }
}

#[test]
fn what_is_read_after_an_outage_goes_before_a_backlog_larger_than_the_window() {
    const MANY: u64 = 3000;
    for options in [
        &[("HEADWATER_FRESH_FIRST", "1")][..],
        &[("HEADWATER_FRESH_FIRST", "1"), ("HEADWATER_PACK", "1")],
    ] {
        // Given an outage with a backlog larger than the window, and lines that come after it
        let (outage, running) = Outage::with(options);
        outage.ends(MANY);
        let before = outage.server.calls().len();
        // When the second call after it is answered
        outage.gate.open();
        outage.wait_for(BACKLOG + MANY);
        // Then half of what is sent soon after, as calls grow again, is of the new lines, in their order, until they are through
        let calls = outage.server.calls();
        let is_fresh = |call: &Call| numbers(&call.puts).any(|n| n >= FRESH);
        let first = calls[before..].iter().position(is_fresh).unwrap();
        assert!(first < 8, "{first} calls of what was taken before");
        let (mut fresh, mut sent, mut largest) = (0, 0, 0);
        for call in &calls[before + first..] {
            let lines: Vec<_> = numbers(&call.puts).collect();
            fresh += lines.iter().filter(|n| **n >= FRESH).count();
            sent += lines.len();
            largest = largest.max(lines.len());
            if fresh == MANY as usize {
                break;
            }
            // A few posts that were taken together may go in several small calls.
            let level = largest.max(8);
            assert!((2 * fresh).abs_diff(sent) <= level, "{fresh} of {sent}");
        }
        let arrived = outage.arrived();
        let (new, old): (Vec<_>, Vec<_>) = arrived.iter().copied().partition(|n| *n >= FRESH);
        assert!(new.is_sorted() && old.is_sorted());
        // And when the last of them arrived, most of the backlog was still to come
        let last = arrived.iter().rposition(|n| *n >= FRESH).unwrap();
        assert!(last < 3 * MANY as usize, "{last}");
        // And each line arrived once
        assert_eq!((new.len() as u64, old.len() as u64), (MANY, BACKLOG));
        running.signal(Signal::TERM);
        let (went_well, said) = running.end();
        assert!(went_well, "{said}");
    }
}

#[test]
fn a_kill_amid_fresh_posts_repeats_the_call_in_flight_alone() {
    const MANY: u64 = 6000;
    // Given fresh lines of which a third arrived, while a backlog larger than the window waits
    let (outage, running) = Outage::with(&[("HEADWATER_FRESH_FIRST", "1")]);
    outage.ends(MANY);
    outage.gate.close_at(MANY as usize / 3);
    outage.gate.open();
    wait_until("a third is through", || {
        outage.gate.fresh.load(Ordering::SeqCst) >= MANY as usize / 3
    });
    outage.gate.wait_for_call();
    // When the program is killed amid a call, and started anew
    let calls = outage.server.calls();
    let in_flight = calls.last().unwrap();
    running.signal(Signal::KILL);
    running.end();
    outage.gate.open();
    let before = numbers(&in_flight.puts).max().unwrap();
    wait_until("the call is taken", || outage.arrived().contains(&before));
    let so_far = outage.arrived().len();
    let running = outage.board.start(&[]).unwrap();
    outage.wait_for(BACKLOG + MANY);
    running.signal(Signal::TERM);
    assert!(running.end().0);
    // Then nothing but the call in flight came twice
    let mut times = BTreeMap::<u64, u64>::new();
    let arrived = outage.arrived();
    for n in &arrived {
        *times.entry(*n).or_default() += 1;
    }
    let held: Vec<_> = numbers(&in_flight.puts).collect();
    let twice: Vec<_> = times.iter().filter(|(_, times)| **times > 1).collect();
    assert!(
        twice
            .iter()
            .all(|(n, times)| **times == 2 && held.contains(n))
    );
    assert_eq!(twice.len(), held.len());
    // And the fresh ones that were left still went before the backlog
    let last = arrived.iter().rposition(|n| *n >= FRESH).unwrap();
    assert!(last < so_far + 3 * MANY as usize, "{last} of {so_far}");
    println!(
        "{} lines, {} twice of a call of {}",
        times.len(),
        twice.len(),
        held.len()
    );
}

#[test]
fn a_run_drains_though_posts_are_throttled_and_refused() {
    const POSTS: usize = 4000;
    for pack in [false, true] {
        // Given fresh posts and a backlog; a stream that throttles two records of five for a while, and refuses a post of each
        let poison = |post: &str| ["00500", "03000"].iter().any(|bad| post.starts_with(bad));
        let server = Kinesis::start(move |number, call| {
            let posts = call.puts.iter().flat_map(Put::posts);
            if posts.into_iter().any(|post| poison(&post)) {
                return Reply::error(400, "ValidationException");
            }
            let places = 0..call.puts.len();
            let accepts = |place| number > 80 || (number * 7 + place * 13) % 5 > 1;
            let code = "ProvisionedThroughputExceededException";
            Reply::AcceptThese(places.map(accepts).collect(), code)
        });
        let mut delivery = Delivery::of(texts(0..POSTS));
        delivery.flow.fresh_first = true;
        delivery.flow.pack = pack;
        assert!(delivery.spool.begin_run(2500));
        // When all is delivered
        delivery.deliver_to(&server);
        // Then each arrived once, but for the two in the dead-letter file
        let mut arrived = server.data();
        arrived.sort();
        let mut good = texts(0..POSTS);
        good.retain(|post| !poison(post));
        assert!(arrived == good, "{} of {}", arrived.len(), good.len());
        assert_eq!(delivery.waiting(), 0);
        assert_eq!(delivery.counters.impossible.get(), 2);
        // And the first call began with the oldest of the fresh ones
        let first = server.calls().first().map(|call| call.puts[0].posts());
        assert_eq!(first.unwrap().first(), texts(2500..2501).first());
    }
}
