//! The delivery loop against a Kinesis of the tests' own: what arrives, what stays, and how often it was asked.

mod support;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use support::delivery::{Delivery, texts};

use headwater::aws::credentials::Provider;
use headwater::aws::credentials::profile::Profile;
use headwater::platform::facts::Facts;
use headwater::platform::time::{Clock, TestClock};
use testkit::kinesis::{Kinesis, Reply};

#[test]
fn one_waiting_post_is_a_put_record_and_many_go_together() {
    // Given one post, then 3,000
    for (count, call) in [(1, "PutRecord"), (3000, "PutRecords")] {
        let server = Kinesis::scripted([]);
        let delivery = Delivery::of(texts(0..count));
        // When they are delivered
        delivery.deliver_to(&server);
        // Then they arrived in order over one connection, in calls that begin small on a way nobody knows, and grow to what one may carry
        assert_eq!(server.data(), texts(0..count));
        let calls = server.calls();
        assert!(calls.iter().all(|seen| seen.target.ends_with(call)));
        let sizes: Vec<_> = calls.iter().map(|call| call.puts.len()).collect();
        assert!(sizes[0] < 300 && sizes.len() <= 9, "{sizes:?}");
        assert!(count == 1 || sizes.contains(&500), "{sizes:?}");
        assert_eq!(server.connections(), 1);
        assert_eq!(
            (delivery.waiting(), delivery.counters.delivered.get()),
            (0, count as u64)
        );
    }
}

#[test]
fn a_backlog_of_ten_thousand_uses_one_connection() {
    let server = Kinesis::scripted([]);
    let delivery = Delivery::of(texts(0..10_000));
    delivery.deliver_to(&server);
    assert_eq!(server.data().len(), 10_000);
    assert_eq!(server.connections(), 1);
    // Twenty full ones, and a few that find out how much the way takes.
    let calls = delivery.counters.calls.get();
    assert!((20..=25).contains(&calls), "{calls}");
}

#[test]
fn only_what_failed_is_sent_again() {
    // Given a call in which every third record fails
    let server = Kinesis::scripted([Reply::AcceptSome(
        |index| index % 3 != 0,
        "ProvisionedThroughputExceededException",
    )]);
    let delivery = Delivery::of(texts(0..100));
    // When all is delivered
    delivery.deliver_to(&server);
    // Then the next calls carry the failed ones alone, oldest first, as their shard takes them, and nothing arrives twice
    let calls = server.calls();
    let again = calls[1..].iter().flat_map(|call| &call.puts);
    let again: Vec<_> = again.map(|put| put.data.clone()).collect();
    let failed: Vec<_> = texts(0..100).into_iter().step_by(3).collect();
    assert!(
        calls.len() > 2 && again.iter().collect::<BTreeSet<_>>() == failed.iter().collect(),
        "{again:?}"
    );
    assert_eq!(again.len(), failed.len());
    let mut arrived = server.data();
    arrived.sort();
    assert_eq!(arrived, texts(0..100));
    assert_eq!(delivery.counters.retried.get(), 34);
}

#[test]
fn records_that_arrived_behind_one_that_failed_do_not_come_again() {
    // Given a call of which the first record alone fails: the acknowledged position cannot pass it
    let server = Kinesis::scripted([Reply::AcceptSome(|index| index != 0, "InternalFailure")]);
    let delivery = Delivery::of(texts(0..700));
    delivery.deliver_to(&server);
    // Then those behind it, once delivered, are not taken from the spool again
    let mut arrived = server.data();
    arrived.sort();
    assert_eq!(arrived, texts(0..700));
}

#[test]
fn every_kind_of_failure_is_outlived() {
    let failures = [
        Reply::error(500, "InternalFailure"),
        Reply::error(400, "ThrottlingException"),
        Reply::error(400, "ExpiredTokenException"),
        Reply::error(400, "AccessDeniedException"),
        Reply::error(400, "ResourceNotFoundException"),
        Reply::error(400, "KMSDisabledException"),
        Reply::error(400, "InvalidSignatureException"),
        Reply::error(400, "NeverSeenBefore"),
        Reply::Answer(503, "<html>".into()),
        Reply::Answer(302, String::new()),
        Reply::Answer(200, "<html>Welcome to the Hotel</html>".into()),
        Reply::Answer(200, String::new()),
    ];
    let count = failures.len() as u64;
    let server = Kinesis::scripted(failures);
    let delivery = Delivery::of(texts(0..10));
    delivery.deliver_to(&server);
    assert_eq!(server.data(), texts(0..10));
    assert_eq!(
        (delivery.waiting(), delivery.counters.calls.get()),
        (0, count + 1)
    );
}

#[test]
fn an_answer_that_never_comes_or_is_cut_is_asked_for_again() {
    for reply in [Reply::AcceptAndCut, Reply::AcceptAndAnswerHalf] {
        // Given a call that is taken, and whose answer is lost
        let server = Kinesis::scripted([reply]);
        let delivery = Delivery::of(texts(0..3));
        delivery.deliver_to(&server);
        // Then it is sent again: twice on the wire is the price of not once less
        assert_eq!(server.data(), [texts(0..3), texts(0..3)].concat());
        assert_eq!(delivery.waiting(), 0);
    }
}

