//! The board's report: a small record of its own in the stream, from which a fleet's owner sees which board is silent and which one loses.
//!
//! # How it travels
//!
//! A report tells of this moment, and the next one replaces it. So the newest waits in an [`Outbox`], in RAM beside the queue and not in it:
//!
//! - It pushes no post out, however full the queue is, and writes nothing to flash.
//! - A newer one takes its place while it waits. After an outage goes the report of the call that was under way, if one was in it, and then
//!   the newest: not a row of old ones.
//! - It goes with the next call, before the oldest post: the first call after an outage says how much waits, not the last one.
//! - Like a post it stays until Kinesis has it. Of a crash or a power cut nothing is left of it, and nothing is lost with it: the program
//!   makes a new one soon after its start.
//! - It counts as no post, neither as read nor as delivered.
//! - It waits a tenth of the time between reports for a post that shares its call: a call of its own costs 1 kB more. It never holds up the end
//!   of the program.
//!
//! # What it holds
//!
//! One object of JSON, whose first member no post can have: X and Jetstream do not, and a line is inside an envelope.
//!
//! ```text
//! {"headwater_board":"shed","v":"0.1.0","at":1768473300,"up":86400,"r":1200,"d":1200}
//! ```
//!
//! | member | is | unit |
//! |---|---|---|
//! | `headwater_board` | the board's name | |
//! | `v` | the program's version | |
//! | `at` | when it was made, by the server's clock as far as that is known | s since 1970 |
//! | `up` | how long the program had been running | s |
//! | `r`, `d` | records read and delivered since the start | |
//! | `w` | records that wait | |
//! | `l` | records lost over the spool's life: dropped by policy, or with a card or the power | |
//! | `o` | how long ago the oldest that waits was read | s |
//! | `lag` | how old what the source gave last was then | s |
//! | `clk` | how far the board's clock is behind the server's | s |
//! | `tx` | bytes sent since the start | bytes |
//! | `fl` | bytes written to flash since the start | bytes |
//! | `t` | the hottest sensor | degrees Celsius |
//! | `free` | room on the spool's disk | MiB |
//!
//! From `w` on, a member that is 0, and `t` or `free` that nobody knows, is left out. The names are short as each report is paid for by the byte.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::observe::counters::Counters;
use crate::platform::crc32c;
use crate::platform::machine;
use crate::platform::stop::Stop;
use crate::platform::time::{Clock, since_1970};
use crate::spool::{Spool, Stats};

/// How the user wants the board to report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The board's name: letters, digits, `.`, `_`, `:` and `-`.
    pub board: String,
    /// The time from one report to the next.
    pub every: Duration,
}

/// One moment's report. [`fmt::Display`] writes the record's data.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report<'a> {
    /// `headwater_board`.
    pub board: &'a str,
    /// `at`.
    pub made_s: u64,
    /// `up`.
    pub uptime_s: u64,
    /// `r`.
    pub read: u64,
    /// `d`.
    pub delivered: u64,
    /// `w`.
    pub waiting: u64,
    /// `l`.
    pub lost: u64,
    /// `o`.
    pub oldest_age_s: u64,
    /// `lag`.
    pub source_lag_s: u64,
    /// `clk`.
    pub clock_offset_s: i64,
    /// `tx`.
    pub bytes_sent: u64,
    /// `fl`.
    pub flash_bytes: u64,
    /// `t`.
    pub temperature_c: Option<i64>,
    /// `free`.
    pub free_mib: Option<u64>,
}

