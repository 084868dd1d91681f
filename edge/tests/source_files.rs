//! Files that are not where they were: rotated more than once, copied, restored, linked, compressed, deleted, or several of them.

mod support;

use std::collections::BTreeSet;
use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use headwater::source::Feed;
use headwater::source::lines::{Input, Lines, Settings};
use serde_json::Value;
use support::board::board_to;
use support::lines::*;
use support::source::*;
use testkit::kinesis::{Kinesis, Reply};
use testkit::wait_until;

/// Every line of the files that these name.
fn follow_all(inputs: &[PathBuf], feed: &Feed) -> Running {
    let input = Input::Files(inputs.to_vec());
    let settings = Settings {
        input,
        ..settings(Path::new(""))
    };
    Running::start(Lines::new(settings), feed)
}

/// A run that read `lines` of the file, and has ended; the feed for the next one.
fn after_a_run(file: &Path, lines: &[&str]) -> Feed {
    let feed = real_feed();
    let running = follow(file, &feed);
    wait_for_lines(&feed, lines);
    running.stop().unwrap();
    Feed {
        stop: Default::default(),
        ..feed
    }
}

fn shell(folder: &Folder, script: &str) {
    let done = Command::new("sh")
        .args(["-ec", script])
        .current_dir(folder.folder.path())
        .status()
        .unwrap();
    assert!(done.success(), "{script}");
}

/// The lines come as `expected`, in a run that goes on from that of `feed`.
fn goes_on(file: &Path, feed: &Feed, expected: &[&str]) {
    let running = follow(file, feed);
    wait_for_lines(feed, expected);
    running.stop().unwrap();
    let ids: BTreeSet<_> = ids(feed).into_iter().collect();
    assert_eq!(ids.len(), expected.len());
}

#[test]
fn files_that_had_the_name_while_nobody_looked_are_read_the_oldest_first() {
    for (first, second) in [
        ("log.1", "log.2"),
        ("log-20260102", "log-20260101"),
        ("log.2026-01-02T10", "log.2026-01-02T09"),
    ] {
        let (folder, file) = Folder::with_log("one\n");
        let feed = after_a_run(&file, &["one"]);
        shell(
            &folder,
            &format!(
                "echo two >>log; mv log {second}; sleep 0.02
                 echo three >>log; mv log {first}; sleep 0.02; echo four >>log"
            ),
        );
        goes_on(&file, &feed, &["one", "two", "three", "four"]);
        assert_eq!(feed.counters.gaps.get(), 0);
    }
}

#[test]
fn files_rotated_three_times_within_a_second_are_read_the_oldest_first() {
    let (folder, file) = Folder::with_log("one\n");
    let feed = real_feed();
    let running = follow(&file, &feed);
    wait_for_lines(&feed, &["one"]);
    shell(
        &folder,
        "mv log log.3; echo two >log; sleep 0.02; mv log log.2; echo three >log; sleep 0.02; mv log log.1; echo four >log",
    );
    wait_for_lines(&feed, &["one", "two", "three", "four"]);
    running.stop().unwrap();
}

#[test]
fn copies_cut_off_while_nobody_looked_are_read_to_their_end() {
    let (folder, file) = Folder::with_log("one\n");
    let feed = after_a_run(&file, &["one"]);
    shell(
        &folder,
        "echo two >>log; cp log log.1; : >log; sleep 0.02
         echo three >>log; mv log.1 log.2; cp log log.1; : >log; echo four >>log",
    );
    goes_on(&file, &feed, &["one", "two", "three", "four"]);
}

#[test]
fn a_file_copied_away_and_back_is_read_on() {
    for script in [
        // As a log in RAM at a reboot, and a backup that is restored
        "cp -a log away; rm log; cp -a away log",
        "cp log away; mv away log",
    ] {
        let (folder, file) = Folder::with_log("one\ntwo\n");
        let feed = after_a_run(&file, &["one", "two"]);
        shell(&folder, script);
        append(&file, "three\n");
        goes_on(&file, &feed, &["one", "two", "three"]);
        assert_eq!(feed.counters.gaps.get(), 0, "{script}");
    }
}

#[test]
fn a_new_file_with_the_beginning_of_the_old_one_is_read_from_its_start() {
    // Given a log whose beginning is always the same, and longer than what is compared of it
    let banner = "the same beginning\n".repeat(20);
    for way in ["in place", "anew"] {
        let folder = Folder::new();
        let file = folder.file("log");
        append(&file, &format!("{banner}first run\n"));
        let feed = real_feed();
        let running = follow(&file, &feed);
        wait_until("all is read", || records(&feed).len() == 21);
        running.stop().unwrap();
        if way == "anew" {
            fs::remove_file(&file).unwrap();
        }

        // When it is another, and longer
        fs::write(&file, format!("{banner}second run\nand more\n")).unwrap();
        let feed = Feed {
            stop: Default::default(),
            ..feed
        };
        let running = follow(&file, &feed);
        wait_until("the other is read", || records(&feed).len() == 21 + 22);
        running.stop().unwrap();
        assert_eq!(lines(&feed).last().unwrap(), "and more");
    }
}

