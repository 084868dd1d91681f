//! Lines of real files and of standard input.

mod source_support;

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use headwater::filter::Filter;
use headwater::record::Record;
use headwater::source::Feed;
use headwater::source::lines::{Input, Lines, Settings};
use headwater::spool::Appended;
use headwater::time::SystemClock;
use serde_json::Value;
use source_support::*;

fn settings(path: &Path) -> Settings {
    Settings {
        input: Input::File(path.to_owned()),
        filter: None,
        partition_key: None,
        host: "board-7".to_owned(),
    }
}

/// A feed on the machine's own clock, as a file is looked at in real time.
fn real_feed() -> Feed {
    Feed {
        clock: Arc::new(SystemClock::default()),
        ..feed(Arc::default(), None)
    }
}

fn append(path: &Path, text: &str) {
    let mut file = OpenOptions::new()
        .append(true)
        .create(true)
        .open(path)
        .unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

fn envelopes(feed: &Feed) -> Vec<Value> {
    let parse = |(_, data): (String, String)| serde_json::from_str(&data).unwrap();
    records(feed).into_iter().map(parse).collect()
}

/// The lines read so far, numbers as text.
fn lines(feed: &Feed) -> Vec<String> {
    let text = |envelope: Value| match &envelope["line"] {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    envelopes(feed).into_iter().map(text).collect()
}

fn ids(feed: &Feed) -> Vec<String> {
    let id = |envelope: Value| envelope["id"].as_str().unwrap().to_owned();
    envelopes(feed).into_iter().map(id).collect()
}

fn wait_for_lines(feed: &Feed, expected: &[&str]) {
    wait_until("the lines are read", || {
        records(feed).len() >= expected.len()
    });
    assert_eq!(lines(feed), expected);
}

/// A run after one whose newest record that survived has this `position`.
fn restarted_at(position: &[u8]) -> Feed {
    let feed = real_feed();
    let record = Record::new("earlier", b"run").unwrap();
    assert!(matches!(feed.spool.append(record, position), Appended::Kept(seq) if seq == 0));
    feed.spool.ack(1);
    feed
}

fn follow(path: &Path, feed: &Feed) -> Running {
    Running::start(Lines::new(settings(path)), feed)
}

struct Folder {
    folder: tempfile::TempDir,
}

impl Folder {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

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
fn a_file_is_followed_as_it_appears_and_grows_in_pieces() {
    let folder = Folder::new();
    let file = folder.file("log");
    let feed = real_feed();
    let running = follow(&file, &feed);
    append(&file, "one\ntw");
    wait_for_lines(&feed, &["one"]);
    append(&file, "o\n");
    wait_for_lines(&feed, &["one", "two"]);
    running.stop().unwrap();
}

#[test]
fn a_rotated_file_is_read_to_its_end_before_the_new_one() {
    let folder = Folder::new();
    let file = folder.file("log");
    append(&file, "one\n");
    let feed = real_feed();
    let running = follow(&file, &feed);
    wait_for_lines(&feed, &["one"]);

    // When it is rotated, and its writer learns of that later than the program
    append(&file, "two\n");
    fs::rename(&file, folder.file("log.1")).unwrap();
    append(&file, "four\n");
    append(&folder.file("log.1"), "three, not ended");

    // Then nothing is left out
    wait_for_lines(&feed, &["one", "two", "three, not ended", "four"]);
    append(&file, "five\n");
    wait_for_lines(&feed, &["one", "two", "three, not ended", "four", "five"]);
    running.stop().unwrap();
}

#[test]
fn a_file_cut_short_is_read_from_its_start_and_its_lines_have_new_ids() {
    let folder = Folder::new();
    let file = folder.file("log");
    append(&file, "same\nmore\n");
    let feed = real_feed();
    let running = follow(&file, &feed);
    wait_for_lines(&feed, &["same", "more"]);

    // When it is cut short and begins with the same line
    File::create(&file).unwrap().write_all(b"same\n").unwrap();
    wait_for_lines(&feed, &["same", "more", "same"]);

    // And when it is written anew, longer than it was
    fs::write(&file, "other\nand longer\n").unwrap();
    wait_for_lines(&feed, &["same", "more", "same", "other", "and longer"]);
    running.stop().unwrap();

    // Then no two lines share an id
    let ids: BTreeSet<_> = ids(&feed).into_iter().collect();
    assert_eq!(ids.len(), 5);
}

#[test]
fn a_file_deleted_and_made_anew_is_read_from_its_start() {
    let folder = Folder::new();
    let file = folder.file("log");
    append(&file, "one\n");
    let feed = real_feed();
    let running = follow(&file, &feed);
    wait_for_lines(&feed, &["one"]);
    fs::remove_file(&file).unwrap();
    append(&file, "one\n");
    wait_for_lines(&feed, &["one", "one"]);
    running.stop().unwrap();
    let ids = ids(&feed);
    assert_ne!(ids[0], ids[1]);
}

#[test]
fn a_restart_goes_on_where_the_spool_has_it() {
    let folder = Folder::new();
    let file = folder.file("log");
    append(&file, "one\ntwo\n");
    let first = real_feed();
    let running = follow(&file, &first);
    wait_for_lines(&first, &["one", "two"]);
    running.stop().unwrap();

    // While nobody reads, the file grows
    append(&file, "three\n");

    let second = restarted_at(&first.position());
    let running = follow(&file, &second);
    wait_for_lines(&second, &["three"]);
    running.stop().unwrap();
}

#[test]
fn a_restart_after_a_rotation_finishes_the_rotated_file_first() {
    let folder = Folder::new();
    let file = folder.file("log");
    append(&file, "one\n");
    let first = real_feed();
    let running = follow(&file, &first);
    wait_for_lines(&first, &["one"]);
    running.stop().unwrap();

    // While nobody reads, the file grows and is rotated
    append(&file, "two\n");
    fs::rename(&file, folder.file("log.1")).unwrap();
    append(&file, "three\n");

    let second = restarted_at(&first.position());
    let running = follow(&file, &second);
    wait_for_lines(&second, &["two", "three"]);
    running.stop().unwrap();
}

#[test]
fn a_restart_after_a_cut_reads_from_the_start() {
    let folder = Folder::new();
    let file = folder.file("log");
    append(&file, "one\ntwo\n");
    let first = real_feed();
    let running = follow(&file, &first);
    wait_for_lines(&first, &["one", "two"]);
    running.stop().unwrap();
    for content in ["one\n", "another, and longer than before\n"] {
        fs::write(&file, content).unwrap();
        let second = restarted_at(&first.position());
        let running = follow(&file, &second);
        wait_for_lines(&second, &[content.trim_end()]);
        running.stop().unwrap();
        assert!(!ids(&first).contains(&ids(&second)[0]));
    }
}

#[test]
fn a_position_in_another_file_is_none_in_this_one() {
    let folder = Folder::new();
    let (file, other) = (folder.file("log"), folder.file("other"));
    append(&file, "one\n");
    append(&other, "two\n");
    let first = real_feed();
    let running = follow(&file, &first);
    wait_for_lines(&first, &["one"]);
    running.stop().unwrap();
    append(&file, "three\n");

    for position in [
        first.position(),
        b"jetstream 17".to_vec(),
        b"file 1 2".to_vec(),
    ] {
        let second = restarted_at(&position);
        let running = follow(&other, &second);
        wait_for_lines(&second, &["two"]);
        running.stop().unwrap();
    }
}

#[test]
fn lines_read_again_after_a_power_cut_have_the_ids_they_had() {
    // Given a run that read a file, its rotation and a cut, and the position it had early on
    let folder = Folder::new();
    let file = folder.file("log");
    append(&file, "one\n");
    let first = real_feed();
    let running = follow(&file, &first);
    wait_for_lines(&first, &["one"]);
    let survived = first.position();
    append(&file, "two\nthree\n");
    wait_for_lines(&first, &["one", "two", "three"]);
    fs::rename(&file, folder.file("log.1")).unwrap();
    append(&file, "four\nfive\n");
    wait_for_lines(&first, &["one", "two", "three", "four", "five"]);
    running.stop().unwrap();

    // When the spool has lost what came after
    let second = restarted_at(&survived);
    let running = follow(&file, &second);
    wait_for_lines(&second, &["two", "three", "four", "five"]);
    running.stop().unwrap();

    // Then each line is the item it was
    assert_eq!(ids(&first)[1..], ids(&second));
}

#[test]
fn a_stop_in_the_middle_of_a_large_file_and_a_restart_read_every_line_once() {
    const LINES: usize = 100_000;
    let folder = Folder::new();
    let file = folder.file("log");
    fs::write(
        &file,
        (0..LINES).map(|n| format!("{n}\n")).collect::<String>(),
    )
    .unwrap();

    // Given runs that end somewhere in the middle; the spool, and so the position, outlives them
    let mut feed = real_feed();
    for part in 1..=4 {
        let running = follow(&file, &feed);
        let enough = (part * LINES / 4) as u64;
        wait_until("a part is read", || feed.counters.read.get() >= enough);
        running.stop().unwrap();
        feed.stop = Arc::default();
    }

    // Then every line is there once, in order
    let expected: Vec<_> = (0..LINES).map(|n| n.to_string()).collect();
    assert_eq!(lines(&feed), expected);
}

#[test]
fn a_line_that_cannot_be_stored_is_counted_and_the_rest_goes_on() {
    let folder = Folder::new();
    let file = folder.file("log");
    let mut content = b"first\n".to_vec();
    content.extend_from_slice(b"not \xff UTF-8\n");
    content.extend_from_slice(b"a \0 in it\n");
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
    assert_eq!(feed.counters.unusable.get(), 4);
    assert_eq!(feed.counters.read.get(), 2);
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
    assert!(read_as_stdin(b"one\n").contains("ids=1 lines=one\n"));
    assert!(read_as_stdin(b"").contains("ids=0 lines=\n"));
}
