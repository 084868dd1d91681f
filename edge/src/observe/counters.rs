//! The counters and gauges that all threads share.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use crate::observe::vitals::Vitals;

/// A counter: it only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds `n`.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// The current count.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A gauge: it can rise and fall.
#[derive(Debug, Default)]
pub struct Gauge(AtomicI64);

impl Gauge {
    /// Sets its value.
    pub fn set(&self, value: i64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// Its value, 0 if it was never set.
    pub fn get(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The moment of the last event of a kind, on the program's clock.
#[derive(Debug, Default)]
pub struct Moment(AtomicU64);

impl Moment {
    /// Records an event at `now`.
    pub fn set(&self, now: Duration) {
        let ms = u64::try_from(now.as_millis()).unwrap_or(u64::MAX - 1);
        self.0.store(ms + 1, Ordering::Relaxed);
    }

    /// Forgets it.
    pub fn clear(&self) {
        self.0.store(0, Ordering::Relaxed);
    }

    /// The moment. `None` if there is none.
    pub fn get(&self) -> Option<Duration> {
        let ms = self.0.load(Ordering::Relaxed).checked_sub(1)?;
        Some(Duration::from_millis(ms))
    }
}

/// All counters since the program started. The spool's counts over its whole life are in [`crate::spool::Stats`].
#[derive(Debug, Default)]
pub struct Counters {
    /// Records that the source read.
    pub read: Counter,
    /// When it did so last.
    pub last_read: Moment,
    /// Events that the keyword filter rejected.
    pub filtered: Counter,
    /// Inputs that could not become a record: too long, or not in the source's format.
    pub unusable: Counter,
    /// Lines that were repaired to become a record: NUL bytes removed, invalid UTF-8 replaced by U+FFFD.
    pub mended: Counter,
    /// Times that something of the source was gone before it could be read.
    pub gaps: Counter,
    /// Bytes missed that way, as far as known.
    pub gap_bytes: Counter,
    /// Connections of the source that were lost and opened again.
    pub reconnects: Counter,
    /// The source's lag: the age of the newest post when it was read, in ms. 0 until known.
    pub source_lag_ms: Gauge,
    /// Of the records read, those that were fetched later, to fill a gap.
    pub late: Counter,
    /// Gaps that are still to be filled.
    pub open_gaps: Gauge,
    /// Gaps that can no longer be filled.
    pub missed: Missed,
    /// Records that Kinesis acknowledged.
    pub delivered: Counter,
    /// When it did so last.
    pub last_delivered: Moment,
    /// The board's own reports that Kinesis acknowledged; they are not counted as records.
    pub reports: Counter,
    /// Records that Kinesis can never accept. They are in the dead-letter file.
    pub impossible: Counter,
    /// Calls to Kinesis, whatever their outcome.
    pub calls: Counter,
    /// When the current call began.
    pub call: Moment,
    /// Records sent again after any failure.
    pub retried: Counter,
    /// Records that a shard refused because its limit for that second was reached.
    pub throttled: Counter,
    /// Records sent again because the network broke their call. They may have arrived already.
    pub sent_again: Counter,
    /// Bytes sent to Kinesis on the wire, TLS included.
    pub bytes_sent: Counter,
    /// The same since midnight, UTC, earlier processes included.
    pub bytes_sent_today: Gauge,
    /// Parts of the stream that are throttled at present.
    pub lanes: Gauge,
    /// How far the board's clock is behind the server's, in ms. 0 while within four minutes.
    pub clock_offset_ms: Gauge,
    /// Expiry of the current credentials, in s since 1970. 0 if they do not expire.
    pub credentials_expiry_s: Gauge,
    /// Health of the source's thread.
    pub source: Vitals,
    /// Health of the uplink's thread.
    pub uplink: Vitals,
    /// Trouble of the card. No sign of life is expected from it.
    pub card: Vitals,
}

/// Gaps that can no longer be filled.
#[derive(Debug, Default)]
pub struct Missed {
    /// Their number.
    pub gaps: Counter,
    /// Their total length, in ms.
    pub ms: Counter,
    /// When the last of them began, in ms since 1970. 0 if there was none.
    pub from_ms: Gauge,
    /// When it ended.
    pub until_ms: Gauge,
}

impl Counters {
    /// The name of a thread whose sign of life is overdue by more than `margin`, if there is one.
    pub fn stuck(&self, now: Duration, margin: Duration) -> Option<&'static str> {
        self.vitals()
            .find(|(_, vitals)| vitals.is_stuck(now, margin))
            .map(|(name, _)| name)
    }

    /// Everything that can be in trouble, by name.
    pub fn vitals(&self) -> impl Iterator<Item = (&'static str, &Vitals)> {
        [
            ("source", &self.source),
            ("uplink", &self.uplink),
            ("spool", &self.card),
        ]
        .into_iter()
    }
}
