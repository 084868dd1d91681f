//! Sources: where records come from. A source reads, and passes each record to its [`Feed`]. It owns its connection, its reconnects and its position
//! in the stream, and nothing else. It runs in its own thread, and blocks.

pub mod jetstream;
pub(crate) mod lenient;
pub mod lines;
pub mod retry;
pub(crate) mod split;
mod wire;
pub mod x;

use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::time::Duration;

use log::Level;

use crate::observe::counters::Counters;
use crate::platform::facts::Facts;
use crate::platform::stop::Stop;
use crate::platform::text::steers;
use crate::platform::time::{Clock, Rfc3339, unix_ms};
use crate::post::record::Record;
use crate::spool::{Appended, Spool};

/// How long the program's end, or too long a silence, may go unnoticed while a source waits for input.
const SLICE: Duration = Duration::from_millis(250);

/// A post that is this far in the future has a wrong time or id: the place in the stream does not follow it.
const AHEAD: Duration = Duration::from_secs(10 * 60);

/// A kind of stream.
pub trait Source: Send {
    /// Reads until the stream ends or `feed` is stopped. Every failure that may end, by itself or by what a person does, is logged and retried here.
    ///
    /// # Errors
    /// If this source can never continue. The error says why, and what to do.
    fn run(&mut self, feed: &Feed) -> anyhow::Result<()>;

    /// Checks whether a run could begin, and says so in words. Reads no post and changes nothing.
    ///
    /// # Errors
    /// If it could not. The error says why, and what to do.
    fn check(&self) -> anyhow::Result<String>;
}

/// What a source works with: the spool, the clock, and facts that outlive a restart.
#[derive(Clone, Debug)]
pub struct Feed {
    /// The queue that records go to.
    pub spool: Arc<Spool>,
    /// Tells the time, and sleeps.
    pub clock: Arc<dyn Clock>,
    /// Asks the source to end.
    pub stop: Arc<Stop>,
    /// Counters and troubles for `status` and the metrics.
    pub counters: Arc<Counters>,
    /// Facts that outlive a restart. Their names begin with the source's: `x.backoff`.
    pub state: Arc<Facts>,
    /// Whether to print each record's text.
    pub echo: bool,
    /// Bytes of the largest record that the Kinesis stream takes, with its key.
    pub max_record_bytes: usize,
}

/// The feed takes no more records: the program is ending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stopped;

impl Feed {
    /// Passes one record on, with the `position` right after it (at most 255 bytes, in the source's own format) and its `text` for the terminal.
    /// Returns when the record survives a crash of the program, or was dropped because the spool is full, and counted.
    ///
    /// # Errors
    /// If the program is ending. Then the record was not taken.
    pub fn put(&self, record: Record<'_>, position: &[u8], text: &str) -> Result<(), Stopped> {
        let result = self.write(record, position, text);
        self.flush();
        result
    }

    /// Does as [`Self::put`], but the record survives a crash only from the next [`Self::flush`] on. A source with several records at once must
    /// flush before it waits for more.
    ///
    /// # Errors
    /// If the program is ending. Then the record was not taken.
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

    /// Does as [`Self::write`], for another thread than the source's own: it is not a sign of life of that one.
    fn append(&self, record: Record<'_>, position: &[u8], text: &str) -> Result<(), Stopped> {
        match self.spool.write(record, position) {
            Appended::Kept(_) | Appended::Dropped => {
                self.counters.read.add(1);
                self.counters.last_read.set(self.clock.elapsed());
                if self.echo {
                    // Reading continues if the terminal is gone.
                    let _ = show(text);
                }
                Ok(())
            }
            Appended::Closed => Err(Stopped),
        }
    }

    /// Makes all records that were passed on survive a crash of the program.
    pub fn flush(&self) {
        self.spool.flush();
    }

    /// Where an earlier run ended: the position of the newest record that survived; empty if there is none.
    pub fn position(&self) -> Vec<u8> {
        self.spool.position()
    }

    /// Tells the watchdog that the source is alive. The next sign of life is due within two minutes.
    pub fn alive(&self) {
        let now = self.clock.elapsed();
        self.counters.source.alive(now, Duration::ZERO);
    }

    /// Counts an input that could not become a record, and logs what was left out and why.
    pub fn unusable(&self, what: &str, why: impl std::fmt::Display) {
        self.counters.unusable.add(1);
        log::warn!("left out {what}: {why}; reading continues");
    }

    /// Counts and logs a gap: `what` disappeared before it was read, with its size in `bytes` if that is known.
    pub fn gap(&self, bytes: Option<u64>, what: impl std::fmt::Display) {
        self.counters.gaps.add(1);
        self.counters.gap_bytes.add(bytes.unwrap_or_default());
        match bytes {
            Some(bytes) => log::warn!("a gap of {bytes} bytes: {what}; reading continues after it"),
            None => log::warn!("a gap of unknown size: {what}; reading continues after it"),
        }
    }

    /// Counts and logs that posts written between these two times (ms since 1970) cannot be read any more.
    pub fn missed(&self, (from_ms, until_ms): (u64, u64), why: &str) {
        let missed = &self.counters.missed;
        missed.gaps.add(1);
        missed.ms.add(until_ms.saturating_sub(from_ms));
        missed.from_ms.set(signed(from_ms));
        missed.until_ms.set(signed(until_ms));
        let (from, until) = (Rfc3339(from_ms), Rfc3339(until_ms));
        log::warn!("posts from {from} to {until} are missed: {why}");
    }

    /// The server's time, in ms since 1970, as far as it is known.
    pub fn now_ms(&self) -> u64 {
        unix_ms(self.clock.wall()).saturating_add_signed(self.counters.clock_offset_ms.get())
    }

    /// Notes how far the source lags: something that happened at `ms` since 1970 was read now.
    pub fn happened(&self, ms: u64) {
        let lag_ms = self.now_ms().saturating_sub(ms);
        self.counters.source_lag_ms.set(signed(lag_ms).max(1));
    }

    /// Reports trouble: a person must act ([`Level::Error`]), or it may end by itself. Repeated reports are summed up in the log.
    pub fn trouble(&self, level: Level, what: &str) {
        let now = self.clock.elapsed();
        self.counters.source.trouble(level, true, what, now);
    }

    /// Reports that the trouble, if there was any, is over.
    pub fn well(&self) {
        let now = self.clock.elapsed();
        self.counters.source.well("posts are read", now);
    }

    /// Waits before the next attempt.
    ///
    /// # Errors
    /// If the program is ending.
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

/// Prints a text on one line, without characters that control the terminal: anyone can write a post.
fn show(text: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    for (index, piece) in text.split(steers).enumerate() {
        let gap = if index > 0 { " " } else { "" };
        write!(out, "{gap}{piece}")?;
    }
    writeln!(out)
}

/// Whether to print texts as they are read: standard output is a terminal, and the user is not `quiet`.
pub fn echoes(quiet: bool) -> bool {
    !quiet && std::io::stdout().is_terminal()
}
