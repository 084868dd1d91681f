//! What the program says on standard error: one line an event, with journald's priority in front where systemd listens.
//!
//! An event that repeats is said once and then summed up (see [`repeats`]). A line never holds a secret: what [`hide`] was told is left
//! out wherever it turns up, for some servers quote what they were sent.

mod repeats;

use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Instant;
use std::{panic, process};

use log::{Level, LevelFilter, Log, Metadata, Record};
use repeats::Repeats;

use crate::platform::text::neutral;

/// A line is cut at this many characters.
const MAX_LINE_CHARS: usize = 1000;

/// Secrets that are hidden at a time; renewed ones push out the oldest.
const MAX_SECRETS: usize = 32;

/// A shorter secret would blot out words. No secret of X or AWS is.
const MIN_SECRET_BYTES: usize = 8;

static REPORTER: LazyLock<Reporter> = LazyLock::new(|| Reporter {
    journal: is_journal(),
    start: Instant::now(),
    repeats: Mutex::default(),
});

static SECRETS: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Sends the program's own log lines to standard error. Those of libraries stay unsaid: they may quote a
/// request with its headers. A panic in any thread is said in one line too, and ends the process.
pub fn start() {
    if log::set_logger(&*REPORTER).is_ok() {
        log::set_max_level(LevelFilter::Info);
    }
    panic::set_hook(Box::new(|fault| {
        let place = fault
            .location()
            .map_or_else(String::new, |place| format!(" at {place}"));
        let what = fault.payload_as_str().unwrap_or_default();
        log::error!(
            "a fault of this program{place} ({what}): please report it; every post that was read is kept"
        );
        // A thread that is gone would leave the others waiting for it.
        process::exit(1);
    }));
}

/// Whether systemd's journal takes what is said: a line an event.
pub fn to_journal() -> bool {
    REPORTER.journal
}

/// Says how often events were repeated that nothing was said of since: those that are due, or at the `end` all.
pub fn sum_up(end: bool) {
    let mut repeats = REPORTER.repeats();
    repeats.sum_up(REPORTER.start.elapsed(), end, |level, line| {
        REPORTER.print(level, line);
    });
}

/// Leaves `secret` out of everything that is said from now on.
pub fn hide(secret: &str) {
    let mut secrets = SECRETS.lock().unwrap_or_else(PoisonError::into_inner);
    if secret.len() < MIN_SECRET_BYTES || secrets.iter().any(|hidden| hidden == secret) {
        return;
    }
    if secrets.len() == MAX_SECRETS {
        secrets.remove(0);
    }
    secrets.push(secret.to_owned());
}

/// `text` as one line of a bounded length, without secrets and without what steers a terminal.
pub fn clean(text: &str) -> String {
    let secrets = SECRETS.lock().unwrap_or_else(PoisonError::into_inner);
    let mut line = text.to_owned();
    for secret in secrets.iter().filter(|secret| text.contains(*secret)) {
        line = line.replace(secret, "[secret]");
    }
    if let Some((end, _)) = line.char_indices().nth(MAX_LINE_CHARS) {
        line.truncate(end);
        line.push('…');
    }
    neutral(&line)
}

#[derive(Debug)]
struct Reporter {
    journal: bool,
    start: Instant,
    repeats: Mutex<Repeats>,
}

impl Log for Reporter {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let target = metadata.target();
        target == "headwater" || target.starts_with("headwater::")
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let (level, line) = (record.level(), clean(&record.args().to_string()));
        let now = self.start.elapsed();
        let mut repeats = self.repeats();
        if repeats.is_new(level, &line, now, |level, sum| self.print(level, sum)) {
            self.print(level, &line);
        }
    }

    fn flush(&self) {}
}

impl Reporter {
    fn print(&self, level: Level, line: &str) {
        let priority = match level {
            _ if !self.journal => "",
            Level::Error => "<3>",
            Level::Warn => "<4>",
            Level::Info => "<6>",
            Level::Debug | Level::Trace => "<7>",
        };
        // Nobody is left to tell that telling failed.
        let _ = writeln!(std::io::stderr().lock(), "{priority}headwater: {line}");
    }

    fn repeats(&self) -> std::sync::MutexGuard<'_, Repeats> {
        self.repeats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether standard error is the journal: JOURNAL_STREAM names its device and inode, and is inherited by what writes elsewhere.
fn is_journal() -> bool {
    let Ok(stderr) = std::fs::metadata("/proc/self/fd/2") else {
        return false;
    };
    std::env::var("JOURNAL_STREAM")
        .is_ok_and(|stream| stream == format!("{}:{}", stderr.dev(), stderr.ino()))
}

#[cfg(test)]
mod tests;
