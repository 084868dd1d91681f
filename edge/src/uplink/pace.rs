//! The limits of a metered link: bytes a second (`--max-rate`) and bytes a day (`--max-bytes-per-day`).

use std::time::{Duration, SystemTime};

use crate::platform::today::{DAY_SECONDS, Today, until_midnight};

/// A call may carry what the rate allows in this time.
const CALL: Duration = Duration::from_secs(2);

/// How much of the link delivery may use, as the user set it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Bytes a second; `None` for no limit.
    pub rate: Option<u64>,
    /// Bytes a day (UTC); `None` for no limit.
    pub per_day: Option<u64>,
}

/// Keeps delivery within its limits. Bytes are those on the wire, out of this machine.
#[derive(Debug)]
pub struct Pace {
    limits: Limits,
    today: Today,
    /// Bytes that the rate allows now, never above 0; below 0 while the bytes sent exceed the rate.
    level: f64,
    counted_at: Duration,
}

impl Pace {
    /// Continues with the bytes that earlier processes sent `today`.
    pub fn new(limits: Limits, today: Today) -> Self {
        Self {
            limits,
            today,
            level: 0.0,
            counted_at: Duration::ZERO,
        }
    }

    /// The most bytes of the next call. A larger post goes alone, once [`Pace::wait`] returns zero for it.
    pub fn room(&mut self, wall: SystemTime) -> usize {
        self.today.turn(wall);
        let by_rate = self
            .limits
            .rate
            .map(|rate| rate.saturating_mul(CALL.as_secs()));
        let by_day = self
            .limits
            .per_day
            .map(|most| most.saturating_sub(self.today.count));
        let room = by_rate.into_iter().chain(by_day).min();
        room.map_or(usize::MAX, |room| {
            usize::try_from(room).unwrap_or(usize::MAX)
        })
    }

    /// How long a call of `bytes` must wait; zero if it may go now. A call larger than the limit of a whole day goes as the first of a day,
    /// because it would otherwise wait forever.
    pub fn wait(&mut self, now: Duration, wall: SystemTime, bytes: usize) -> Duration {
        self.today.turn(wall);
        if let Some(most) = self.limits.per_day
            && self.today.count > 0
            && self.today.count.saturating_add(bytes as u64) > most
        {
            return until_midnight(wall);
        }
        let Some(rate) = self.limits.rate.map(to_f64) else {
            return Duration::ZERO;
        };
        let passed = now.saturating_sub(self.counted_at).as_secs_f64();
        self.counted_at = now;
        self.level = (self.level + passed * rate).min(0.0);
        Duration::from_secs_f64((-self.level / rate).min(to_f64(DAY_SECONDS)))
    }

    /// Counts `bytes` on the wire, delivered or not.
    pub fn spent(&mut self, wall: SystemTime, bytes: usize) {
        self.today.turn(wall);
        self.today.count = self.today.count.saturating_add(bytes as u64);
        if self.limits.rate.is_some() {
            self.level -= to_f64(bytes as u64);
        }
    }

    /// Bytes sent today, for the status and for the next process.
    pub fn today(&self) -> Today {
        self.today
    }
}

#[allow(clippy::cast_precision_loss, reason = "exact to 2^53")]
fn to_f64(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests;
