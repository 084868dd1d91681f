use super::*;

fn secs(failure: Failure, failures: impl Iterator<Item = u32>) -> Vec<f64> {
    failures
        .map(|nth| failure.pause(nth).as_secs_f64())
        .collect()
}

#[test]
fn each_kind_of_failure_has_its_schedule() {
    assert_eq!(secs(Failure::Network, 1..=4), [0.0, 0.25, 0.5, 0.75]);
    assert_eq!(secs(Failure::Network, 64..=66), [15.75, 16.0, 16.0]);
    let server = [5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 320.0, 320.0];
    assert_eq!(secs(Failure::Server, 1..=8), server);
    for failure in [Failure::Limited, Failure::Person] {
        let limited = [60.0, 120.0, 240.0, 480.0, 960.0, 960.0];
        assert_eq!(secs(failure, 1..=6), limited);
    }
}

#[test]
fn no_number_of_failures_is_too_large() {
    for failure in [Failure::Network, Failure::Server, Failure::Limited] {
        assert_eq!(failure.pause(u32::MAX), failure.pause(100));
        assert_eq!(failure.pause(0), failure.pause(1));
    }
}

#[test]
fn what_is_remembered_is_read_back() {
    let counts = Counts {
        network: 1,
        server: 2,
        limited: 3,
        person: 0,
        until_ms: 4,
        pause_ms: u64::MAX,
    };
    assert_eq!(counts.to_string().parse(), Ok(counts));
    for other in ["", "1 2 3", "1 2 3 4 x", "99999999999 2 3 4 5"] {
        assert_eq!(other.parse::<Counts>(), Err(()), "{other}");
    }
}

#[test]
fn a_pause_is_told_in_seconds() {
    for (ms, text) in [
        (0, "in 0 s"),
        (250, "in 0.25 s"),
        (1_500, "in 1.50 s"),
        (16_000, "in 16 s"),
        (59_870, "in 59 s"),
        (960_000, "in 960 s"),
    ] {
        assert_eq!(In(Duration::from_millis(ms)).to_string(), text);
    }
}
