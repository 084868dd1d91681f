//! Earlier figures, kept from one snapshot to the next: for rates, and for counters that only grow.

use std::time::Duration;

use heapless::HistoryBuf;

use crate::spool::Stats;

/// Rates, in records a second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Pace {
    pub(super) read_per_s: f64,
    pub(super) delivered_per_s: f64,
    pub(super) draining_per_s: f64,
}

/// Earlier figures, from which rates are computed.
#[derive(Debug)]
pub struct Past {
    pub(super) rates: Rates,
    pub(super) drops: Drops,
}

impl Past {
    /// Starts now. `stats` are those of the spool at the start.
    pub fn new(stats: &Stats) -> Self {
        Self {
            rates: Rates::default(),
            drops: Drops {
                last: stats.dropped,
                ..Drops::default()
            },
        }
    }
}

/// The spool's drops since the start, as two counters that only grow. [`Stats::dropped`] can shrink: a record that was dropped while a call
/// with it was under way, or while it was copied to the card, may be delivered after all, and then counts as delivered.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Drops {
    last: u64,
    /// Records dropped.
    pub(super) counted: u64,
    /// How many of them turned out not to be lost.
    pub(super) taken_back: u64,
}

impl Drops {
    pub(super) fn count(&mut self, dropped: u64) {
        self.counted += dropped.saturating_sub(self.last);
        self.taken_back += self.last.saturating_sub(dropped);
        self.last = dropped;
    }
}

/// The last minute of counts, from which rates are computed.
#[derive(Debug)]
pub(super) struct Rates {
    /// One entry a second.
    samples: HistoryBuf<Sample, { MINUTE + 1 }>,
}

/// Seconds.
const MINUTE: usize = 60;

/// Window of the draining rate, in seconds.
const LATELY: usize = 10;

/// Records read and delivered by then.
#[derive(Clone, Copy, Debug, Default)]
struct Sample {
    at: Duration,
    read: u64,
    delivered: u64,
}

impl Sample {
    /// Records read and delivered a second since `then`.
    fn since(self, then: Self) -> (f64, f64) {
        let seconds = self.at.saturating_sub(then.at).as_secs_f64().max(1.0);
        let per_second = |now: u64, then: u64| {
            let count = u32::try_from(now.saturating_sub(then)).unwrap_or(u32::MAX);
            tenths(f64::from(count) / seconds)
        };
        (
            per_second(self.read, then.read),
            per_second(self.delivered, then.delivered),
        )
    }
}

impl Default for Rates {
    fn default() -> Self {
        let mut samples = HistoryBuf::new();
        samples.write(Sample::default());
        Self { samples }
    }
}

impl Rates {
    pub(super) fn of(&mut self, at: Duration, read: u64, delivered: u64) -> Pace {
        let now = Sample {
            at,
            read,
            delivered,
        };
        let newest = self.samples.recent().copied().unwrap_or_default();
        if at.saturating_sub(newest.at) >= Duration::from_secs(1) {
            self.samples.write(now);
        }
        let mut samples = self.samples.oldest_ordered();
        let first = samples.next().copied().unwrap_or_default();
        let lately = samples.rev().take(LATELY).last().copied().unwrap_or(first);
        let (read_per_s, delivered_per_s) = now.since(first);
        let (read_lately, delivered_lately) = now.since(lately);
        Pace {
            read_per_s,
            delivered_per_s,
            draining_per_s: tenths(delivered_lately - read_lately),
        }
    }
}

/// A number rounded to tenths, for people to read.
pub(super) fn tenths(number: f64) -> f64 {
    (number * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests;
