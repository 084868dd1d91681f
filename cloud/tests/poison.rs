//! What is set aside, and what is said of it. Records made to stop their shard, or to get their content into the log: none does.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use chrono::Utc;
use cloud::decode::decode;
use cloud::lambda::{Event, Record};
use cloud::{Outcome, pack};
use serde_json::{Value, json};

use support::{Aws, Call, Fault, corpus, pack, post, records, soon};

const GARBAGE: &[u8] = b"no post {";

/// What the function writes to its log about an outcome.
fn log_line(outcome: &Outcome) -> String {
    outcome.report.line(
        "store-posts",
        "request-1",
        "shardId-000000000000",
        Utc::now(),
        &outcome.troubles,
    )
}

fn length(message: &Value, field: &str) -> usize {
    message[field].as_str().expect("a text").chars().count()
}

#[tokio::test]
async fn a_failure_says_why_and_where_it_was_and_holds_the_record() {
    let aws = Aws::start(|_| Fault::None).await;
    let huge = vec![b'['; 1 << 20];
    let data = [
        post(1, "before"),
        GARBAGE.to_vec(),
        vec![],
        huge,
        post(2, "after"),
    ];

    let outcome = aws.function().process(&records(&data), soon()).await;

    assert_eq!(outcome.again_from, None);
    assert_eq!((outcome.report.stored, outcome.report.undecodable), (2, 3));
    let mut messages = aws.messages();
    messages.sort_by_key(|message| message["sequenceNumber"].to_string());
    let garbage = &messages[0];
    assert_eq!(
        garbage["reason"],
        "not JSON: expected ident at line 1 column 2"
    );
    assert_eq!(
        garbage["streamArn"],
        "arn:aws:kinesis:us-east-1:1:stream/posts"
    );
    assert_eq!(garbage["shardId"], "shardId-000000000000");
    assert_eq!(garbage["sequenceNumber"], "1");
    assert_eq!(garbage["partitionKey"], "key-1");
    assert_eq!(garbage["arrivedAt"], "2026-01-15T12:00:00.000Z");
    assert_eq!(garbage["bytes"], GARBAGE.len());
    assert_eq!(
        BASE64_STANDARD
            .decode(garbage["data"].as_str().unwrap())
            .unwrap(),
        GARBAGE
    );
    assert_eq!(
        (&messages[1]["reason"], &messages[1]["data"]),
        (&"empty".into(), &"".into())
    );
    assert_eq!(
        messages[2]["bytes"],
        1 << 20,
        "its data is cut, its length is not"
    );
}

#[tokio::test]
async fn a_partition_key_that_sqs_refuses_is_mended() {
    let aws = Aws::start(|_| Fault::None).await;
    let mut batch = records(&[GARBAGE.to_vec()]);
    batch[0].partition_key = "a\u{FFFF}b\u{FFFE}c\0".to_owned();

    aws.function().process(&batch, soon()).await;

    assert_eq!(aws.messages()[0]["partitionKey"], "a\u{FFFD}b\u{FFFD}c\0");
}

#[tokio::test]
async fn an_envelope_of_which_the_version_is_a_text_of_1_mib_is_set_aside() {
    let aws = Aws::start(|_| Fault::None).await;
    let version = "v".repeat(1 << 20);
    let line = json!({"headwater": version, "id": "01K", "from": "pi", "line": "pizza"});
    let data = [line.to_string().into_bytes(), post(1, "after")];

    let outcome = aws.function().process(&records(&data), soon()).await;

    assert_eq!(outcome.again_from, None);
    assert_eq!((outcome.report.stored, outcome.report.undecodable), (1, 1));
    assert!(length(&aws.messages()[0], "reason") <= 300);
    assert!(log_line(&outcome).len() < 2000, "{}", log_line(&outcome));
}

