//! Real files, and what was read of them.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;

use super::source::*;
use headwater::platform::time::SystemClock;
use headwater::post::record::{MAX_RECORD_BYTES, Record};
use headwater::source::Feed;
use headwater::source::lines::{Input, Lines, Settings};
use headwater::spool::Appended;
use testkit::wait_until;

/// Every line of the file at `path`.
pub fn settings(path: &Path) -> Settings {
    Settings {
        input: Input::Files(vec![path.to_owned()]),
        filter: None,
        partition_key: None,
        host: "board-7".to_owned(),
    }
}

/// A feed on the machine's own clock, as a file is looked at in real time.
pub fn real_feed() -> Feed {
    Feed {
        clock: Arc::new(SystemClock::default()),
        ..feed(Arc::default(), None)
    }
}

/// Adds to a file, which is made if missing.
pub fn append(path: &Path, text: &str) {
    let mut file = OpenOptions::new()
        .append(true)
        .create(true)
        .open(path)
        .unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

/// What was read so far, as it travels.
pub fn envelopes(feed: &Feed) -> Vec<Value> {
    let parse = |(_, data): (String, String)| serde_json::from_str(&data).unwrap();
    records(feed).into_iter().map(parse).collect()
}

/// The lines read so far, numbers as text.
pub fn lines(feed: &Feed) -> Vec<String> {
    let text = |envelope: Value| match &envelope["line"] {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    envelopes(feed).into_iter().map(text).collect()
}

/// The ids of the lines read so far.
pub fn ids(feed: &Feed) -> Vec<String> {
    let id = |envelope: Value| envelope["id"].as_str().unwrap().to_owned();
    envelopes(feed).into_iter().map(id).collect()
}

/// Waits for as many lines as these, which they must be.
pub fn wait_for_lines(feed: &Feed, expected: &[&str]) {
    wait_until("the lines are read", || {
        records(feed).len() >= expected.len()
    });
    assert_eq!(lines(feed), expected);
}

/// A run after one whose newest record that survived has this `position`.
pub fn restarted_at(position: &[u8]) -> Feed {
    let feed = real_feed();
    let record = Record::new("earlier", b"run", MAX_RECORD_BYTES).unwrap();
    let Appended::Kept(seq) = feed.spool.append(record, position) else {
        panic!("an empty spool takes a record");
    };
    feed.spool.ack(seq + 1);
    feed
}

/// Reads every line of the file at `path`.
pub fn follow(path: &Path, feed: &Feed) -> Running {
    Running::start(Lines::new(settings(path)), feed)
}

/// Reads the file at `path` until these are the lines read.
pub fn read(path: &Path, feed: &Feed, expected: &[&str]) {
    let running = follow(path, feed);
    wait_for_lines(feed, expected);
    running.stop().unwrap();
}

/// A folder for one test.
pub struct Folder {
    pub folder: tempfile::TempDir,
}

impl Folder {
    pub fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    /// A folder with the file `log`, which holds `text`; the file's path comes along.
    pub fn with_log(text: &str) -> (Self, PathBuf) {
        let folder = Self::new();
        let file = folder.file("log");
        append(&file, text);
        (folder, file)
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}