#[test]
fn what_a_link_led_to_is_read_to_its_end_after_it_leads_elsewhere() {
    let folder = Folder::new();
    let file = folder.file("current");
    fs::create_dir(folder.file("old")).unwrap();
    fs::create_dir(folder.file("new")).unwrap();
    append(&folder.file("old/app-1.log"), "one\n");
    symlink(folder.file("old/app-1.log"), &file).unwrap();
    let feed = after_a_run(&file, &["one"]);
    shell(
        &folder,
        "echo two >>old/app-1.log; sleep 0.02; echo three >new/app-2.log; sleep 0.02
         echo four >new/app-3.log; ln -sf new/app-3.log current",
    );
    goes_on(&file, &feed, &["one", "two", "three", "four"]);
}

#[test]
fn what_is_compressed_or_deleted_is_a_gap_with_its_size() {
    let (folder, file) = Folder::with_log("one\n");
    let feed = after_a_run(&file, &["one"]);
    shell(
        &folder,
        "echo twotwo >>log; mv log log.3; sleep 0.02; echo three >log; mv log log.2; sleep 0.02
         gzip log.3 log.2; echo four >log",
    );
    goes_on(&file, &feed, &["one", "four"]);
    assert_eq!(feed.counters.gaps.get(), 3, "two compressed, log.1 deleted");
    assert_eq!(feed.counters.gap_bytes.get(), 7 + 6);

    // And when the file itself is gone
    let feed = Feed {
        stop: Default::default(),
        ..feed
    };
    fs::remove_file(&file).unwrap();
    append(&file, "five\n");
    goes_on(&file, &feed, &["one", "four", "five"]);
    assert_eq!(feed.counters.gaps.get(), 4);
}

#[test]
fn a_file_that_is_missing_or_may_not_be_read_is_trouble_while_it_lasts() {
    let folder = Folder::new();
    let file = folder.file("log");
    let feed = real_feed();
    let trouble = || {
        let now = feed.clock.elapsed();
        let trouble = feed.counters.source.current_trouble(now);
        trouble.map(|(_, text)| text).unwrap_or_default()
    };
    let running = follow(&file, &feed);
    wait_until("it is waited for", || {
        trouble().contains("does not exist yet")
    });

    // Root may read all: then a folder stands for what cannot be read.
    let id = Command::new("id").arg("-u").output().unwrap();
    let is_root = id.stdout == b"0\n";
    if is_root {
        fs::create_dir(&file).unwrap();
        wait_until("it cannot be read", || trouble().contains("cannot be read"));
        fs::remove_dir(&file).unwrap();
    } else {
        append(&file, "");
        fs::set_permissions(&file, Permissions::from_mode(0o000)).unwrap();
        wait_until("it may not be read", || {
            trouble().contains("usermod -aG adm")
        });
        fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
    }
    append(&file, "one\n");
    wait_for_lines(&feed, &["one"]);
    wait_until("the trouble is over", || trouble().is_empty());
    running.stop().unwrap();
}

#[test]
fn several_files_have_a_place_each() {
    let folder = Folder::new();
    let (one, other) = (folder.file("one"), folder.file("other"));
    append(&one, "1\n");
    append(&other, "a\n");
    let feed = real_feed();
    let inputs = [one.clone(), other.clone()];
    let expect = |feed: &Feed, count: usize, expected: &[&str]| {
        let running = follow_all(&inputs, feed);
        wait_until("the lines are read", || records(feed).len() >= count);
        running.stop().unwrap();
        let mut lines = lines(feed);
        lines.sort();
        assert_eq!(lines, expected);
    };
    expect(&feed, 2, &["1", "a"]);
    append(&one, "2\n");
    fs::rename(&other, folder.file("other.1")).unwrap();
    append(&folder.file("other.1"), "b\n");
    append(&other, "c\n");
    let feed = Feed {
        stop: Default::default(),
        ..feed
    };
    expect(&feed, 5, &["1", "2", "a", "b", "c"]);
}

#[test]
fn a_pattern_stands_for_the_files_that_match_and_not_for_what_rotation_made_of_them() {
    let folder = Folder::new();
    append(&folder.file("a.log.1"), "rotated before\n");
    append(&folder.file("a.1.log"), "rotated before\n");
    shell(&folder, "touch -d '1 hour ago' a.log.1 a.1.log");
    for name in ["a.log", "b.log", "worker-1.log", "worker.log"] {
        append(&folder.file(name), &format!("{name}\n"));
    }
    append(&folder.file("b.log.gz"), "compressed\n");
    append(&folder.file("other.txt"), "other\n");
    let feed = real_feed();
    let running = follow_all(&[folder.file("*.log*")], &feed);
    wait_until("the first are read", || records(&feed).len() == 4);

    // When one is rotated, and another appears
    fs::rename(folder.file("b.log"), folder.file("b.log.1")).unwrap();
    append(&folder.file("b.log"), "new b\n");
    append(&folder.file("c.log"), "c.log\n");
    wait_until("all are read", || records(&feed).len() == 6);
    running.stop().unwrap();
    let lines: BTreeSet<_> = lines(&feed).into_iter().collect();
    let expected = [
        "a.log",
        "b.log",
        "worker-1.log",
        "worker.log",
        "new b",
        "c.log",
    ];
    assert_eq!(lines, expected.map(str::to_owned).into());
}