#[tokio::test]
async fn a_message_that_is_too_long_for_the_queue_is_shortened_and_sent_again() {
    // Given queues with lower limits than SQS's own, down to the lowest that can be set,
    for limit in [200 * 1024, 20 * 1024, 1024] {
        let limited = move |call: &Call| match call.body["MessageBody"].as_str() {
            Some(body) if body.len() > limit => Fault::Error(400, "InvalidParameterValue"),
            _ => Fault::None,
        };
        let aws = Aws::start(limited).await;
        // and garbage with the longest of everything,
        let mut batch = records(&[vec![b'['; 1 << 20], post(1, "after")]);
        batch[0].partition_key = "\u{1}".repeat(256);

        // when it comes,
        let outcome = aws.function().process(&batch, soon()).await;

        // then it is set aside, in a message that is as long as the queue takes.
        assert_eq!(
            (outcome.again_from, outcome.report.undecodable),
            (None, 1),
            "{limit}"
        );
        let messages = aws.messages();
        assert_eq!(messages.len(), 1);
        assert_eq!(messages[0]["sequenceNumber"], "0");
        assert_eq!(messages[0]["bytes"], 1 << 20);
        assert_eq!(length(&messages[0], "data") > 0, limit > 1024);
    }
}

#[tokio::test]
async fn what_the_queue_refuses_in_any_form_is_told_and_does_not_hold_the_shard() {
    for code in [
        "InvalidMessageContents",
        "InvalidParameterValue",
        "ValidationException",
        "SerializationException",
    ] {
        let refuses = move |call: &Call| match call.operation.as_str() {
            "SendMessage" => Fault::Error(400, code),
            _ => Fault::None,
        };
        let aws = Aws::start(refuses).await;
        let data = [
            post(1, "before"),
            pack(&[post(2, "in it"), b"no post {".to_vec()]),
            post(3, "after"),
        ];

        let outcome = aws.function().process(&records(&data), soon()).await;

        assert_eq!(outcome.again_from, None, "{code}");
        let report = &outcome.report;
        assert_eq!(
            (report.stored, report.abandoned, report.unprocessed),
            (3, 1, 0)
        );
        assert_eq!(aws.calls("SendMessage").len(), 3, "each form once");
        let line: Value = serde_json::from_str(&log_line(&outcome)).unwrap();
        assert_eq!(line["level"], "error");
        let told = line["troubles"][0].as_str().unwrap();
        assert!(
            told.contains("record 1, line 2 of its pack") && told.contains(code),
            "{told}"
        );
    }
}

#[tokio::test]
async fn a_queue_that_asks_for_less_at_once_gets_the_same_message_again() {
    let calls = Arc::new(AtomicUsize::new(0));
    let count = calls.clone();
    let throttles = move |call: &Call| match call.operation.as_str() {
        "SendMessage" if count.fetch_add(1, Ordering::SeqCst) < 2 => {
            Fault::Error(400, "KmsThrottled")
        }
        _ => Fault::None,
    };
    let aws = Aws::start(throttles).await;

    let outcome = aws
        .function()
        .process(&records(&[b"no post {".to_vec()]), soon())
        .await;

    assert_eq!((outcome.again_from, outcome.report.undecodable), (None, 1));
    assert_eq!((calls.load(Ordering::SeqCst), aws.messages().len()), (3, 1));
}

/// A batch of one odd record between two good ones.
fn batch_with(odd: Value) -> Vec<Record> {
    let good = |n: usize| {
        use base64::Engine;
        let data = base64::prelude::BASE64_STANDARD.encode(post(n, "pizza"));
        json!({"eventID": format!("shardId-000000000000:{n}"), "kinesis": {"sequenceNumber": n.to_string(),
            "partitionKey": "k", "approximateArrivalTimestamp": support::ARRIVAL, "data": data}})
    };
    let event = json!({"Records": [good(1), odd, good(2)]});
    let event: Event = serde_json::from_value(event).unwrap();
    event.records
}

#[tokio::test]
async fn a_record_that_is_not_as_kinesis_describes_it_is_set_aside_alone() {
    let whole = json!({"eventID": "shardId-000000000000:9", "kinesis": {"sequenceNumber": "9",
        "partitionKey": "k", "approximateArrivalTimestamp": support::ARRIVAL, "data": "e30="}});
    let no_time = "a record without the time of its arrival in the stream";
    let no_data = "a record without data in base64";
    let cases = [
        ("/kinesis/approximateArrivalTimestamp", json!(null), no_time),
        (
            "/kinesis/approximateArrivalTimestamp",
            json!("noon"),
            no_time,
        ),
        (
            "/kinesis/approximateArrivalTimestamp",
            json!(1e300),
            no_time,
        ),
        ("/kinesis/data", json!(null), no_data),
        ("/kinesis/data", json!("not base64!"), no_data),
        ("/kinesis/data", json!(5), no_data),
        ("/kinesis", json!("nothing"), no_data),
        ("", json!(null), no_data),
    ];
    for (place, value, reason) in cases {
        let aws = Aws::start(|_| Fault::None).await;
        let mut odd = whole.clone();
        *odd.pointer_mut(place).unwrap() = value.clone();

        let outcome = aws.function().process(&batch_with(odd), soon()).await;

        assert_eq!(outcome.again_from, None, "{place} {value}");
        assert_eq!(
            (outcome.report.stored, outcome.report.undecodable),
            (2, 1),
            "{place} {value}"
        );
        assert_eq!(aws.messages()[0]["reason"], reason, "{place} {value}");
    }
}

