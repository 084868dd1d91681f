//! The clock that the rest of the program is given, so that tests can control time.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ::time::UtcDateTime;
use rustix::time::{ClockId, Timespec, clock_gettime};

use crate::platform::stop::Stop;

/// The time since 1970; zero if `time` is earlier.
pub fn since_1970(time: SystemTime) -> Duration {
    time.duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// `time` in milliseconds since 1970; 0 if it is earlier.
pub fn unix_ms(time: SystemTime) -> u64 {
    u64::try_from(since_1970(time).as_millis()).unwrap_or(u64::MAX)
}

/// A source of time.
pub trait Clock: Send + Sync + fmt::Debug {
    /// The board's wall clock, which may be wrong: `aws::clock` knows its offset.
    fn wall(&self) -> SystemTime;

    /// Monotonic time since a fixed but unknown moment.
    fn elapsed(&self) -> Duration;

    /// Sleeps for `pause`, or until `stop` is requested. True if it was.
    fn sleep(&self, pause: Duration, stop: &Stop) -> bool;
}

/// The machine's clocks as of the kernel's last tick, 1 to 10 ms ago (CLOCK_REALTIME_COARSE and CLOCK_MONOTONIC_COARSE). They are read several
/// times for each post, and cost less than the exact ones.
#[derive(Debug)]
pub struct SystemClock {
    start: Duration,
}

impl Default for SystemClock {
    fn default() -> Self {
        Self {
            start: since(ClockId::MonotonicCoarse),
        }
    }
}

impl Clock for SystemClock {
    fn wall(&self) -> SystemTime {
        UNIX_EPOCH + since(ClockId::RealtimeCoarse)
    }

    fn elapsed(&self) -> Duration {
        since(ClockId::MonotonicCoarse).saturating_sub(self.start)
    }

    fn sleep(&self, pause: Duration, stop: &Stop) -> bool {
        stop.wait(pause)
    }
}

/// A clock for tests: time passes when the test says so, and when the program sleeps. It is here, and not in `testkit`, so that unit tests and
/// integration tests share it: the former use this crate's own [`Clock`], the latter the library's.
#[doc(hidden)]
#[derive(Debug)]
pub struct TestClock {
    start: SystemTime,
    limit: Duration,
    elapsed: Mutex<Duration>,
    sleeps: Mutex<Vec<Duration>>,
}

impl TestClock {
    /// The wall clock of most tests at their start, in seconds since 1970: 2026-01-15T10:35:00Z.
    pub const START_SECS: u64 = 1_768_473_300;

    /// A clock whose wall clock starts at `start`.
    pub fn at(start: SystemTime) -> Self {
        Self {
            start,
            ..Self::default()
        }
    }

    /// The same clock with a limit: a sleep beyond it requests the end instead.
    #[must_use]
    pub fn ending_after(self, limit: Duration) -> Self {
        Self { limit, ..self }
    }

    /// Advances both clocks.
    pub fn advance(&self, time: Duration) {
        *self.elapsed.lock().unwrap_or_else(PoisonError::into_inner) += time;
    }

    /// The sleeps so far, without those of zero length.
    pub fn sleeps(&self) -> Vec<Duration> {
        let sleeps = self.sleeps.lock();
        sleeps.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Default for TestClock {
    fn default() -> Self {
        Self {
            start: UNIX_EPOCH + Duration::from_secs(Self::START_SECS),
            limit: Duration::MAX,
            elapsed: Mutex::default(),
            sleeps: Mutex::default(),
        }
    }
}

impl Clock for TestClock {
    fn wall(&self) -> SystemTime {
        self.start + self.elapsed()
    }

    fn elapsed(&self) -> Duration {
        *self.elapsed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sleep(&self, pause: Duration, stop: &Stop) -> bool {
        if self.elapsed().saturating_add(pause) > self.limit {
            stop.ask();
            return true;
        }
        self.advance(pause);
        if !pause.is_zero() {
            let mut sleeps = self.sleeps.lock().unwrap_or_else(PoisonError::into_inner);
            sleeps.push(pause);
        }
        stop.asked()
    }
}

/// The reading of a kernel clock. One before its zero, such as 1969, counts as zero: no board is ever set to that.
fn since(clock: ClockId) -> Duration {
    let Timespec { tv_sec, tv_nsec } = clock_gettime(clock);
    let secs = u64::try_from(tv_sec).unwrap_or_default();
    Duration::new(secs, u32::try_from(tv_nsec).unwrap_or_default())
}

/// A time in milliseconds since 1970, displayed as `2026-01-15T10:35:00.123Z`. Anything later than the year 9999 is displayed as its last
/// moment.
#[derive(Clone, Copy, Debug)]
pub struct Rfc3339(pub u64);

impl fmt::Display for Rfc3339 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (secs, ms) = (self.0 / 1000, self.0 % 1000);
        let time = i64::try_from(secs)
            .ok()
            .and_then(|secs| UtcDateTime::from_unix_timestamp(secs).ok())
            .unwrap_or(UtcDateTime::MAX);
        let (year, month, day) = time.to_calendar_date();
        let (hour, minute, second) = time.as_hms();
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z",
            month = u8::from(month)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_by_the_calendar() {
        let table = [
            (0, "1970-01-01T00:00:00.000Z"),
            (1_768_473_300_007, "2026-01-15T10:35:00.007Z"),
            (951_782_399_999, "2000-02-28T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (951_868_800_000, "2000-03-01T00:00:00.000Z"),
            (1_709_164_800_000, "2024-02-29T00:00:00.000Z"),
            (1_735_689_599_000, "2024-12-31T23:59:59.000Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
            (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
            (u64::MAX / 1000 * 1000, "9999-12-31T23:59:59.000Z"),
        ];
        for (ms, text) in table {
            assert_eq!(Rfc3339(ms).to_string(), text);
        }
    }
}
