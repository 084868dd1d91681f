//! A card that hangs without an error: it holds up nothing but what must wait for it, and a person hears of it.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::process::Signal;
use serde_json::Value;
use support::card::Card;
use support::kinesis::{Kinesis, Reply};
use support::notify::Listener;
use support::program::{Board, Running, status, until};

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
    Board::new(url)
        .with("HEADWATER_SPOOL", &at("spool"))
        .with("HEADWATER_METRICS_FILE", &at("metrics"))
}

/// Starts the program, and lets it write a first line to the card, which Kinesis does not take.
fn start_with_a_line(board: &Board) -> Running {
    let mut running = board.start(&[]);
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
    let board = listener.heard_by(board(&server.url(), &card));
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

    // When it answers again, then all is as if nothing had been
    drop(silence);
    let (went_well, said) = running.end();
    assert!(went_well, "{said}");
    assert_eq!(lines(&server), ["first", "second", "third"]);
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
    let running = board.start(&[]);
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
    let running = board.start(&["check"]);
    running.wait_for("its disk does not answer");
    // No program ends before what it waits for in the kernel has come.
    drop(silence);
    let (went_well, said) = running.end();
    let spool = said.lines().find(|line| line.starts_with("spool")).unwrap();
    assert!(!went_well && spool.contains("bad"), "{said}");
}
