use super::*;
use crate::observe::snapshot::Trouble;

#[test]
fn every_figure_has_its_help_its_type_and_its_value() {
    let snapshot = Snapshot {
        read: 12_345_678_901,
        bytes_sent: 5_000_000_000,
        bytes_sent_today: 70,
        throttled: 3,
        sent_again: 4,
        lanes: 2,
        taken_s: 1_800_000_000,
        last_read_age_s: Some(0.5),
        troubles: vec![Trouble {
            of: "uplink".to_owned(),
            ..Trouble::default()
        }],
        ..Snapshot::default()
    };
    let text = text(&snapshot);
    for line in [
        "# TYPE headwater_read_total counter",
        "headwater_read_total 12345678901",
        "# TYPE headwater_last_read_timestamp_seconds gauge",
        "headwater_last_read_timestamp_seconds 1799999999.5",
        "# TYPE headwater_sent_bytes_total counter",
        "headwater_sent_bytes_total 5000000000",
        "# TYPE headwater_sent_today_bytes gauge",
        "headwater_sent_today_bytes 70",
        "headwater_throttled_total 3",
        "headwater_sent_again_total 4",
        "headwater_lanes 2",
        "headwater_source_trouble 0",
        "headwater_uplink_trouble 1",
    ] {
        assert!(
            text.lines().any(|has| has == line),
            "{line} is not in:\n{text}"
        );
    }
    assert!(
        !text.contains("headwater_last_delivered_timestamp_seconds"),
        "nothing was delivered yet"
    );
}

#[test]
fn names_follow_the_conventions_and_none_stands_twice() {
    let mut seen = std::collections::BTreeSet::new();
    for Metric { name, .. } in METRICS {
        assert!(
            name.starts_with("headwater_") && seen.insert(name),
            "{name}"
        );
        assert!(
            name.bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte == b'_'),
            "{name}"
        );
        assert!(
            !name.contains("_ms") && !name.contains("kib"),
            "{name} has a base unit"
        );
    }
}
