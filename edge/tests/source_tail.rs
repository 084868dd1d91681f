//! A real file followed as it grows, is rotated, cut short and made anew, and across restarts.

mod support;

use std::collections::BTreeSet;
use std::fs::{self, File, FileTimes};
use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use serde_json::Value;
use support::board::board_to;
use support::lines::*;

use testkit::kinesis::Kinesis;
use testkit::wait_until;

const HOUR: Duration = Duration::from_secs(3600);

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
fn a_followed_file_keeps_its_atime() {
    // Given a file that was written to after it was last read, so that the system would note the next read: a write to the card
    let (_folder, file) = Folder::with_log("one\n");
    let (read, written) = (UNIX_EPOCH + HOUR, UNIX_EPOCH + HOUR * 2);
    let times = FileTimes::new().set_accessed(read).set_modified(written);
    let handle = File::options().write(true).open(&file).unwrap();
    handle.set_times(times).unwrap();
    // When it is followed
    let feed = real_feed();
    let running = follow(&file, &feed);
    wait_for_lines(&feed, &["one"]);
    running.stop().unwrap();
    // Then it looks as if nobody had read it
    assert_eq!(fs::metadata(&file).unwrap().accessed().unwrap(), read);
}

#[test]
fn a_rotated_file_is_read_to_its_end_before_the_new_one() {
    let (folder, file) = Folder::with_log("one\n");
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
    let (_folder, file) = Folder::with_log("same\nmore\n");
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
    let (_folder, file) = Folder::with_log("one\n");
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
    let (_folder, file) = Folder::with_log("one\ntwo\n");
    let first = real_feed();
    read(&file, &first, &["one", "two"]);

    // While nobody reads, the file grows
    append(&file, "three\n");

    let second = restarted_at(&first.position());
    read(&file, &second, &["three"]);
}

#[test]
fn a_restart_after_a_rotation_finishes_the_rotated_file_first() {
    let (folder, file) = Folder::with_log("one\n");
    let first = real_feed();
    read(&file, &first, &["one"]);

    // While nobody reads, the file grows and is rotated
    append(&file, "two\n");
    fs::rename(&file, folder.file("log.1")).unwrap();
    append(&file, "three\n");

    let second = restarted_at(&first.position());
    read(&file, &second, &["two", "three"]);
}

#[test]
fn a_restart_after_a_cut_reads_from_the_start() {
    let (_folder, file) = Folder::with_log("one\ntwo\n");
    let first = real_feed();
    read(&file, &first, &["one", "two"]);
    for content in ["one\n", "another, and longer than before\n"] {
        fs::write(&file, content).unwrap();
        let second = restarted_at(&first.position());
        read(&file, &second, &[content.trim_end()]);
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
    read(&file, &first, &["one"]);
    append(&file, "three\n");

    for position in [
        first.position(),
        b"jetstream 17".to_vec(),
        b"lines 1 2".to_vec(),
    ] {
        let second = restarted_at(&position);
        read(&other, &second, &["two"]);
    }
}

#[test]
fn lines_read_again_after_a_power_cut_have_the_ids_they_had() {
    // Given a run that read a file, its rotation and a cut, and the position it had early on
    let (folder, file) = Folder::with_log("one\n");
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
    read(&file, &second, &["two", "three", "four", "five"]);

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
fn a_program_killed_in_the_middle_of_a_file_stores_every_line_once() {
    // Given a large file
    const LINES: usize = 30_000;
    let folder = Folder::new();
    let file = folder.file("log");
    let content: String = (0..LINES).map(|n| format!("{n}\n")).collect();
    fs::write(&file, content).unwrap();
    let kinesis = Kinesis::scripted([]);
    let board = board_to(&kinesis.url()).with("HEADWATER_INPUT", &file);
    let start = || board.start(&["--when-full", "block"]).unwrap();

    // When the program is killed again and again while it reads
    for part in 1..=4 {
        let running = start();
        wait_until("more is delivered", || kinesis.count() >= part * LINES / 6);
        drop(running);
    }
    let running = start();
    let stored = || -> BTreeSet<(String, String)> {
        let item = |data: &String| {
            let envelope: Value = serde_json::from_str(data).unwrap();
            (envelope["id"].to_string(), envelope["line"].to_string())
        };
        kinesis.data().iter().map(item).collect()
    };
    let last = (LINES - 1).to_string();
    wait_until("the last line is delivered", || {
        kinesis
            .data()
            .last()
            .is_some_and(|data| data.ends_with(&format!(":{last}}}")))
    });
    drop(running);

    // Then each line is one item, however often it was sent
    let stored = stored();
    assert_eq!(stored.len(), LINES);
    let lines: BTreeSet<_> = stored.iter().map(|(_, line)| line).collect();
    assert_eq!(lines.len(), LINES);
}