/// The lines that Kinesis has, and how many different ids.
fn delivered(kinesis: &Kinesis) -> (BTreeSet<String>, usize) {
    let envelopes = kinesis.data();
    let parse = |data: &String| serde_json::from_str::<Value>(data).unwrap();
    let envelopes: Vec<Value> = envelopes.iter().map(parse).collect();
    let ids: BTreeSet<_> = envelopes.iter().map(|it| it["id"].to_string()).collect();
    let lines = envelopes
        .iter()
        .map(|it| it["line"].as_str().unwrap().to_owned());
    (lines.collect(), ids.len())
}

#[test]
fn several_files_of_a_program_killed_again_and_again_are_stored_once() {
    const LINES: usize = 1_500;
    let folder = Folder::new();
    let kinesis = Kinesis::scripted([]);
    let board = board_to(&kinesis.url());
    let names = ["one.log", "two.log", "three.log"];
    for name in names {
        let content: String = (0..LINES).map(|n| format!("{name} {n}\n")).collect();
        fs::write(folder.file(name), content).unwrap();
    }
    let start = || {
        let input = folder.file("*.log").display().to_string();
        board
            .start(&["--when-full", "block", "--input", &input])
            .unwrap()
    };

    // When it is killed again and again, and its files are rotated meanwhile
    for part in 1..=5 {
        let mut child = start();
        wait_until("more is delivered", || {
            kinesis.taken().len() >= part * names.len() * LINES / 7
        });
        child.kill();
        let name = names[part % names.len()];
        let number = 9 - part;
        fs::rename(folder.file(name), folder.file(&format!("{name}.{number}"))).unwrap();
        append(&folder.file(name), &format!("{name} after {part}\n"));
    }
    let all = names.len() * LINES + 5;
    let mut child = start();
    wait_until("all is delivered", || {
        kinesis.taken().len() >= all && delivered(&kinesis).0.len() == all
    });
    child.kill();

    // Then each line is one item, however often it was sent
    assert_eq!(delivered(&kinesis).1, all);
}

#[test]
fn a_log_rotated_twice_while_the_spool_is_full_is_stored_whole() {
    // Given an outage that fills the spool, which lets the file wait
    let folder = Folder::new();
    let file = folder.file("log");
    let is_down = Arc::new(AtomicBool::new(true));
    let kinesis = Kinesis::start({
        let is_down = is_down.clone();
        move |_, _| match is_down.load(Ordering::Relaxed) {
            true => Reply::error(500, "InternalFailure"),
            false => Reply::Accept,
        }
    });
    let filler = "x".repeat(400);
    let lines = |name: &str, count: usize| -> String {
        (0..count)
            .map(|n| format!("{name} {n} {filler}\n"))
            .collect()
    };
    fs::write(&file, lines("first", 6_000)).unwrap();
    let board = board_to(&kinesis.url());
    let input = file.display().to_string();
    let mut child = board
        .start(&["--when-full", "block", "--input", &input])
        .unwrap();
    wait_until("it began", || !kinesis.calls().is_empty());

    // When the log is rotated twice meanwhile
    fs::rename(&file, folder.file("log.2")).unwrap();
    fs::write(&file, lines("middle", 500)).unwrap();
    fs::rename(&file, folder.file("log.1")).unwrap();
    fs::write(&file, lines("newest", 500)).unwrap();
    is_down.store(false, Ordering::Relaxed);

    // Then each of the three is stored
    wait_until("all is delivered", || {
        kinesis.taken().len() >= 7_000 && delivered(&kinesis).0.len() == 7_000
    });
    child.kill();
    assert_eq!(delivered(&kinesis).1, 7_000);
}

#[test]
fn a_file_is_not_kept_open_once_it_is_deleted_and_matched_a_pattern() {
    let folder = Folder::new();
    let file = folder.file("a.log");
    append(&file, "one\n");
    let feed = real_feed();
    let running = follow_all(&[folder.file("*.log")], &feed);
    wait_for_lines(&feed, &["one"]);
    append(&file, "two, not ended");
    fs::remove_file(&file).unwrap();
    wait_for_lines(&feed, &["one", "two, not ended"]);
    let is_open = || {
        let open = fs::read_dir("/proc/self/fd").unwrap().flatten();
        let mut names = open.filter_map(|entry| fs::read_link(entry.path()).ok());
        names.any(|name| name.to_string_lossy().starts_with(&*file.to_string_lossy()))
    };
    wait_until("it is closed", || !is_open());
    File::create(&file).unwrap();
    append(&file, "three\n");
    wait_for_lines(&feed, &["one", "two, not ended", "three"]);
    running.stop().unwrap();
}