/// Every place in a JSON value that holds a text or a number, as the path that leads there.
fn leaves(value: &Value, here: String, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                leaves(field, format!("{here}/{name}"), found);
            }
        }
        Value::Array(elements) => {
            for (n, element) in elements.iter().enumerate() {
                leaves(element, format!("{here}/{n}"), found);
            }
        }
        _ => found.push(here),
    }
}

#[test]
fn no_reason_quotes_what_a_board_sent() {
    let canary = "canary-7f3a";
    let arrived_at = Utc::now();
    let mut reasons = 0;
    for event in corpus::events() {
        // Every text and number of the corpus replaced, alone and in an array, and what is no JSON,
        let mut tried = vec![[canary.as_bytes(), &event.data].concat()];
        if let Ok(value) = serde_json::from_slice::<Value>(&event.data) {
            let mut places = Vec::new();
            leaves(&value, String::new(), &mut places);
            for place in places {
                for put in [json!(canary), json!([canary]), json!({canary: canary})] {
                    let mut value = value.clone();
                    *value.pointer_mut(&place).unwrap() = put;
                    tried.push(value.to_string().into_bytes());
                }
            }
        }
        // gives reasons that do not hold it.
        for data in tried {
            if let Err(reason) = decode(&data, arrived_at) {
                reasons += 1;
                let reason = format!("{reason:#}");
                assert!(!reason.contains(canary), "{}: {reason}", event.name);
                assert!(reason.len() <= 300, "{reason}");
            }
        }
    }
    assert!(reasons > 500, "only {reasons} reasons");
}

#[tokio::test]
async fn what_dynamodb_says_of_a_post_is_in_the_queue_and_not_in_the_log() {
    let says = |call: &Call| match call.operation.as_str() {
        "BatchWriteItem" => Fault::ErrorWith(
            400,
            "ValidationException",
            "canary-7f3a is no number".to_owned(),
        ),
        _ => Fault::None,
    };
    let aws = Aws::start(says).await;

    let outcome = aws
        .function()
        .process(&records(&[post(1, "canary-7f3a")]), soon())
        .await;

    assert_eq!((outcome.again_from, outcome.report.undecodable), (None, 1));
    assert_eq!(aws.messages()[0]["detail"], "canary-7f3a is no number");
    let line = log_line(&outcome);
    assert!(
        !line.contains("canary") && line.contains("ValidationException"),
        "{line}"
    );
}

#[tokio::test]
async fn what_a_service_says_is_cut_to_300_characters_in_the_log() {
    let says = |_: &Call| Fault::ErrorWith(400, "AccessDeniedException", "é".repeat(2000));
    let aws = Aws::start(says).await;

    let outcome = aws
        .function()
        .process(&records(&[post(1, "pizza")]), soon())
        .await;

    assert_eq!(outcome.again_from, Some(0));
    for trouble in &outcome.troubles {
        assert!(trouble.chars().count() <= 300, "{trouble}");
    }
}

#[tokio::test]
async fn bombs_are_set_aside_and_what_is_between_them_is_stored() {
    // Given packs that would grow to 100 MiB each, and a post behind each,
    let mut bomb = Vec::with_capacity(1 << 20);
    zstd_safe::compress(&mut bomb, &vec![0; 100 << 20], 1).unwrap();
    assert!(pack::is_pack(&bomb) && bomb.len() < 20_000);
    let data: Vec<_> = (0..100)
        .flat_map(|n| [bomb.clone(), post(n, "pizza")])
        .collect();
    let aws = Aws::start(|_| Fault::None).await;

    // when they come,
    let outcome = aws.function().process(&records(&data), soon()).await;

    // then the queue has the bombs, the table the posts.
    assert_eq!(outcome.again_from, None);
    assert_eq!(
        (outcome.report.stored, outcome.report.undecodable),
        (100, 100)
    );
    assert_eq!(aws.items().await.len(), 100);
}
