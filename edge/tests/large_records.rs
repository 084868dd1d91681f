//! Records of more than 1 MiB, for streams that are set to take them.

mod support;

use std::fs;

use serde_json::{Value, json};
use support::board::board_to;
use testkit::kinesis::{Kinesis, Reply};
use testkit::program::{Board, Program};
use testkit::until;

const MIB: usize = 1 << 20;

/// A line of so many bytes that no compression makes smaller than its tenth.
fn line(bytes: usize) -> String {
    (0_u64..)
        .map(|n| format!("{:016x}", n.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
        .flat_map(|word| word.into_bytes())
        .take(bytes)
        .map(char::from)
        .collect()
}

/// The most memory the program has had, in KiB.
fn peak_kib(running: &Program) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", running.pid())).unwrap();
    let peak = status.lines().find(|line| line.starts_with("VmHWM:"));
    let peak = peak.and_then(|line| line.split_whitespace().nth(1));
    peak.unwrap().parse().unwrap()
}

/// Has the program read these lines and deliver `count` records: what they hold, the most memory it had, and what it said.
fn deliver(
    server: &Kinesis,
    board: &Board,
    lines: &[&str],
    count: usize,
) -> (Vec<String>, u64, String) {
    let mut running = board.start(&[]).unwrap();
    running.write(lines);
    until("they are delivered", || {
        (server.count() == count).then_some(())
    });
    let peak = peak_kib(&running);
    let (went_well, said) = running.end();
    assert!(went_well, "{said}");
    let line = |data: String| serde_json::from_str::<Value>(&data).unwrap()["line"].take();
    let lines = server.data().into_iter().map(line);
    let lines = lines.map(|line| line.as_str().unwrap().to_owned());
    (lines.collect(), peak, said)
}

fn board_of(server: &Kinesis, size: &str) -> Board {
    board_to(&server.url())
        .with("HEADWATER_MAX_RECORD_SIZE", size)
        .with("HEADWATER_SPOOL_SIZE", "64MiB")
}

#[test]
fn a_line_of_five_mib_goes_through_whole_where_the_stream_takes_it() {
    for wire in ["json", "cbor"] {
        for pack in ["0", "1"] {
            // Given a stream of records up to 10 MiB
            let server = Kinesis::start(|_, _| Reply::Accept);
            let board = board_of(&server, "10MiB")
                .with("HEADWATER_WIRE", wire)
                .with("HEADWATER_PACK", pack);
            // When a line of 5 MiB comes between others
            let large = line(5 * MIB);
            let lines = ["before", &large, "after"];
            let mut running = board.start(&[]).unwrap();
            running.write(&lines);
            until("they are delivered", || {
                (server.data().len() == 3).then_some(())
            });
            assert!(running.end().0);
            // Then it arrives whole, once, in its place
            let line = |data: String| serde_json::from_str::<Value>(&data).unwrap()["line"].take();
            let arrived: Vec<_> = server.data().into_iter().map(line).collect();
            assert!(arrived == lines.map(Value::from), "{wire}, packs: {pack}");
        }
    }
}

#[test]
fn a_line_that_is_too_large_is_left_out_with_a_word_and_the_others_go_on() {
    // Given limits as they are by default, and one that was raised
    for (size, bytes, hint) in [
        ("1MiB", 5 * MIB, "(--max-record-size, if the stream"),
        ("1MiB", MIB + 1, "(--max-record-size, if the stream"),
        ("6MiB", 7 * MIB, "(--max-record-size, if the stream"),
        ("10MiB", 11 * MIB, "holds at most 10485760;"),
    ] {
        let server = Kinesis::start(|_, _| Reply::Accept);
        let large = line(bytes);
        let board = board_of(&server, size);
        let (arrived, _, said) = deliver(&server, &board, &["before", &large, "after"], 2);
        assert_eq!(arrived, ["before", "after"], "{size}");
        assert!(
            said.contains("left out a line") && said.contains(hint),
            "{said}"
        );
    }
}

#[test]
fn a_stream_that_takes_no_records_so_large_has_them_set_aside() {
    // Given a stream of records up to 1 MiB, and a board that was told otherwise
    let server = Kinesis::start(
        |_, call| match call.puts.iter().any(|put| put.data.len() > MIB) {
            true => Reply::Error(
                400,
                json!({
                    "__type": "ValidationException",
                    "message": "1 validation error detected: Value at 'data' failed to satisfy constraint: Member must have length less than or equal to 1048576",
                }),
            ),
            false => Reply::Accept,
        },
    );
    let board = board_of(&server, "10MiB");
    // When a large line comes
    let large = line(3 * MIB);
    let (arrived, _, said) = deliver(&server, &board, &["before", &large, "after"], 2);
    // Then it is in the dead letters, whole, and the others arrive
    assert_eq!(arrived, ["before", "after"]);
    assert!(said.contains("it is set aside in"), "{said}");
    let letters = fs::read_to_string(board.spool().with_added_extension("dead")).unwrap();
    assert!(letters.lines().count() == 1 && letters.len() > 4 * MIB);
}

#[test]
fn memory_grows_with_the_records_and_not_with_the_setting() {
    let peak = |size: &str, large: Option<&str>| {
        let server = Kinesis::start(|_, _| Reply::Accept);
        let lines: Vec<_> = ["small"].into_iter().chain(large).collect();
        deliver(&server, &board_of(&server, size), &lines, lines.len()).1
    };
    let large = line(10 * MIB - 300);
    let (usual, set) = (peak("1MiB", None), peak("10MiB", None));
    let (one, five, ten) = (
        peak("1MiB", Some(&large[..MIB - 300])),
        peak("10MiB", Some(&large[..5 * MIB])),
        peak("10MiB", Some(&large)),
    );
    println!(
        "peak memory in KiB: {usual} by default, {set} with --max-record-size 10MiB; with one line of 1 MiB {one}, 5 MiB {five}, 10 MiB {ten}"
    );
    assert!(set < usual + 1024, "{usual} {set}");
    // The line, its envelope, the spool's copy and a body in base64, which is there twice while its buffer grows.
    assert!(ten < usual + 7 * 10 * 1024, "{usual} {ten}");
}

#[test]
fn a_spool_too_small_for_a_few_such_records_is_refused_at_the_start() {
    let server = Kinesis::start(|_, _| Reply::Accept);
    let board = board_of(&server, "10MiB").with("HEADWATER_SPOOL_SIZE", "39MiB");
    let output = board.output(&[]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(
        said.contains("--spool-size is too small for --max-record-size")
            && said.contains("40960 KiB"),
        "{said}"
    );
    for size in ["11MiB", "1000KiB", "five"] {
        let board = board_of(&server, size);
        let output = board.output(&[]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(
            said.contains("--max-record-size is a size from 1MiB to 10MiB"),
            "{said}"
        );
    }
}
