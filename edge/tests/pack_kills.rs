//! The real program killed with packs in flight, and while posts wait for company.

mod support;

use std::collections::BTreeMap;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};

use serde_json::Value;
use support::board::board_to;
use support::lines::append;

use testkit::kinesis::{Kinesis, Put, Reply};
use testkit::program::Board;
use testkit::wait_until;

/// Holds a call that came, when it is told to.
#[derive(Default)]
struct Gate(Mutex<Option<Order>>);

/// What is to be done to a call.
struct Order {
    /// Calls that pass before it.
    pass: usize,
    held: Sender<Held>,
}

/// A call that came and is neither taken nor answered yet.
struct Held {
    /// The lines in it.
    lines: Vec<u64>,
    /// Packs in it.
    packs: usize,
    /// Whether it is taken in the end; it is not answered.
    takes: Sender<bool>,
}

impl Gate {
    /// Has the call behind `pass` others held, which is then received.
    fn hold_after(&self, pass: usize) -> Receiver<Held> {
        let (held, call) = mpsc::channel();
        *self.0.lock().unwrap() = Some(Order { pass, held });
        call
    }

    fn decide(&self, puts: &[Put]) -> Reply {
        let mut order = self.0.lock().unwrap();
        let held = match order.take() {
            None => return Reply::Accept,
            Some(Order { pass: 0, held }) => held,
            Some(Order { pass, held }) => {
                let pass = pass - 1;
                *order = Some(Order { pass, held });
                return Reply::Accept;
            }
        };
        drop(order);
        let (takes, decision) = mpsc::channel();
        let lines = puts.iter().flat_map(Put::posts);
        let lines = lines.map(|post| number(&post)).collect();
        let packs = puts.len();
        held.send(Held {
            lines,
            packs,
            takes,
        })
        .unwrap();
        match decision.recv().unwrap() {
            true => Reply::AcceptAndCut,
            false => Reply::error(500, "InternalFailure"),
        }
    }
}

fn gated() -> (Kinesis, Arc<Gate>) {
    let gate = Arc::new(Gate::default());
    let ours = gate.clone();
    (Kinesis::start(move |_, call| ours.decide(&call.puts)), gate)
}

/// A board that packs the lines of a file.
fn packing(server: &Kinesis, linger: &str) -> Board {
    let board = board_to(&server.url())
        .with("HEADWATER_PACK", "1")
        .with("HEADWATER_LINGER", linger);
    let (input, metrics) = (board.card().join("lines"), board.metrics_file());
    board
        .with("HEADWATER_INPUT", input)
        .with("HEADWATER_METRICS_FILE", metrics)
}

fn write(board: &Board, lines: std::ops::Range<u64>) {
    let pad = "x".repeat(300);
    let lines = lines.map(|n| format!("{{\"n\":{n},\"pad\":\"{pad}\"}}\n"));
    append(&board.card().join("lines"), &lines.collect::<String>());
}

fn number(post: &str) -> u64 {
    let post: Value = serde_json::from_str(post).unwrap();
    post["line"]["n"].as_u64().unwrap()
}

/// How often each line arrived.
fn arrived(server: &Kinesis) -> BTreeMap<u64, u64> {
    let mut times = BTreeMap::new();
    for post in server.data() {
        *times.entry(number(&post)).or_default() += 1;
    }
    times
}

#[test]
fn kills_with_packs_in_flight_lose_nothing_and_repeat_the_posts_of_calls_that_arrived() {
    const KILLS: u64 = 8;
    const LINES: u64 = 700;
    for linger in ["0", "50ms"] {
        // Given a program that sends packs, and is killed again and again while a call is on its way, which arrives every second time
        let (server, gate) = gated();
        let board = packing(&server, linger);
        let (mut expected, mut most_packs) = (BTreeMap::new(), 0);
        for kill in 0..KILLS {
            let lines = kill * LINES..(kill + 1) * LINES;
            let call = gate.hold_after(kill as usize % 3);
            write(&board, lines.clone());
            let mut program = board.start(&[]).unwrap();
            let held = call.recv_timeout(testkit::PATIENCE).expect("a call");
            program.kill();
            held.takes.send(kill % 2 == 0).unwrap();
            most_packs = most_packs.max(held.packs);
            expected.extend(lines.map(|line| (line, 1)));
            if kill % 2 == 0 {
                for line in held.lines {
                    *expected.entry(line).or_default() += 1;
                }
            }
        }
        assert!(most_packs > 1, "no call had several packs");

        // When it runs undisturbed
        let mut program = board.start(&[]).unwrap();
        wait_until("every line arrives", || {
            arrived(&server).len() as u64 == KILLS * LINES
        });
        let ended = program.stop(testkit::PATIENCE).unwrap();
        assert!(ended.is_some_and(|status| status.success()));

        // Then every line is there, in packs, and twice are those alone that were on their way and arrived
        assert!(server.taken().iter().all(|put| put.pack.is_some()));
        let arrived = arrived(&server);
        let differ = |line: &&u64| arrived.get(line) != expected.get(line);
        let differ: Vec<_> = expected.keys().filter(differ).collect();
        assert!(differ.is_empty(), "with --linger {linger}: {differ:?}");
    }
}

#[test]
fn a_kill_while_posts_wait_for_company_loses_none_and_sends_none_twice() {
    // Given posts that wait for others to share a pack with
    let (server, _gate) = gated();
    let board = packing(&server, "1h");
    write(&board, 0..0);
    let mut program = board.start(&[]).unwrap();
    let read = || board.metrics().get("headwater_read_total").copied();
    wait_until("it waits for posts", || read() == Some(0));
    write(&board, 0..40);
    wait_until("all are read", || read() == Some(40));
    assert_eq!(server.count(), 0);
    // When the program is killed, and started again
    program.kill();
    let mut program = board.start(&[]).unwrap();
    // Then they go at once, together
    wait_until("they arrive", || server.data().len() == 40);
    assert_eq!(server.count(), 1);
    // And what waits for company when the end is asked for goes before it
    write(&board, 40..50);
    wait_until("the others are read", || read() == Some(10));
    let ended = program.stop(testkit::PATIENCE).unwrap();
    assert!(ended.is_some_and(|status| status.success()));
    assert_eq!(arrived(&server), (0..50).map(|line| (line, 1)).collect());
    assert_eq!(server.count(), 2);
}
