//! The server's time. The board's clock may be years off, and a signature is valid for five minutes around the server's time.
//!
//! A board without a battery-backed clock starts in the past. The offset is computed from the servers' `Date` headers and added to the wall clock
//! for every signature. TLS, however, needs a wall clock that is about right: if a certificate is "not yet valid", only NTP can help.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A smaller difference is attributed to the network's delay or the server's error, and ignored.
const TOLERANCE_MS: i64 = 4 * 60 * 1000;

/// A response that took longer is not used to measure the offset.
const MAX_ROUND_TRIP: Duration = Duration::from_secs(15 * 60);

/// When this program was built, in seconds since 1970. An earlier clock is wrong.
const BUILT: &str = env!("HEADWATER_BUILT");

/// Tolerance, because the build machine's clock may have been ahead.
const BUILDER: Duration = Duration::from_secs(24 * 3600);

/// The year 2024, before the first line of this program, in seconds since 1970.
const EARLIEST_S: u64 = 1_704_067_200;

/// The year 2100, in seconds since 1970. A later clock is wrong.
const LATEST_S: u64 = 4_102_444_800;

/// The offset between the board's clock and the server's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ServerClock {
    offset_ms: i64,
}

impl ServerClock {
    /// A clock that is `offset_ms` behind the server's.
    pub fn with_offset_ms(offset_ms: i64) -> Self {
        Self { offset_ms }
    }

    /// The offset that an earlier run stored, or none if it would lead to an impossible time when the wall clock shows `wall`.
    pub fn remembered(offset_ms: i64, wall: SystemTime) -> Self {
        let remembered = Self { offset_ms };
        if offset_ms == 0 || can_be(remembered.at(wall)) {
            remembered
        } else {
            Self::default()
        }
    }

    /// Discards the offset, because signatures made with it are refused. True if there was one.
    pub fn forget(&mut self) -> bool {
        std::mem::take(&mut self.offset_ms) != 0
    }

    /// How far the board's clock is behind the server's, in ms. 0 while that is within four minutes.
    pub fn offset_ms(self) -> i64 {
        self.offset_ms
    }

    /// The server's time at the wall clock's time `wall`.
    pub fn at(self, wall: SystemTime) -> SystemTime {
        shifted(wall, self.offset_ms)
    }

    /// Updates the offset from a response: `date` is the server's time at some moment between `sent` and `received` on the wall clock. True if the offset
    /// changed. A `date` before this program was built, or after 2100, is ignored.
    pub fn observe(&mut self, sent: SystemTime, received: SystemTime, date: SystemTime) -> bool {
        if !can_be(date) {
            return false;
        }
        let round_trip = match received.duration_since(sent) {
            Ok(round_trip) if round_trip <= MAX_ROUND_TRIP => round_trip,
            // The wall clock was set meanwhile, or the response took too long.
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

/// Whether `wall` is before this program was built, so that the clock has not been set since the board started.
pub fn is_unset(wall: SystemTime) -> bool {
    built().is_some_and(|built| wall < built)
}

/// Whether `time` is possible for a clock that is right.
fn can_be(time: SystemTime) -> bool {
    let since_1970 = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
    let earliest = since_1970(EARLIEST_S);
    let earliest = built().map_or(earliest, |built| earliest.max(built - BUILDER));
    (earliest..since_1970(LATEST_S)).contains(&time)
}

fn built() -> Option<SystemTime> {
    let seconds = BUILT.parse().ok()?;
    UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
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

    /// So long after an hour at which this program is in use.
    fn at(ms: i64) -> SystemTime {
        shifted(built().unwrap() + Duration::from_secs(30 * 24 * 3600), ms)
    }

    #[test]
    fn one_answer_corrects_a_clock_that_is_off_by_minutes_or_years() {
        for off in [5 * 60 * 1000, HOUR, 24 * HOUR, 10 * 365 * 24 * HOUR] {
            for offset in [off, -off] {
                // Given a wall clock that is off
                let mut clock = ServerClock::default();
                // When a server answers within two seconds
                assert!(clock.observe(at(-offset), at(2000 - offset), at(1000)));
                // Then its time is known to the middle of the exchange
                assert_eq!(clock.at(at(-offset)), at(0), "{offset}");
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
    fn a_date_that_no_right_clock_shows_teaches_nothing() {
        for date in [
            "Thu, 01 Jan 1970 00:00:00 GMT",
            "Sun, 31 Dec 2023 23:59:59 GMT",
            "Fri, 01 Jan 2100 00:00:00 GMT",
            "Fri, 31 Dec 9999 23:59:59 GMT",
        ] {
            // Given a clock that is right, and one that knows how wrong it is
            for mut clock in [ServerClock::default(), ServerClock::with_offset_ms(HOUR)] {
                let before = clock;
                // When an answer bears that date, also one just before the program was built
                let date = httpdate::parse_http_date(date).unwrap();
                for date in [date, built().unwrap() - BUILDER - BUILDER] {
                    // Then it changes nothing
                    assert!(!clock.observe(at(0), at(10), date));
                    assert_eq!(clock, before);
                }
            }
        }
        // And the last second of the century still counts
        let last = UNIX_EPOCH + Duration::from_secs(LATEST_S - 1);
        assert!(ServerClock::default().observe(at(0), at(10), last));
    }

    #[test]
    fn what_an_earlier_run_learnt_counts_if_it_leads_to_a_time_that_can_be() {
        let remembered = |offset_ms| ServerClock::remembered(offset_ms, at(0)).offset_ms();
        for good in [0, HOUR, -HOUR, 20 * 365 * 24 * HOUR] {
            assert_eq!(remembered(good), good);
        }
        for bad in [8000 * 365 * 24 * HOUR, -365 * 24 * HOUR, i64::MAX, i64::MIN] {
            assert_eq!(remembered(bad), 0, "{bad}");
        }
        // A board without a battery clock starts in 1970, wherever it ended.
        let offset_ms = millis(at(0));
        let clock = ServerClock::remembered(offset_ms, UNIX_EPOCH);
        assert_eq!(clock.at(UNIX_EPOCH), at(0));
    }

    #[test]
    fn what_signatures_are_refused_for_is_forgotten() {
        let mut clock = ServerClock::with_offset_ms(HOUR);
        assert!(clock.forget());
        assert_eq!(clock.at(at(0)), at(0));
        assert!(!clock.forget());
    }

    #[test]
    fn a_clock_before_the_build_is_not_set() {
        assert!(is_unset(UNIX_EPOCH));
        assert!(!is_unset(SystemTime::now()));
    }
}
