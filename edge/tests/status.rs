//! `headwater status` and the metrics file, of the real program.

mod support;

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use serde_json::Value;
use support::board::{board_to, status};
use support::monitor::watched;

use headwater::observe::metrics;
use headwater::post::record::Record;
use headwater::source::Feed;
use headwater::spool::WhenFull;
use testkit::kinesis::{Kinesis, Reply};
use testkit::until;

#[test]
fn a_running_program_says_what_it_does_and_an_ended_one_what_it_left() {
    // Given a program that delivered ten lines
    let server = Kinesis::scripted([]);
    let board = board_to(&server.url());
    let metrics = board.card().join("metrics.prom");
    let mut running = board
        .start(&["--metrics-file", metrics.to_str().unwrap()])
        .unwrap();
    running.write(&["one line"; 10]);

    // When it is asked, then it says so in JSON
    let status = until("ten delivered", || {
        status(&board).filter(|status| status["delivered"] == 10)
    });
    for (field, expected) in [
        ("read", Value::from(10)),
        ("waiting_records", 0.into()),
        ("source", "lines of standard input".into()),
        ("stream", "posts".into()),
        ("ended", false.into()),
        ("troubles", Value::Array(vec![])),
        ("credentials_expiry_s", Value::Null),
        (
            "capacity_bytes",
            status["capacity_bytes"]
                .as_u64()
                .filter(|bytes| *bytes > 0)
                .into(),
        ),
    ] {
        assert_eq!(status[field], expected, "{field}");
    }

    // And in words, without colours where there is no terminal
    let output = board.output(&["status"]);
    let words = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success());
    assert!(
        words.contains("read         10 posts") && words.contains("trouble      none"),
        "{words}"
    );
    assert!(!words.contains('\x1b'), "{words}");

    // And the metrics file has the same figures
    until("the figures are in the metrics file", || {
        let text = std::fs::read_to_string(&metrics).ok()?;
        text.contains("\nheadwater_delivered_total 10\n")
            .then_some(())
    });

    // And none of this stands on the card but the metrics that were asked for there
    assert!(!std::fs::read_dir(board.card()).unwrap().any(|file| {
        file.unwrap()
            .file_name()
            .to_string_lossy()
            .contains("status")
    }));

    // When it has ended, then there is none, and the last one is remembered
    assert!(running.end().0);
    let output = board.output(&["status"]);
    assert_eq!(output.status.code(), Some(1));
    let words = String::from_utf8(output.stdout).unwrap();
    assert!(
        words.contains("not running: it ended") && words.contains("0 posts waited"),
        "{words}"
    );
}

#[test]
fn trouble_is_told_in_words_while_it_lasts() {
    // Given a stream that does not exist for the first call
    let server = Kinesis::scripted([Reply::error(400, "ResourceNotFoundException")]);
    let board = board_to(&server.url());
    let mut running = board.start(&[]).unwrap();
    running.write(&["a line"]);

    // When it is asked, then it says what is wrong, since when, and what waits
    let troubled = until("there is trouble", || {
        status(&board).filter(|status| status["troubles"] != Value::Array(vec![]))
    });
    let trouble = &troubled["troubles"][0];
    assert_eq!(trouble["of"], "uplink");
    assert!(
        trouble["text"]
            .as_str()
            .unwrap()
            .contains("there is no stream 'posts'"),
        "{trouble}"
    );
    assert_eq!(troubled["waiting_records"], 1);

    // And when the stream is there, then nothing is
    let well = until("all is well", || {
        status(&board).filter(|status| status["delivered"] == 1)
    });
    assert_eq!(well["troubles"], Value::Array(vec![]));
    let (went_well, said) = running.end();
    assert!(went_well && said.contains("posts arrive again"), "{said}");
}

#[test]
fn where_none_runs_a_line_says_so_and_the_exit_code_too() {
    let board = board_to("http://127.0.0.1:1");
    let output = board.output(&["status"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        String::from_utf8(output.stdout)
            .unwrap()
            .starts_with("headwater is not running")
    );
    let output = board.output(&["status", "--json"]);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0));
}

#[test]
fn a_stopped_program_does_not_pass_for_a_running_one() {
    use rustix::process::Signal;
    let server = Kinesis::scripted([]);
    let board = board_to(&server.url());
    let running = board.start(&[]).unwrap();
    until("it runs", || status(&board));
    running.signal(Signal::STOP);
    until("it is missed", || status(&board).is_none().then_some(()));
    let output = board.output(&["status"]);
    let words = String::from_utf8(output.stdout).unwrap();
    assert!(words.contains("was last seen"), "{words}");
    running.signal(Signal::CONT);
    until("it is back", || status(&board));
}

/// The figures of a metrics file whose name ends as that of a counter does.
fn counters(text: &str) -> BTreeMap<String, u64> {
    text.lines()
        .filter_map(|line| {
            let (name, value) = line.split_once(' ')?;
            let name = name.strip_suffix("_total")?;
            Some((name.to_owned(), value.parse().unwrap()))
        })
        .collect()
}

/// Puts `count` records, of which the spool's stage holds about a hundred.
fn put(feed: &Feed, count: u64) {
    let record = Record {
        partition_key: "k",
        data: &[b'x'; 10_000],
    };
    for _ in 0..count {
        feed.put(record, b"", "").unwrap();
    }
}

// Prometheus takes a counter that goes down for one that began anew, and all it then shows for new.
#[test]
fn no_counter_of_the_metrics_goes_down_when_a_dropped_post_arrives_after_all() {
    // Given a spool that drops the oldest, and ten posts of it on their way to Kinesis
    let folder = tempfile::tempdir().unwrap();
    let (mut monitor, feed, _) = watched(folder.path().join("spool"), WhenFull::DropOldest, "");
    let mut figures = || counters(&metrics::text(&monitor.snapshot()));
    put(&feed, 10);
    let mut on_their_way = 0;
    feed.spool.peek(|seq, _| {
        on_their_way = seq + 1;
        ControlFlow::Continue(())
    });
    assert_eq!(on_their_way, 10);

    // When it overflows, then they are counted as dropped
    put(&feed, 150);
    let full = figures();
    let dropped = feed.spool.stats().dropped;
    assert!(dropped > 10);
    assert_eq!(full["headwater_spool_dropped"], dropped);

    // When they arrive after all, then the spool takes it back, and no counter goes down
    feed.spool.ack(on_their_way);
    assert_eq!(feed.spool.stats().dropped, dropped - 10);
    let arrived = figures();
    assert_eq!(arrived["headwater_spool_dropped"], dropped);
    assert_eq!(arrived["headwater_spool_drops_taken_back"], 10);

    // And what is dropped from then on is counted to the last one
    put(&feed, 150);
    let more = figures();
    assert_eq!(
        more["headwater_spool_dropped"] - more["headwater_spool_drops_taken_back"],
        feed.spool.stats().dropped
    );
    for (before, after) in [(&full, &arrived), (&arrived, &more)] {
        assert!(before.iter().all(|(name, count)| after[name] >= *count));
    }
}
