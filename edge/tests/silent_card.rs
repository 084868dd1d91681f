//! A card that hangs without an error: it holds up nothing but what must wait for it, and a person hears of it.

mod support;

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;
use support::board::{board_to, heard_by, status};
use support::card::Card;
use support::monitor::watched;

use headwater::platform::time::Clock;
use headwater::post::record::Record;
use headwater::spool::WhenFull;
use testkit::kinesis::{Kinesis, Reply};
use testkit::notify::Listener;
use testkit::program::{Board, Program};
use testkit::{PATIENCE, until};

/// How long the card of the tests is silent before the program says so; that of a user is for 30 s.
const CARD_SILENCE_S: u64 = 4;

/// A Kinesis that takes nothing until `open` is true.
fn kinesis(open: &Arc<AtomicBool>) -> Kinesis {
    let open = open.clone();
    Kinesis::start(move |_, _| match open.load(Ordering::SeqCst) {
        true => Reply::Accept,
        false => Reply::error(500, "InternalFailure"),
    })
}

/// The lines that arrived.
fn lines(server: &Kinesis) -> Vec<String> {
    let line = |data: &String| {
        let envelope: Value = serde_json::from_str(data).unwrap();
        envelope["line"].as_str().unwrap().to_owned()
    };
    server.data().iter().map(line).collect()
}

fn board(url: &str, card: &Card) -> Board {
    let at = |name: &str| card.path().join(name).display().to_string();
    board_to(url)
        .with("HEADWATER_SPOOL", at("spool"))
        .with("HEADWATER_METRICS_FILE", at("metrics"))
        .with("HEADWATER_TEST_PATIENCE_S", CARD_SILENCE_S.to_string())
}

/// Starts the program, and lets it write a first line to the card, which Kinesis does not take.
fn start_with_a_line(board: &Board) -> Program {
    let mut running = board.start(&[]).unwrap();
    running.wait_for("is in use");
    running.write(&["first"]);
    until("the first line is on the card", || {
        status(board).filter(|status| status["syncs"].as_u64() > Some(0))
    });
    running
}

#[test]
fn posts_flow_on_past_a_card_that_does_not_answer() {
    // Given a program that keeps its spool and its metrics on a card, and a line it cannot deliver
    let card = Card::new();
    let listener = Listener::new();
    let open = Arc::default();
    let server = kinesis(&open);
    let board = heard_by(&listener, board(&server.url(), &card));
    let mut running = start_with_a_line(&board);

    // When the card falls silent, and Kinesis takes posts again
    let silence = card.silence();
    running.write(&["second"]);
    open.store(true, Ordering::SeqCst);

    // Then what was read before and what is read now arrive
    until("both lines arrive", || {
        (server.data().len() == 2).then_some(())
    });
    running.write(&["third"]);
    until("the third arrives", || {
        (server.data().len() == 3).then_some(())
    });

    // And systemd hears that all threads move
    listener.forget();
    listener.signs(3);

    // And a person hears what is wrong, and for how long it has been
    running.wait_for("the card does not answer: delivery goes on");
    let silent = status(&board).unwrap();
    let trouble = &silent["troubles"][0];
    assert_eq!(trouble["of"], "spool", "{silent}");
    assert!(
        trouble["for_s"].as_u64() >= Some(CARD_SILENCE_S),
        "{silent}"
    );

    // When it answers again, then all is as if nothing had been
    drop(silence);
    running.wait_for("the card answers again, after");
    until("there is no trouble", || {
        status(&board).filter(|status| status["troubles"] == Value::Array(vec![]))
    });
    let (went_well, said) = running.end();
    assert!(went_well, "{said}");
    assert_eq!(lines(&server), ["first", "second", "third"]);
}

#[test]
fn delivery_that_waits_for_a_silent_card_is_said_and_is_no_reason_to_start_again() {
    const RECORDS: u64 = 60;
    // Given a spool whose oldest posts only the card has: the stage holds a hundred of them
    let card = Card::new();
    let listener = Listener::new();
    let (mut monitor, feed, clock) =
        watched(card.path().join("spool"), WhenFull::Block, &listener.path());
    let record = Record {
        partition_key: "k",
        data: &[b'x'; 10_000],
    };
    for _ in 0..3 {
        for _ in 0..RECORDS {
            feed.put(record, b"", "").unwrap();
        }
        feed.spool.commit();
    }
    feed.counters.uplink.alive(clock.elapsed(), Duration::ZERO);
    monitor.tick();
    listener.signs(1);

    // When the card falls silent while they are read
    let silence = card.silence();
    let reader = thread::spawn({
        let spool = feed.spool.clone();
        move || {
            let mut shown = 0;
            spool.peek(|_, _| {
                shown += 1;
                ControlFlow::Continue(())
            });
            shown
        }
    });
    until("the reader is at work", || feed.spool.stats().reading_for);
    clock.advance(Duration::from_secs(5 * 60));
    feed.alive();

    // Then the uplink stands still, and systemd hears that all is well as far as a restart could heal it
    assert_eq!(
        feed.counters
            .stuck(clock.elapsed(), monitor.patience.thread),
        Some("uplink")
    );
    monitor.tick();
    let heard = listener.next(PATIENCE).unwrap();
    assert!(
        heard.contains("WATCHDOG=1") && heard.contains("the card does not answer"),
        "{heard}"
    );
    let troubles = monitor.snapshot().troubles;
    assert_eq!(
        (troubles[0].of.as_str(), troubles[0].for_s),
        ("spool", Some(300))
    );

    // When the card answers, then every post is there
    drop(silence);
    assert_eq!(reader.join().unwrap(), 3 * RECORDS);
    clock.advance(Duration::from_secs(60));
    feed.counters.uplink.alive(clock.elapsed(), Duration::ZERO);
    monitor.tick();
    listener.signs(1);
    assert_eq!(monitor.snapshot().troubles, []);
}

#[test]
fn the_end_does_not_wait_for_ever_for_a_card_that_does_not_answer() {
    // Given a program with a line that is in RAM alone, when its card falls silent
    let card = Card::new();
    let open = Arc::default();
    let server = kinesis(&open);
    let board = board(&server.url(), &card);
    let mut running = start_with_a_line(&board);
    let silence = card.silence();
    running.write(&["second"]);
    until("the second line is read", || {
        status(&board).filter(|status| status["read"] == 2)
    });

    // When it is to end, then it does, and says what that means
    running.signal(Signal::TERM);
    running.wait_for("the card does not answer: posts that wait in RAM are sent when");
    drop(silence);
    assert!(!running.end().0);

    // And the next start sends both lines
    open.store(true, Ordering::SeqCst);
    let running = board.start(&[]).unwrap();
    until("both lines arrive", || {
        (server.data().len() == 2).then_some(())
    });
    assert!(running.end().0);
    assert_eq!(lines(&server), ["first", "second"]);
}

#[test]
fn check_says_of_a_card_that_it_does_not_answer() {
    let card = Card::new();
    let board = board("http://127.0.0.1:1", &card);
    let silence = card.silence();
    let running = board.start(&["check"]).unwrap();
    running.wait_for("the disk has not answered");
    // No program ends before what it waits for in the kernel has come.
    drop(silence);
    let (went_well, said) = running.end();
    let spool = said.lines().find(|line| line.starts_with("spool")).unwrap();
    assert!(!went_well && spool.contains("bad"), "{said}");
}
