//! The program's log on standard error: one line an event, prefixed with journald's priority if the journal reads it.
//!
//! An event that repeats is logged once and then summed up (see [`repeats`]). A line never contains a secret: what was given to [`hide`] is
//! removed wherever it occurs, because some servers quote what they were sent.

mod repeats;

use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Instant;
use std::{panic, process};

use log::{Level, LevelFilter, Log, Metadata, Record};
use repeats::Repeats;

use crate::platform::text::neutral;

/// The longest line, in characters. A longer one is cut.
const MAX_LINE_CHARS: usize = 1000;

/// Number of secrets that are hidden at a time. A renewed one replaces the oldest.
const MAX_SECRETS: usize = 32;

/// A shorter secret is not hidden, because it would blot out ordinary words. No secret of X or AWS is shorter.
const MIN_SECRET_BYTES: usize = 8;

static REPORTER: LazyLock<Reporter> = LazyLock::new(|| Reporter {
    journal: is_journal(),
    start: Instant::now(),
    repeats: Mutex::default(),
});

static SECRETS: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Installs the logger and the panic hook. Log lines of libraries are dropped, because they may quote a request with its headers. A panic in any
/// thread is logged in one line and ends the process.
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
            "a bug in this program{place} ({what}): please report it; every post that was read is kept"
        );
        // The other threads would wait for ever for the one that is gone.
        process::exit(1);
    }));
}

/// Whether standard error goes to systemd's journal.
pub fn to_journal() -> bool {
    REPORTER.journal
}

/// Logs summaries of repeated events: of those that are due, or at the `end` of all.
pub fn sum_up(end: bool) {
    let mut repeats = REPORTER.repeats();
    repeats.sum_up(REPORTER.start.elapsed(), end, |level, line| {
        REPORTER.print(level, line);
    });
}

/// Removes `secret` from everything that is logged or shown from now on.
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

/// `text` as one line of bounded length, without secrets and terminal control characters.
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
        // There is nowhere to report a failure of standard error.
        let _ = writeln!(std::io::stderr().lock(), "{priority}headwater: {line}");
    }

    fn repeats(&self) -> std::sync::MutexGuard<'_, Repeats> {
        self.repeats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether standard error is the journal. JOURNAL_STREAM alone does not tell, as redirected children inherit it: its device and inode must be
/// those of standard error.
fn is_journal() -> bool {
    let Ok(stderr) = std::fs::metadata("/proc/self/fd/2") else {
        return false;
    };
    std::env::var("JOURNAL_STREAM")
        .is_ok_and(|stream| stream == format!("{}:{}", stderr.dev(), stderr.ino()))
}

#[cfg(test)]
mod tests;
