//! What every thread adds to.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use crate::observe::vitals::Vitals;

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Counts `n` more.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// The count so far.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A number that changes.
#[derive(Debug, Default)]
pub struct Gauge(AtomicI64);

impl Gauge {
    /// What it is now.
    pub fn set(&self, value: i64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// What it was set to last; 0 at first.
    pub fn get(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// When something happened last, on the program's clock.
#[derive(Debug, Default)]
pub struct Moment(AtomicU64);

impl Moment {
    /// It happens now.
    pub fn set(&self, now: Duration) {
        let ms = u64::try_from(now.as_millis()).unwrap_or(u64::MAX - 1);
        self.0.store(ms + 1, Ordering::Relaxed);
    }

    /// It is over.
    pub fn clear(&self) {
        self.0.store(0, Ordering::Relaxed);
    }

    /// When it happened last; `None` if it never did.
    pub fn get(&self) -> Option<Duration> {
        let ms = self.0.load(Ordering::Relaxed).checked_sub(1)?;
        Some(Duration::from_millis(ms))
    }
}

/// What happened since the program started. What the spool counts over its whole life stands in [`crate::spool::Stats`].
#[derive(Debug, Default)]
pub struct Counters {
    /// Records the source handed over.
    pub read: Counter,
    /// When it did so last.
    pub last_read: Moment,
    /// Events the filter did not want.
    pub filtered: Counter,
    /// Inputs that could not become a record: too long, not the source's format.
    pub unusable: Counter,
    /// Lines that became a record without their NUL bytes, or with U+FFFD for what was not UTF-8.
    pub mended: Counter,
    /// Times that something of the source was missed: gone before it could be read.
    pub gaps: Counter,
    /// How many bytes that was, as far as it is known.
    pub gap_bytes: Counter,
    /// Connections of the source that were lost and opened again.
    pub reconnects: Counter,
    /// How far the source lags: the age of what was read last, in ms; 0 until that is known.
    pub source_lag_ms: Gauge,
    /// Of the records read, those that the source fetched later, from a gap.
    pub late: Counter,
    /// Gaps that are to be filled.
    pub open_gaps: Gauge,
    /// What nobody can read any more.
    pub missed: Missed,
    /// Records Kinesis acknowledged.
    pub delivered: Counter,
    /// When it did so last.
    pub last_delivered: Moment,
    /// Reports of the board that Kinesis acknowledged; they are no records of the source's.
    pub reports: Counter,
    /// Records Kinesis can never take, set aside in the dead-letter file.
    pub impossible: Counter,
    /// Calls to Kinesis, whatever their outcome.
    pub calls: Counter,
    /// When the call under way began.
    pub call: Moment,
    /// Records sent again after a failure, whatever it was.
    pub retried: Counter,
    /// Records that a shard refused because it had no more room in that second.
    pub throttled: Counter,
    /// Records sent again because the network broke their call: they may have arrived.
    pub sent_again: Counter,
    /// Bytes sent to Kinesis on the wire.
    pub bytes_sent: Counter,
    /// The same since midnight, UTC, earlier processes included.
    pub bytes_sent_today: Gauge,
    /// Parts of the stream that are throttled now.
    pub lanes: Gauge,
    /// How far the board's clock is behind the server's, in ms; 0 while it is right.
    pub clock_offset_ms: Gauge,
    /// When the credentials in use expire, in s since 1970; 0 if they do not.
    pub credentials_expiry_s: Gauge,
    /// How the source's thread is.
    pub source: Vitals,
    /// How the uplink's thread is.
    pub uplink: Vitals,
    /// How the card is; nobody waits for its signs of life.
    pub card: Vitals,
}

/// Times of which nothing was read, and nothing can be any more.
#[derive(Debug, Default)]
pub struct Missed {
    /// How many.
    pub gaps: Counter,
    /// How long they were together, in ms.
    pub ms: Counter,
    /// When the last of them began, in ms since 1970; 0 if there was none.
    pub from_ms: Gauge,
    /// When it ended.
    pub until_ms: Gauge,
}

impl Counters {
    /// The thread that has been silent for longer than it may, and `margin` more, if there is one.
    pub fn stuck(&self, now: Duration, margin: Duration) -> Option<&'static str> {
        self.vitals()
            .find(|(_, vitals)| vitals.is_stuck(now, margin))
            .map(|(name, _)| name)
    }

    /// All that can be in trouble, by name.
    pub fn vitals(&self) -> impl Iterator<Item = (&'static str, &Vitals)> {
        [
            ("source", &self.source),
            ("uplink", &self.uplink),
            ("spool", &self.card),
        ]
        .into_iter()
    }
}
