//! What the program tells of itself: counters that every thread adds to.

use std::sync::atomic::{AtomicU64, Ordering};

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

/// What happened since the program started. What the spool counts over its whole life stands in [`crate::spool::Stats`].
#[derive(Debug, Default)]
pub struct Counters {
    /// Records the source handed over.
    pub read: Counter,
    /// Events the filter did not want.
    pub filtered: Counter,
    /// Inputs that could not become a record: too long, not UTF-8, not the source's format.
    pub unusable: Counter,
    /// Connections of the source that were lost and opened again.
    pub reconnects: Counter,
    /// Records Kinesis acknowledged.
    pub delivered: Counter,
    /// Records Kinesis can never take, set aside in the dead-letter file.
    pub impossible: Counter,
    /// Calls to Kinesis, whatever their outcome.
    pub calls: Counter,
    /// Records sent again after a failure.
    pub retried: Counter,
}
