use super::*;

#[test]
fn the_time_to_drain_follows_from_the_pace_and_is_unknown_while_the_backlog_grows() {
    let with = |waiting_records, draining_per_s| {
        let snapshot = Snapshot {
            waiting_records,
            draining_per_s,
            ..Snapshot::default()
        };
        snapshot.drained_in_s()
    };
    assert_eq!(with(0, 0.0), Some(0));
    assert_eq!(with(900, 9.0), Some(100));
    assert_eq!(with(900, 0.0), None);
    assert_eq!(with(900, -5.0), None);
}

#[test]
fn a_snapshot_of_a_newer_or_an_older_version_can_be_read() {
    let text = r#"{"version":"9.0.0","pid":7,"read":3,"of_the_future":[1,2]}"#;
    let snapshot: Snapshot = serde_json::from_str(text).unwrap();
    assert_eq!((snapshot.about.pid, snapshot.read), (7, 3));
}
