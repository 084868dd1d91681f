//! Lines of a file, a pipe and standard input: what travels, and what cannot.

mod support;

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;
use support::lines::*;
use support::source::*;

use headwater::post::filter::Filter;
use headwater::source::lines::{Input, Lines, Settings};
use testkit::wait_until;

#[test]
fn each_line_travels_in_an_envelope_under_its_id() {
    // Given lines of all kinds, the last without an end
    let folder = Folder::new();
    let file = folder.file("log");
    append(
        &file,
        "plain \"text\" 🍕\r\n{\"t\": 21.50}\n42\n\n007\nnot ended",
    );

    // When they are read
    let feed = real_feed();
    let running = follow(&file, &feed);
    wait_until("five lines are read", || records(&feed).len() == 5);
    running.stop().unwrap();

    // Then JSON is JSON, anything else a string, and the unended line waits
    let records = records(&feed);
    let values = [
        r#""plain \"text\" 🍕""#,
        r#"{"t": 21.50}"#,
        "42",
        r#""""#,
        r#""007""#,
    ];
    for ((key, data), value) in records.iter().zip(values) {
        let envelope: Value = serde_json::from_str(data).unwrap();
        assert_eq!(envelope["id"], **key);
        assert_eq!(key.len(), 26);
        let at = envelope["at"].as_str().unwrap();
        assert_eq!(
            *data,
            format!(
                r#"{{"headwater":1,"id":"{key}","at":"{at}","from":"board-7","line":{value}}}"#
            )
        );
    }
    let mut ids = ids(&feed);
    assert!(ids.is_sorted(), "ids of a file sort as its lines do");
    ids.dedup();
    assert_eq!(ids.len(), 5);
}

#[test]
fn a_line_that_cannot_be_stored_is_counted_and_the_rest_goes_on() {
    let folder = Folder::new();
    let file = folder.file("log");
    let mut content = b"first\n".to_vec();
    content.extend(std::iter::repeat_n(b'x', 3 << 20));
    content.extend_from_slice(b"\n");
    // One that fits by itself, and does not with its envelope
    content.extend(std::iter::repeat_n(b'y', (1 << 20) - 20));
    content.extend_from_slice(b"\nlast\n");
    fs::write(&file, content).unwrap();

    let feed = real_feed();
    let running = follow(&file, &feed);
    wait_for_lines(&feed, &["first", "last"]);
    running.stop().unwrap();
    assert_eq!(feed.counters.unusable.get(), 2);
    assert_eq!(feed.counters.read.get(), 2);
}

#[test]
fn odd_bytes_never_cost_a_line() {
    // Given what a sensor's degree sign, a copytruncate under a writer and a power cut leave
    let folder = Folder::new();
    let file = folder.file("log");
    let mut content = b"21,5 \xb0C\na\0 in it\n\0\0\0\n".to_vec();
    // More NUL bytes than any line may have
    content.extend(std::iter::repeat_n(0, 3 << 20));
    content.extend_from_slice(b"after a hole\nlast\n");
    fs::write(&file, content).unwrap();

    // When they are read
    let feed = real_feed();
    let running = follow(&file, &feed);
    wait_for_lines(
        &feed,
        &["21,5 \u{fffd}C", "a in it", "after a hole", "last"],
    );
    running.stop().unwrap();

    // Then that is said in figures, and nothing was left out
    assert_eq!(feed.counters.mended.get(), 4);
    assert_eq!(feed.counters.unusable.get(), 0);
}

#[test]
fn a_byte_order_mark_is_no_part_of_the_first_line() {
    let folder = Folder::new();
    let file = folder.file("log");
    append(&file, "\u{feff}{\"t\":1}\n\u{feff}not first\n");
    let feed = real_feed();
    let running = follow(&file, &feed);
    wait_for_lines(&feed, &["{\"t\":1}", "\u{feff}not first"]);
    running.stop().unwrap();
    assert_eq!(envelopes(&feed)[0]["line"]["t"], 1);
    assert_eq!(feed.counters.mended.get(), 0);
}

#[test]
fn the_partition_key_and_the_filter_are_found_in_the_line() {
    let folder = Folder::new();
    let file = folder.file("log");
    append(
        &file,
        "{\"sensor\":{\"id\":\"kitchen\"},\"t\":\"hot\"}\n{\"sensor\":{\"id\":7},\"t\":\"hot\"}\ncold\nhot\n{\"sensor\":{\"id\":\"\"},\"t\":\"hot\"}\n",
    );
    let settings = Settings {
        filter: Some(Filter::parse("hot").unwrap()),
        partition_key: Some("/sensor/id".parse().unwrap()),
        ..settings(&file)
    };
    let feed = real_feed();
    let running = Running::start(Lines::new(settings), &feed);
    wait_until("the wanted lines are read", || records(&feed).len() == 4);
    running.stop().unwrap();
    let keys: Vec<_> = records(&feed).into_iter().map(|(key, _)| key).collect();
    let ids = ids(&feed);
    assert_eq!(keys, ["kitchen", "7", &ids[2], &ids[3]]);
    assert_eq!(feed.counters.filtered.get(), 1);
}

#[test]
fn a_named_pipe_is_read_while_its_writers_come_and_go() {
    let folder = Folder::new();
    let pipe = folder.file("pipe");
    let made = Command::new("mkfifo").arg(&pipe).status().unwrap();
    assert!(made.success());
    let feed = real_feed();
    let running = follow(&pipe, &feed);
    for (line, expected) in [("one", &["one"][..]), ("two", &["one", "two"])] {
        let mut writer = OpenOptions::new().write(true).open(&pipe).unwrap();
        writeln!(writer, "{line}").unwrap();
        drop(writer);
        wait_for_lines(&feed, expected);
    }
    running.stop().unwrap();
}

#[test]
fn a_folder_is_refused_with_a_clear_word() {
    let folder = Folder::new();
    let running = follow(folder.folder.path(), &real_feed());
    let error = running.end().unwrap_err().to_string();
    assert!(error.ends_with("is a folder: name a file"), "{error}");
}

/// Standard input belongs to the whole process, so this runs the test below in one of its own.
fn read_as_stdin(content: &[u8]) -> String {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "standard_input_of_a_child", "--nocapture"])
        .env("HEADWATER_TEST_CHILD", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(content).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn standard_input_of_a_child() {
    if std::env::var_os("HEADWATER_TEST_CHILD").is_none() {
        return;
    }
    let feed = real_feed();
    let settings = Settings {
        input: Input::Stdin,
        ..settings(Path::new(""))
    };
    Running::start(Lines::new(settings), &feed).end().unwrap();
    let ids: BTreeSet<_> = ids(&feed).into_iter().collect();
    println!("ids={} lines={}", ids.len(), lines(&feed).join("|"));
}

#[test]
fn standard_input_ends_the_source_and_its_last_line_counts_without_a_newline() {
    assert!(read_as_stdin(b"one\ntwo\nthree").contains("ids=3 lines=one|two|three\n"));
    assert!(read_as_stdin("\u{feff}one".as_bytes()).contains("ids=1 lines=one\n"));
    assert!(read_as_stdin(b"one\n").contains("ids=1 lines=one\n"));
    assert!(read_as_stdin(b"").contains("ids=0 lines=\n"));
}
