use std::time::UNIX_EPOCH;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn day(day: u64, seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(day * DAY_SECONDS + seconds)
}

#[test]
fn no_limit_is_no_wait() {
    let mut pace = Pace::new(Limits::default(), Today::default());
    pace.spent(day(20_000, 0), usize::MAX);
    assert_eq!(
        pace.wait(SECOND, day(20_000, 1), usize::MAX),
        Duration::ZERO
    );
    assert_eq!(pace.room(day(20_000, 1)), usize::MAX);
}

#[test]
fn a_rate_holds_over_any_time_and_leaves_no_burst_behind_an_idle_hour() {
    // Given 1,000 bytes a second
    let limits = Limits {
        rate: Some(1000),
        per_day: None,
    };
    let mut pace = Pace::new(limits, Today::default());
    let wall = day(20_000, 0);
    assert_eq!(pace.room(wall), 2000);
    // When as much as may is sent for an hour, from an hour on
    let (start, mut now, mut sent) = (SECOND * 3600, SECOND * 3600, 0);
    while now < start + SECOND * 3600 {
        let bytes = pace.room(wall);
        let wait = pace.wait(now, wall, bytes);
        if wait.is_zero() {
            pace.spent(wall, bytes);
            sent += bytes;
        } else {
            now += wait;
        }
    }
    // Then it is that rate, and one call
    assert!((3_600_000..=3_602_000).contains(&sent), "{sent}");
}

#[test]
fn a_day_has_so_many_bytes_and_the_next_one_as_many() {
    let limits = Limits {
        rate: None,
        per_day: Some(10_000),
    };
    let mut pace = Pace::new(limits, Today::default());
    let noon = day(20_000, 12 * 3600);
    pace.spent(noon, 9_000);
    assert_eq!(pace.room(noon), 1000);
    assert_eq!(pace.wait(SECOND, noon, 1000), Duration::ZERO);
    assert_eq!(pace.wait(SECOND, noon, 1001), SECOND * 12 * 3600);
    // The process that starts next knows
    let fact = pace.today().to_string();
    let mut next = Pace::new(limits, fact.parse().unwrap());
    assert_eq!(next.today().count, 9_000);
    assert_eq!(next.wait(SECOND, noon, 1001), SECOND * 12 * 3600);
    // And the day after is a new one
    assert_eq!(next.wait(SECOND, day(20_001, 0), 1001), Duration::ZERO);
    assert_eq!(next.room(day(20_001, 0)), 10_000);
}

#[test]
fn a_post_larger_than_a_day_goes_as_its_first() {
    let limits = Limits {
        rate: None,
        per_day: Some(1024),
    };
    let mut pace = Pace::new(limits, Today::default());
    let morning = day(20_000, 60);
    assert_eq!(pace.wait(SECOND, morning, 5000), Duration::ZERO);
    pace.spent(morning, 5000);
    assert_eq!(pace.room(morning), 0);
    assert!(pace.wait(SECOND, morning, 1) > SECOND * 80_000);
}

#[test]
fn a_clock_that_is_set_starts_a_day_and_one_that_is_set_back_a_little_does_not() {
    let limits = Limits {
        rate: None,
        per_day: Some(10_000),
    };
    let mut pace = Pace::new(limits, Today::default());
    // A board that starts in 1970, and learns the time
    pace.spent(day(0, 5), 4000);
    pace.spent(day(20_000, 5), 3000);
    assert_eq!(pace.today().count, 3000);
    // And is set back over midnight
    pace.spent(day(19_999, 86_390), 3000);
    assert_eq!(pace.today().count, 6000);
    // One that was in the future counts anew, not never
    pace.spent(day(40_000, 0), 10_000);
    assert_eq!(pace.wait(SECOND, day(20_000, 9), 5000), Duration::ZERO);
}

#[test]
fn what_is_no_day_is_none() {
    for text in ["", "1", "a 2", "1 b", "-1 2", "1 2 3"] {
        assert!(text.parse::<Today>().is_err(), "{text}");
    }
}
