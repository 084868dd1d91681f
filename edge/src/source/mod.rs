//! Where records come from. A source reads, and hands each record to its [`Feed`]; it owns its
//! connection, its reconnects and its place in the stream, and nothing else. It runs in a thread of
//! its own and blocks.

pub mod jetstream;
mod lenient;
pub mod lines;
pub mod retry;
mod split;
mod wire;
pub mod x;

use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use log::Level;

use crate::observe::counters::Counters;
use crate::platform::facts::Facts;
use crate::platform::stop::Stop;
use crate::platform::text::steers;
use crate::platform::time::{Clock, Rfc3339};
use crate::post::record::Record;
use crate::spool::{Appended, Spool};

/// One kind of stream.
pub trait Source: Send {
    /// Reads until the stream ends or `feed` is stopped. Trouble that heals, and trouble that a
    /// person must mend while the board waits, is logged and retried in here: an error means that
    /// this source can never go on, and says why and what to do.
    fn run(&mut self, feed: &Feed) -> anyhow::Result<()>;

    /// Tries whether a run could begin, and says so as a person would read it. Reads no post, changes nothing.
    fn check(&self) -> anyhow::Result<String>;
}

/// What a source works with: the way into the spool, the time, and what it remembers across a
/// restart.
#[derive(Clone, Debug)]
pub struct Feed {
    /// Where records go.
    pub spool: Arc<Spool>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The request to end.
    pub stop: Arc<Stop>,
    /// What the user is told of the stream.
    pub counters: Arc<Counters>,
    /// What the source remembers across a restart, under names that begin with its own:
    /// `x.backoff`.
    pub state: Arc<Facts>,
    /// Whether each record's text is printed as it is read.
    pub echo: bool,
    /// The largest record the stream takes, key and data.
    pub max_record_bytes: usize,
}

/// The feed takes no more: the program is ending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stopped;

impl Feed {
    /// Hands over one record, with the `position` right after it (at most 255 bytes, the source's
    /// own format) and its text as a person would read it. Returns once the record survives a crash
    /// of the program, or was dropped by the spool's policy, and counted.
    pub fn put(&self, record: Record<'_>, position: &[u8], text: &str) -> Result<(), Stopped> {
        let result = self.write(record, position, text);
        self.flush();
        result
    }

    /// As [`Self::put`], for a source that got several records at once: each survives a crash from
    /// the next [`Self::flush`] on, which comes before the source waits for more.
    pub fn write(&self, record: Record<'_>, position: &[u8], text: &str) -> Result<(), Stopped> {
        if self.stop.asked() {
            return Err(Stopped);
        }
        // A full spool may let the source wait for hours.
        self.counters.source.waits();
        let result = self.append(record, position, text);
        self.alive();
        result
    }

    /// As [`Self::write`], for a thread beside the source's own: whether that one moves, this says nothing about.
    fn append(&self, record: Record<'_>, position: &[u8], text: &str) -> Result<(), Stopped> {
        match self.spool.write(record, position) {
            Appended::Kept(_) | Appended::Dropped => {
                self.counters.read.add(1);
                self.counters.last_read.set(self.clock.elapsed());
                if self.echo {
                    // A terminal that went away is no reason to stop reading.
                    let _ = show(text);
                }
                Ok(())
            }
            Appended::Closed => Err(Stopped),
        }
    }

    /// What was handed over survives a crash of the program from now on.
    pub fn flush(&self) {
        self.spool.flush();
    }

    /// Where an earlier run ended: the position of the newest record that survived; empty if there
    /// was none.
    pub fn position(&self) -> Vec<u8> {
        self.spool.position()
    }

    /// A sign of life: the source moves, and gives the next one within two minutes.
    pub fn alive(&self) {
        let now = self.clock.elapsed();
        self.counters.source.alive(now, Duration::ZERO);
    }

    /// Counts an input that could not become a record, and says what was left out and why.
    pub fn unusable(&self, what: &str, why: impl std::fmt::Display) {
        self.counters.unusable.add(1);
        log::warn!("left out {what}: {why}; reading goes on");
    }

    /// Counts something that is gone before it could be read, `bytes` of it if that is known, and says `what`.
    pub fn gap(&self, bytes: Option<u64>, what: impl std::fmt::Display) {
        self.counters.gaps.add(1);
        self.counters.gap_bytes.add(bytes.unwrap_or_default());
        match bytes {
            Some(bytes) => log::warn!("a gap of {bytes} bytes: {what}; reading goes on after it"),
            None => log::warn!("a gap of unknown size: {what}; reading goes on after it"),
        }
    }

    /// Says, and counts, that what was posted `from` then until then (ms since 1970) cannot be read any more.
    pub fn missed(&self, (from_ms, until_ms): (u64, u64), why: &str) {
        let missed = &self.counters.missed;
        missed.gaps.add(1);
        missed.ms.add(until_ms.saturating_sub(from_ms));
        missed.from_ms.set(signed(from_ms));
        missed.until_ms.set(signed(until_ms));
        let (from, until) = (Rfc3339(from_ms), Rfc3339(until_ms));
        log::warn!("posts from {from} to {until} are missed: {why}");
    }

    /// The time by the server's clock, in ms since 1970, as far as it is known.
    pub fn now_ms(&self) -> u64 {
        let wall = self.clock.wall().duration_since(UNIX_EPOCH);
        let wall_ms = u64::try_from(wall.unwrap_or_default().as_millis()).unwrap_or(u64::MAX);
        wall_ms.saturating_add_signed(self.counters.clock_offset_ms.get())
    }

    /// Something was read now that happened at `ms` since 1970: how far the source lags.
    pub fn happened(&self, ms: u64) {
        let lag_ms = self.now_ms().saturating_sub(ms);
        self.counters.source_lag_ms.set(signed(lag_ms).max(1));
    }

    /// There is trouble: a person must act ([`Level::Error`]), or it heals. The same again is told once and then summed up.
    pub fn trouble(&self, level: Level, what: &str) {
        let now = self.clock.elapsed();
        self.counters.source.trouble(level, true, what, now);
    }

    /// The trouble, if there was any, is over.
    pub fn well(&self) {
        let now = self.clock.elapsed();
        self.counters.source.well("posts are read", now);
    }

    /// Waits before the next attempt.
    pub fn sleep(&self, pause: Duration) -> Result<(), Stopped> {
        self.counters.source.alive(self.clock.elapsed(), pause);
        if self.clock.sleep(pause, &self.stop) {
            Err(Stopped)
        } else {
            Ok(())
        }
    }
}

fn signed(ms: u64) -> i64 {
    i64::try_from(ms).unwrap_or(i64::MAX)
}

/// Prints a text on one line, without what would steer the terminal: anyone can write a post.
fn show(text: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    for (index, piece) in text.split(steers).enumerate() {
        let gap = if index > 0 { " " } else { "" };
        write!(out, "{gap}{piece}")?;
    }
    writeln!(out)
}

/// Whether texts are shown as they are read: standard output is a terminal.
pub fn echoes(quiet: bool) -> bool {
    !quiet && std::io::stdout().is_terminal()
}