impl<'a> Report<'a> {
    /// The figures now, without what the machine says.
    pub fn take(board: &'a str, counters: &Counters, stats: &Stats, clock: &dyn Clock) -> Self {
        let wall = clock.wall();
        let since_1970 = since_1970(wall);
        let clock_offset_s = counters.clock_offset_ms.get() / 1000;
        let oldest_age = stats.oldest.map(|oldest| wall.duration_since(oldest));
        let lag_ms = u64::try_from(counters.source_lag_ms.get()).unwrap_or_default();
        Self {
            board,
            made_s: since_1970.as_secs().saturating_add_signed(clock_offset_s),
            uptime_s: clock.elapsed().as_secs(),
            read: counters.read.get(),
            delivered: counters.delivered.get(),
            waiting: stats.waiting_records,
            lost: stats.lost(),
            oldest_age_s: oldest_age.map_or(0, |age| age.unwrap_or_default().as_secs()),
            source_lag_s: lag_ms / 1000,
            clock_offset_s,
            bytes_sent: counters.bytes_sent.get(),
            flash_bytes: stats.flash_bytes,
            temperature_c: None,
            free_mib: None,
        }
    }
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            r#"{{"headwater_board":"{}","v":"{}","at":{},"up":{},"r":{},"d":{}"#,
            self.board,
            env!("CARGO_PKG_VERSION"),
            self.made_s,
            self.uptime_s,
            self.read,
            self.delivered,
        )?;
        let not_zero = |number: u64| i64::try_from(number).ok().filter(|number| *number != 0);
        let free_mib = self.free_mib.and_then(|mib| i64::try_from(mib).ok());
        for (name, value) in [
            ("w", not_zero(self.waiting)),
            ("l", not_zero(self.lost)),
            ("o", not_zero(self.oldest_age_s)),
            ("lag", not_zero(self.source_lag_s)),
            (
                "clk",
                Some(self.clock_offset_s).filter(|offset| *offset != 0),
            ),
            ("tx", not_zero(self.bytes_sent)),
            ("fl", not_zero(self.flash_bytes)),
            ("t", self.temperature_c),
            ("free", free_mib),
        ] {
            if let Some(value) = value {
                write!(f, r#","{name}":{value}"#)?;
            }
        }
        f.write_str("}")
    }
}

/// The newest report, until it has arrived.
#[derive(Debug)]
pub struct Outbox {
    board: String,
    /// How long a report waits for a post to share its call.
    waits_for_company: Duration,
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    /// How many there have been. It is the number of the newest.
    number: u64,
    /// The newest, and since when one waits.
    newest: Option<(String, Duration)>,
}

impl Outbox {
    /// An empty one.
    pub fn new(settings: &Settings) -> Self {
        Self {
            board: settings.board.clone(),
            waits_for_company: settings.every / 10,
            waiting: Mutex::default(),
        }
    }

    /// The board's name, the partition key of its reports: those of one board keep their order.
    pub fn board(&self) -> &str {
        &self.board
    }

    /// A new report, made `now`, takes the place of one that still waits.
    pub fn put(&self, report: String, now: Duration) {
        let mut waiting = self.lock();
        let since = waiting.newest.as_ref().map_or(now, |(_, since)| *since);
        waiting.number += 1;
        waiting.newest = Some((report, since));
    }

    /// The report that is to go `now`, and its number. `has_company` says whether a post goes, too.
    pub fn due(&self, now: Duration, has_company: bool) -> Option<(u64, String)> {
        let waiting = self.lock();
        let (report, since) = waiting.newest.as_ref()?;
        let is_due = has_company || now.saturating_sub(*since) >= self.waits_for_company;
        is_due.then(|| (waiting.number, report.clone()))
    }

    /// Report `number` waits no longer: Kinesis has it, or can never take it. A newer one goes on waiting.
    pub fn settle(&self, number: u64) {
        let mut waiting = self.lock();
        if waiting.number == number {
            waiting.newest = None;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes the reports, in a thread of its own: a disk that does not answer when it is asked for its room must hold up nothing else.
#[derive(Debug)]
pub struct Reporter {
    /// Where they go.
    pub outbox: Arc<Outbox>,
    /// The time from one to the next.
    pub every: Duration,
    /// What they tell of.
    pub counters: Arc<Counters>,
    /// The same.
    pub spool: Arc<Spool>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// A folder on the disk whose room counts.
    pub disk: Option<PathBuf>,
    /// The folder with the machine's sensors.
    pub sensors: PathBuf,
    /// The request to end.
    pub stop: Arc<Stop>,
}

impl Reporter {
    /// Makes one report after the other until the end is asked for. The first comes within a tenth of the time between two: boards that got their
    /// power back together do not report together.
    pub fn run(&self) {
        let mut pause = self.first_after();
        while !self.clock.sleep(pause, &self.stop) {
            self.outbox.put(self.report(), self.clock.elapsed());
            pause = self.every;
        }
    }

    /// Each board has its own moment, by its name.
    fn first_after(&self) -> Duration {
        let hash = crc32c::of(self.outbox.board().as_bytes());
        (self.every / 10).mul_f64(f64::from(hash) / f64::from(u32::MAX))
    }

    fn report(&self) -> String {
        let free_bytes = self.disk.as_deref().and_then(machine::free_bytes);
        let report = Report {
            temperature_c: machine::temperature_c(&self.sensors),
            free_mib: free_bytes.map(|bytes| bytes >> 20),
            ..Report::take(
                self.outbox.board(),
                &self.counters,
                &self.spool.stats(),
                &*self.clock,
            )
        };
        report.to_string()
    }
}

#[cfg(test)]
mod tests;
