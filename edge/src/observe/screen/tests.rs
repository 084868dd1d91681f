use super::*;
use crate::observe::snapshot::About;

fn busy() -> Snapshot {
    Snapshot {
        about: About {
            version: "0.1.0".into(),
            pid: 812,
            source: "X, posts about pizza".into(),
            stream: "posts".into(),
            region: "eu-west-1".into(),
            host: "kinesis.eu-west-1.amazonaws.com".into(),
            credentials: "AWS IoT (c1.example)".into(),
            ..About::default()
        },
        uptime_s: 90_061,
        read: 1_234_567,
        read_per_s: 2.4,
        last_read_age_s: Some(3.1),
        delivered: 1_234_000,
        delivered_per_s: 12.4,
        draining_per_s: 10.0,
        last_delivered_age_s: Some(75.0),
        bytes_sent: 1_234_000 * 950,
        bytes_sent_today: 9 << 20,
        waiting_records: 567,
        waiting_bytes: 48 << 20,
        capacity_bytes: 64 << 20,
        oldest_age_s: Some(240),
        flash_bytes: 1 << 20,
        syncs: 12,
        credentials_expiry_s: Some(1_000_600),
        ..Snapshot::default()
    }
}

#[test]
fn a_busy_board_is_understood_at_a_glance() {
    let expected = "\
headwater 0.1.0, running for 1 d 1 h (process 812)
  from         X, posts about pizza
  to           stream posts in eu-west-1, kinesis.eu-west-1.amazonaws.com
  read         1,234,567 posts, 2.4/s, last 3 s ago
  acknowledged 1,234,000 posts, 12.4/s, last 1 min 15 s ago
  sent         1 GiB, 9 MiB today, 950 B a post
  backlog      [###############.....] 567 posts, 48 MiB of 64 MiB, the oldest 4 min 0 s old, drained in 57 s
  lost         none
  clock        right
  credentials  from AWS IoT (c1.example), valid for another 10 min 0 s
  to flash     1 MiB in 12 syncs since the start
  trouble      none
";
    assert_eq!(of(&busy(), 1_000_000, Paint::new(false)), expected);
}

#[test]
fn what_is_wrong_is_said_in_words_and_in_red() {
    let snapshot = Snapshot {
        dropped: 7,
        unsynced_lost: 2,
        impossible: 1,
        clock_offset_s: -7200,
        credentials_expiry_s: Some(10),
        troubles: vec![Trouble {
            of: "uplink".into(),
            for_s: Some(65),
            text: "the host cannot be reached".into(),
        }],
        ..busy()
    };
    let text = of(&snapshot, 1_000_000, Paint::new(true));
    for part in [
        "\x1b[31m9 (7 dropped from a full spool, 2 by a power cut, 0 by a damaged card)",
        "1 that Kinesis can never take set aside",
        "2 h 0 min ahead of the server's",
        "expired",
        "\x1b[31muplink, for 1 min 5 s: the host cannot be reached",
    ] {
        assert!(text.contains(part), "{part:?} is not in:\n{text}");
    }
}

#[test]
fn what_is_sent_again_is_said_with_its_cause() {
    let snapshot = Snapshot {
        sent_again: 1200,
        throttled: 34,
        lanes: 2,
        ..busy()
    };
    let text = of(&snapshot, 1_000_000, Paint::new(true));
    for part in [
        "950 B a post, 1,200 posts again after the network broke, 34 throttled",
        "\x1b[33ma part of the stream is throttled now",
    ] {
        assert!(text.contains(part), "{part:?} is not in:\n{text}");
    }
    assert_eq!(Snapshot::default().bytes_a_post(), None);
}

#[test]
fn figures_read_well_at_every_size() {
    assert_eq!(
        [0, 59, 60, 3600, 86_400].map(duration),
        ["0 s", "59 s", "1 min 0 s", "1 h 0 min", "1 d 0 h"]
    );
    assert_eq!(
        [0, 1023, 1536, 64 << 20, 3 << 30].map(bytes),
        ["0 B", "1023 B", "1.5 KiB", "64 MiB", "3 GiB"]
    );
    assert_eq!(
        [0, 999, 1000, 1_234_567].map(grouped),
        ["0", "999", "1,000", "1,234,567"]
    );
    assert!(bytes(u64::MAX).ends_with("TiB"));
}
