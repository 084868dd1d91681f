//! What time it is for the server: the board's clock may be years off, and a signature is good for five minutes around the server's time.
//!
//! A board without a battery clock starts in the past. While its network is up but its clock is not set, the servers' `Date` headers say how
//! far it is off; that offset is added to the wall clock for every signature. TLS itself needs the wall clock to be about right: a
//! certificate that is "not yet valid" tells that it is not, and then only NTP can help.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Below this, a difference is the network's delay or the server's own error, not the board's.
const TOLERANCE_MS: i64 = 4 * 60 * 1000;

/// An exchange that took longer says nothing about the time.
const MAX_ROUND_TRIP: Duration = Duration::from_secs(15 * 60);

/// When this program was built: no right clock shows an earlier time. Seconds since 1970.
const BUILT: &str = env!("HEADWATER_BUILT");

/// The server's time, as far as it is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ServerClock {
    offset_ms: i64,
}

impl ServerClock {
    /// A clock that is known to be `offset_ms` behind the server's.
    pub fn with_offset_ms(offset_ms: i64) -> Self {
        Self { offset_ms }
    }

    /// How far the board's clock is behind the server's; 0 while that is within four minutes.
    pub fn offset_ms(self) -> i64 {
        self.offset_ms
    }

    /// The server's time when the wall clock shows `wall`.
    pub fn at(self, wall: SystemTime) -> SystemTime {
        shifted(wall, self.offset_ms)
    }

    /// Learns from an answer: `date` is the server's time somewhere between `sent` and `received` on the wall clock. True when that changed
    /// the offset.
    pub fn observe(&mut self, sent: SystemTime, received: SystemTime, date: SystemTime) -> bool {
        let round_trip = match received.duration_since(sent) {
            Ok(round_trip) if round_trip <= MAX_ROUND_TRIP => round_trip,
            // The wall clock was set meanwhile, or the answer took too long to say anything.
            _ => return false,
        };
        let measured = millis(date) - millis(sent + round_trip / 2);
        let changed = (measured - self.offset_ms).abs() > TOLERANCE_MS;
        if changed {
            self.offset_ms = if measured.abs() > TOLERANCE_MS {
                measured
            } else {
                0
            };
        }
        changed
    }
}

/// Whether `wall` lies before this program was built: the clock has not been set since the board started.
pub fn is_unset(wall: SystemTime) -> bool {
    BUILT
        .parse()
        .is_ok_and(|built| wall < UNIX_EPOCH + Duration::from_secs(built))
}

fn millis(time: SystemTime) -> i64 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_millis()).unwrap_or(i64::MAX / 4),
        Err(before) => -i64::try_from(before.duration().as_millis()).unwrap_or(i64::MAX / 4),
    }
}

fn shifted(time: SystemTime, by_ms: i64) -> SystemTime {
    let by = Duration::from_millis(by_ms.unsigned_abs());
    let shifted = if by_ms < 0 {
        time.checked_sub(by)
    } else {
        time.checked_add(by)
    };
    shifted.unwrap_or(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3600 * 1000;

    fn at(ms: i64) -> SystemTime {
        shifted(UNIX_EPOCH + Duration::from_secs(1_800_000_000), ms)
    }

    #[test]
    fn one_answer_corrects_a_clock_that_is_off_by_minutes_or_years() {
        for off in [5 * 60 * 1000, HOUR, 24 * HOUR, 10 * 365 * 24 * HOUR] {
            for offset in [off, -off] {
                // Given a wall clock that is off
                let mut clock = ServerClock::default();
                // When a server answers within two seconds
                assert!(clock.observe(at(0), at(2000), at(1000 + offset)));
                // Then its time is known to the middle of the exchange
                assert_eq!(clock.at(at(0)), at(offset), "{offset}");
            }
        }
    }

    #[test]
    fn less_than_four_minutes_is_no_offset() {
        let mut clock = ServerClock::default();
        for offset in [0, 1000, -239_000, 239_000] {
            assert!(!clock.observe(at(0), at(0), at(offset)));
        }
        assert_eq!(clock.offset_ms(), 0);
    }

    #[test]
    fn a_clock_that_ntp_sets_meanwhile_needs_no_offset_any_more() {
        let mut clock = ServerClock::with_offset_ms(3 * 365 * 24 * HOUR);
        assert!(clock.observe(at(0), at(100), at(50)));
        assert_eq!(clock.offset_ms(), 0);
    }

    #[test]
    fn an_exchange_that_says_nothing_about_the_time_changes_nothing() {
        let mut clock = ServerClock::default();
        assert!(
            !clock.observe(at(0), at(16 * 60 * 1000), at(HOUR)),
            "too slow"
        );
        assert!(
            !clock.observe(at(HOUR), at(0), at(9 * HOUR)),
            "the wall clock was set back in the middle"
        );
    }

    #[test]
    fn a_clock_before_the_build_is_not_set() {
        assert!(is_unset(UNIX_EPOCH));
        assert!(!is_unset(SystemTime::now()));
    }
}
