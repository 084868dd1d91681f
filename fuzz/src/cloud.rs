//! What the fuzzers feed the function with, and what must then hold.

use chrono::{DateTime, TimeDelta, Utc};
use cloud::batch::{Portion, portion};
use cloud::item::{Write, is_did, is_number};
use cloud::lambda::Record;
use cloud::pack;

/// A record's data, as it is and as the text of a pack: every post is stored, ignored, or fails with a short reason.
pub fn cloud(input: &[u8]) {
    let packed = zstd_safe::compress_bound(input.len());
    let mut frame = Vec::with_capacity(packed);
    zstd_safe::compress(&mut frame, input, 1).expect("room for the largest frame");
    for data in [input, &frame] {
        let record = Record {
            sequence_number: "1".to_owned(),
            arrived_at: DateTime::<Utc>::from_timestamp(1_800_000_000, 0),
            data: Some(data.to_vec()),
            ..Record::default()
        };
        let records = [record];
        let contents = portion(&records, 0);
        let decoded = Portion::decode(&contents, Some(TimeDelta::days(90)));
        assert!(decoded.read >= decoded.changes.len() + decoded.ignored);
        let failed: usize = decoded.failures.iter().map(|failure| failure.posts).sum();
        assert_eq!(
            decoded.read,
            decoded.changes.len() + decoded.ignored + failed
        );
        for failure in &decoded.failures {
            assert!(failure.reason.chars().count() <= 300);
        }
        for pending in &decoded.changes {
            keeps_to_its_source(&pending.write);
        }
    }
    if pack::is_pack(input)
        && let Ok(text) = pack::unpack(input)
    {
        assert!(text.len() <= pack::MAX_BYTES);
    }
}

/// No post of one source has a key that another's may have.
fn keeps_to_its_source(write: &Write) {
    let attributes = match write {
        Write::Put(item) => item.attributes(),
        other => other.key().attributes(),
    };
    let text = |name: &str| attributes.get(name).and_then(|value| value.as_s().ok());
    let username = text("Username").expect("a key");
    let id = text("Id").expect("a key");
    assert!(!username.is_empty() && !id.is_empty());
    match text("Source").map(String::as_str) {
        Some("jetstream") => assert!(is_did(username)),
        Some("x") => assert!(!is_did(username) && is_number(id)),
        Some("lines") => assert!(!is_did(username) && !is_number(id)),
        _ => {}
    }
}