/// A refusal in Kinesis's words, of the call.
const OF_THE_STREAM: &str = r#"{"__type":"ValidationException","message":"1 validation error detected: Value 'arn:aws:kinesis' at 'streamName' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+"}"#;

#[test]
fn what_refuses_every_record_lets_go_of_none() {
    let answers = [
        (400, OF_THE_STREAM),
        (400, r#"{"__type":"ValidationException"}"#),
        (
            400,
            r#"{"__type":"InvalidArgumentException","message":"no"}"#,
        ),
        (400, r#"{"__type":"SerializationException"}"#),
        (413, "<html>Request Entity Too Large</html>"),
    ];
    for (status, body) in answers {
        // Given a server that answers every call like that for an hour, and then none any more
        let refused = AtomicU64::new(0);
        let server = Kinesis::start(move |_, _| match refused.fetch_add(1, Ordering::SeqCst) {
            0..80 => Reply::Answer(status, body.into()),
            _ => Reply::Accept,
        });
        let delivery = Delivery::of(texts(0..200));
        // When posts are delivered to it
        delivery.deliver_to(&server);
        // Then none was set aside, and all arrive in the end, once
        let mut arrived = server.data();
        arrived.sort();
        assert_eq!(arrived, texts(0..200), "{body}");
        assert_eq!(delivery.counters.impossible.get(), 0, "{body}");
    }
}

#[test]
fn a_sequence_number_that_is_stale_is_dropped_and_the_post_sent_once_more() {
    // Given strict order, and a stream that was made anew meanwhile: it knows none of the numbers that were given before
    let server = Kinesis::start(|number, call| match number {
        3.. if call.puts[0]
            .after
            .as_deref()
            .is_some_and(|after| after.len() < 4) =>
        {
            Reply::error(400, "InvalidArgumentException")
        }
        _ => Reply::Accept,
    });
    let delivery = Delivery {
        ordered: true,
        ..Delivery::of(["a1", "a2", "a3", "a4", "a5", "a6"].map(str::to_owned))
    };
    delivery.deliver_to(&server);
    // Then no post is lost or set aside
    assert_eq!(server.data(), ["a1", "a2", "a3", "a4", "a5", "a6"]);
    assert_eq!(delivery.counters.impossible.get(), 0);
}

#[test]
fn a_poison_record_is_found_and_set_aside_and_all_others_arrive() {
    // Given three records among 1,000 that Kinesis refuses whatever they stand with
    let poison = |data: &str| {
        ["00000", "00321", "00999"]
            .iter()
            .any(|bad| data.starts_with(bad))
    };
    let server =
        Kinesis::start(
            move |_, call| match call.puts.iter().find(|put| poison(&put.data)) {
                // Of the last one, which has none after it to be compared with, the answer says that it is the record.
                Some(put) if put.data.starts_with("00999") => Reply::refusal("data"),
                Some(_) => Reply::error(400, "ValidationException"),
                None => Reply::Accept,
            },
        );
    let delivery = Delivery::of(texts(0..1000));

    // When all is delivered
    delivery.deliver_to(&server);

    // Then the others arrived once, in order, and the three stand in the dead-letter file with their reason
    let good: Vec<_> = texts(0..1000)
        .into_iter()
        .filter(|text| !poison(text))
        .collect();
    assert_eq!(server.data(), good);
    let dead = std::fs::read_to_string(delivery.folder.path().join("dead")).unwrap();
    assert_eq!(dead.lines().count(), 3);
    assert!(
        dead.lines()
            .all(|line| line.contains("ValidationException")),
        "{dead}"
    );
    assert_eq!(delivery.counters.impossible.get(), 3);
    assert!(
        delivery.counters.calls.get() < 80,
        "{} calls",
        delivery.counters.calls.get()
    );
}

#[test]
fn strict_order_sends_one_at_a_time_and_names_the_one_before() {
    // Given posts of two keys, and a failure in the middle
    let server = Kinesis::scripted([Reply::Accept, Reply::error(500, "InternalFailure")]);
    let records = ["a1", "b1", "a2", "a3", "b2"].map(str::to_owned);
    let delivery = Delivery {
        ordered: true,
        ..Delivery::of(records.clone())
    };
    // When they are delivered
    delivery.deliver_to(&server);
    // Then each came alone, in order, after the one before with its key
    let taken = server.taken();
    let seen: Vec<_> = taken
        .iter()
        .map(|put| (put.data.as_str(), put.after.as_deref()))
        .collect();
    assert_eq!(
        seen,
        [
            ("a1", None),
            ("b1", None),
            ("a2", Some("1")),
            ("a3", Some("3")),
            ("b2", Some("2"))
        ]
    );
}

#[test]
fn a_wrong_clock_costs_one_attempt() {
    const DAY: u64 = 24 * 3600;
    for off in [3600, DAY, 10 * 365 * DAY] {
        for behind in [true, false] {
            // Given a board whose clock is off, and a server that refuses signatures five minutes off its own time
            let server = Kinesis::start(|_, call| {
                let signed = parse_amz_date(&call.signed_at);
                let now = SystemTime::now();
                let off = now
                    .duration_since(signed)
                    .or_else(|_| signed.duration_since(now))
                    .unwrap();
                if off > Duration::from_secs(300) {
                    Reply::error(403, "InvalidSignatureException")
                } else {
                    Reply::Accept
                }
            });
            let off = Duration::from_secs(off);
            let clock = TestClock::at(match behind {
                true => SystemTime::now() - off,
                false => SystemTime::now() + off,
            });
            let delivery = Delivery {
                clock: Arc::new(clock),
                ..Delivery::of(texts(0..1))
            };
            // When a post is to be delivered
            delivery.deliver_to(&server);
            // Then the second attempt is signed with the server's time, without a pause
            assert_eq!(
                (server.data().len(), delivery.counters.calls.get()),
                (1, 2),
                "{off:?} {behind}"
            );
            assert_eq!(delivery.clock.elapsed(), Duration::ZERO);
        }
    }
}

#[test]
fn what_was_learnt_of_the_clock_survives_a_restart() {
    // Given a program that found its clock an hour behind, and saved what it knows
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state");
    let remembered = Facts::open(None, Some(file.clone()));
    remembered.set("clock.offset_ms", 3_600_000);
    remembered.save();

    // When it starts again with the same clock
    let server = Kinesis::scripted([]);
    let clock = TestClock::at(SystemTime::now() - Duration::from_secs(3600));
    let state = Arc::new(Facts::open(None, Some(file)));
    let delivery = Delivery {
        clock: Arc::new(clock),
        state,
        ..Delivery::of(texts(0..1))
    };
    delivery.deliver_to(&server);

    // Then the first attempt is signed with the right time
    let signed = parse_amz_date(&server.calls()[0].signed_at);
    let off = SystemTime::now().duration_since(signed).unwrap_or_default();
    assert!(off < Duration::from_secs(300), "{off:?}");
}

#[test]
fn credentials_that_expire_are_renewed_and_the_call_signed_again() {
    // Given a credential process that gives other keys each time, and a server that lets each pair expire after one call
    let counting = |folder: &Path| {
        let config = folder.join("config");
        let script = format!(
            r#"[default]
credential_process = cd {}; echo >> n; echo "{{\"AccessKeyId\":\"AK$(wc -l < n)\",\"SecretAccessKey\":\"a-secret-of-the-tests\"}}"
"#,
            folder.display()
        );
        std::fs::write(&config, script).unwrap();
        Provider::Profile(Profile::new("default", config, folder.join("credentials")))
    };
    let used = Mutex::new(Vec::new());
    let server = Kinesis::start(move |_, call| {
        let mut used = used.lock().unwrap();
        if used.contains(&call.authorization) {
            return Reply::error(400, "ExpiredTokenException");
        }
        used.push(call.authorization.clone());
        Reply::Accept
    });
    let delivery = Delivery {
        provider: counting,
        ..Delivery::of(texts(0..1500))
    };

    // When a backlog of three calls is delivered
    delivery.deliver_to(&server);

    // Then all arrived once, without a pause
    assert_eq!(server.data(), texts(0..1500));
    assert_eq!(delivery.clock.elapsed(), Duration::ZERO);
}

#[test]
fn the_backlog_is_intact_after_an_hour_of_any_trouble() {
    let codes = [
        (500, "InternalFailure"),
        (400, "ProvisionedThroughputExceededException"),
        (400, "ExpiredTokenException"),
        (400, "InvalidSignatureException"),
        (400, "AccessDeniedException"),
        (400, "ResourceNotFoundException"),
        (400, "KMSDisabledException"),
        (418, "NeverSeenBefore"),
    ];
    for (status, code) in codes {
        // Given a server that answers nothing else for an hour
        let server = Kinesis::start(move |_, _| Reply::error(status, code));
        let hour = Duration::from_secs(3600);
        let clock = TestClock::at(SystemTime::now()).ending_after(hour);
        let delivery = Delivery {
            clock: Arc::new(clock),
            ..Delivery::of(texts(0..20))
        };
        delivery.deliver_to(&server);

        // Then every post still waits, in order
        let mut waiting = Vec::new();
        delivery.spool.peek(|_, record| {
            waiting.push(String::from_utf8(record.data.to_vec()).unwrap());
            std::ops::ControlFlow::Continue(())
        });
        assert_eq!(waiting, texts(0..20), "{code}");
        assert_eq!(delivery.counters.delivered.get(), 0);
    }
}

/// `20261123T064500Z`.
fn parse_amz_date(text: &str) -> SystemTime {
    let part = |range: std::ops::Range<usize>| &text[range];
    let rfc3339 = format!(
        "{}-{}-{}T{}:{}:{}Z",
        part(0..4),
        part(4..6),
        part(6..8),
        part(9..11),
        part(11..13),
        part(13..15)
    );
    let format = aws_smithy_types::date_time::Format::DateTime;
    aws_smithy_types::DateTime::from_str(&rfc3339, format)
        .unwrap()
        .try_into()
        .unwrap()
}
