use super::*;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn the_pace_is_that_of_the_last_minute_and_draining_that_of_the_last_seconds() {
    let pace = |read_per_s, delivered_per_s, draining_per_s| Pace {
        read_per_s,
        delivered_per_s,
        draining_per_s,
    };
    // Given a minute of ten a second in and none out
    let mut rates = Rates::default();
    for second in 1..=60u32 {
        let now = rates.of(second * SECOND, u64::from(second) * 10, 0);
        assert!(
            second < 2 || now == pace(10.0, 0.0, -10.0),
            "{second}: {now:?}"
        );
    }
    // When none come in and five a second go out
    for second in 61..=120u32 {
        let now = rates.of(second * SECOND, 600, u64::from(second - 60) * 5);
        assert!(
            second < 71 || (now.draining_per_s - 5.0).abs() < 0.01,
            "{second}: {now:?}"
        );
    }
    assert_eq!(rates.of(120 * SECOND, 600, 300), pace(0.0, 5.0, 5.0));
}
