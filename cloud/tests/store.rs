//! Whole batches, against a DynamoDB and an SQS that fail in every way they can.
//! `tests/with-dynalite` runs the same with dynalite as the table.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use cloud::report::Report;
use serde_json::Value;

use support::{ARRIVAL, Aws, Call, Fault, at_once, corpus, post, records, soon};

const GARBAGE: &[u8] = b"no post {";

fn posts(ids: std::ops::Range<usize>) -> Vec<Vec<u8>> {
    ids.map(|id| post(id, "pizza")).collect()
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

/// Faults for the table only.
fn table(mut fault: impl FnMut(&Call) -> Fault) -> impl FnMut(&Call) -> Fault {
    move |call| {
        if call.operation == "BatchWriteItem" {
            fault(call)
        } else {
            Fault::None
        }
    }
}

#[tokio::test]
async fn a_full_batch_is_stored_with_25_posts_a_call() {
    let aws = Aws::start(|_| Fault::None).await;

    let outcome = aws
        .function()
        .process(&records(&posts(0..500)), soon())
        .await;

    assert_eq!(outcome.again_from, None);
    assert_eq!(outcome.troubles, Vec::<String>::new());
    let counters = Report {
        milliseconds: 0,
        delay_milliseconds: 0,
        ..outcome.report
    };
    assert_eq!(
        counters,
        Report {
            records: 500,
            read: 500,
            stored: 500,
            ..Report::default()
        }
    );
    assert_eq!(aws.calls("BatchWriteItem").len(), 20);
    let items = aws.items().await;
    assert_eq!(items.len(), 500);
    let item = &items[&("catperson".to_owned(), "17".to_owned())];
    assert_eq!(item["Message"], "pizza");
    assert_eq!(item["ExpiresAt"], (ARRIVAL as i64 + 7 * 86_400).to_string());
}

#[tokio::test]
async fn an_empty_batch_makes_no_call() {
    let aws = Aws::start(|_| Fault::None).await;

    let outcome = aws.function().process(&[], soon()).await;

    assert_eq!(outcome.again_from, None);
    assert_eq!(aws.calls("BatchWriteItem").len(), 0);
}

#[tokio::test]
async fn of_several_posts_with_one_key_the_last_is_stored() {
    let aws = Aws::start(|_| Fault::None).await;
    let data = [
        post(1, "first"),
        post(2, "other"),
        post(1, "second"),
        post(1, "third"),
    ];

    let outcome = aws.function().process(&records(&data), soon()).await;

    assert_eq!((outcome.report.stored, outcome.report.repeated), (2, 2));
    let items = aws.items().await;
    assert_eq!(items.len(), 2);
    assert_eq!(
        items[&("catperson".to_owned(), "1".to_owned())]["Message"],
        "third"
    );
}

#[tokio::test]
async fn unprocessed_writes_are_sent_again_and_no_others() {
    let aws = Aws::start(|call| Fault::Unprocessed(if call.number == 1 { 10 } else { 0 })).await;

    let outcome = aws
        .function()
        .process(&records(&posts(0..25)), soon())
        .await;

    assert_eq!((outcome.again_from, outcome.report.stored), (None, 25));
    assert_eq!(outcome.troubles.len(), 1, "the throttling is reported");
    assert_eq!(aws.items().await.len(), 25);
    let again: BTreeSet<_> = aws.calls("BatchWriteItem")[1].ids().into_iter().collect();
    assert_eq!(again, (15..25).map(|id| id.to_string()).collect());
    assert_eq!(aws.calls("BatchWriteItem").len(), 2);
}

#[tokio::test]
async fn whatever_heals_is_tried_again_until_the_batch_is_stored() {
    let faults = [
        Fault::Error(400, "ProvisionedThroughputExceededException"),
        Fault::Error(400, "ThrottlingException"),
        Fault::Error(400, "RequestLimitExceeded"),
        Fault::Error(500, "InternalServerError"),
        Fault::Error(503, "ServiceUnavailable"),
        Fault::HalfAnswer,
        Fault::Broken,
        Fault::Unprocessed(25),
    ];
    for fault in faults {
        let once = fault.clone();
        let first = move |call: &Call| {
            if call.number == 1 {
                once.clone()
            } else {
                Fault::None
            }
        };
        let aws = Aws::start(first).await;

        let outcome = aws
            .function()
            .process(&records(&posts(0..25)), soon())
            .await;

        assert_eq!(
            (outcome.again_from, outcome.report.stored),
            (None, 25),
            "{fault:?}"
        );
        assert_eq!(outcome.troubles.len(), 1, "{fault:?} is reported");
        assert_eq!(aws.items().await.len(), 25, "{fault:?}");
        assert_eq!(aws.calls("BatchWriteItem").len(), 2, "{fault:?}");
    }
}

#[tokio::test]
async fn a_table_that_is_missing_or_forbidden_holds_the_whole_batch_at_once() {
    for code in [
        "ResourceNotFoundException",
        "AccessDeniedException",
        "SomethingNew",
    ] {
        let aws = Aws::start(table(move |_| Fault::Error(400, code))).await;
        let mut data = posts(0..30);
        data.insert(0, GARBAGE.to_vec());

        let outcome = aws.function().process(&records(&data), soon()).await;

        assert_eq!(outcome.again_from, Some(0));
        assert_eq!((outcome.report.stored, outcome.report.unprocessed), (0, 31));
        assert!(outcome.troubles[0].contains(code), "{:?}", outcome.troubles);
        assert_eq!(
            aws.calls("BatchWriteItem").len(),
            2,
            "{code} is no case for a second try"
        );
        assert!(
            aws.messages().is_empty(),
            "what comes again must not be in the queue already"
        );
    }
}

#[tokio::test]
async fn when_the_time_is_up_the_first_record_that_is_not_done_comes_again_with_all_after_it() {
    // Given a table that takes the first 25 posts and no more,
    let throttled = Fault::Error(400, "ThrottlingException");
    let aws = Aws::start(table(move |call| {
        if call.ids().contains(&"0".to_owned()) {
            Fault::None
        } else {
            throttled.clone()
        }
    }))
    .await;
    // and garbage on both sides,
    let mut data = posts(0..60);
    data.insert(50, GARBAGE.to_vec());
    data.insert(5, GARBAGE.to_vec());

    // when the time is up,
    let outcome = aws.function().process(&records(&data), at_once()).await;

    // then the 26th post comes again,
    assert_eq!(outcome.again_from, Some(26));
    assert_eq!(aws.items().await.len(), 25);
    // and the garbage behind it.
    let positions: Vec<_> = aws
        .messages()
        .iter()
        .map(|m| m["sequenceNumber"].clone())
        .collect();
    assert_eq!(positions, ["5"]);
    let report = outcome.report;
    assert_eq!(
        (report.stored, report.undecodable, report.unprocessed),
        (25, 1, 36)
    );
}

#[tokio::test]
async fn a_post_that_dynamodb_refuses_is_set_aside_and_the_others_are_stored() {
    let refused = Fault::Error(400, "ValidationException");
    let aws = Aws::start(table(move |call| {
        if call.ids().contains(&"13".to_owned()) {
            refused.clone()
        } else {
            Fault::None
        }
    }))
    .await;

    let outcome = aws
        .function()
        .process(&records(&posts(0..40)), soon())
        .await;

    assert_eq!(outcome.again_from, None);
    assert_eq!((outcome.report.stored, outcome.report.undecodable), (39, 1));
    assert_eq!(aws.items().await.len(), 39);
    let message = &aws.messages()[0];
    assert_eq!(message["sequenceNumber"], "13");
    assert_eq!(
        message["reason"],
        "refused by DynamoDB: ValidationException"
    );
}

#[tokio::test]
async fn texts_of_1_mib_are_stored_as_far_as_dynamodb_takes_them() {
    let aws = Aws::start(|_| Fault::None).await;
    let texts = ["p", "é", "ピ", "🍕"];
    let data = texts.map(|text| post(text.len(), &text.repeat((1 << 20) / text.len())));

    let outcome = aws.function().process(&records(&data), soon()).await;

    assert_eq!((outcome.again_from, outcome.report.stored), (None, 4));
    for item in aws.items().await.values() {
        assert!(item["Message"].len() > 409_000, "{}", item["Message"].len());
        assert!(item["Message"].contains("… [shortened: the whole text has 10485"));
    }
}

#[tokio::test]
async fn garbage_that_the_queue_does_not_take_comes_again() {
    for code in ["AccessDenied", "QueueDoesNotExist", "RequestThrottled"] {
        let fault = move |call: &Call| match call.operation.as_str() {
            "SendMessage" => Fault::Error(400, code),
            _ => Fault::None,
        };
        let aws = Aws::start(fault).await;
        let mut data = posts(0..10);
        data[7] = GARBAGE.to_vec();

        let outcome = aws.function().process(&records(&data), at_once()).await;

        assert_eq!(outcome.again_from, Some(7), "{code}");
        assert_eq!(
            (outcome.report.stored, outcome.report.unprocessed),
            (9, 1),
            "{code}"
        );
        assert!(outcome.troubles[0].contains(code), "{:?}", outcome.troubles);
    }
}

#[tokio::test]
async fn the_whole_corpus_in_one_batch_ends_in_the_table_or_in_the_queue() {
    // Given every event of the corpus, and what is expected of each,
    let events = corpus::events();
    let mut items = BTreeMap::new();
    let mut reasons = BTreeMap::new();
    for (n, event) in events.iter().enumerate() {
        let key = |item: &Value| (text(&item["Username"]), text(&item["Id"]));
        if let Some(item) = event.expected.get("put") {
            // The corpus has a Jetstream post in many forms of one revision, and its deletion.
            if item["Source"] != "jetstream" {
                items.insert(key(item), text(&item["Message"]));
            }
        } else if let Some(reason) = event.expected.get("reason") {
            reasons.insert(n.to_string(), text(reason));
        }
    }

    // when they come as one batch,
    let aws = Aws::start(|_| Fault::None).await;
    let data: Vec<_> = events.into_iter().map(|event| event.data).collect();
    let outcome = aws.function().process(&records(&data), soon()).await;

    // then all of it is done: in the table, or in the queue with its reason.
    assert_eq!(outcome.again_from, None);
    let stored = aws
        .items()
        .await
        .into_iter()
        .filter(|((username, _), _)| !username.starts_with("did:"))
        .map(|(key, item)| (key, item["Message"].clone()));
    assert_eq!(stored.collect::<BTreeMap<_, _>>(), items);
    let messages = aws.messages();
    let told = messages
        .iter()
        .map(|message| (text(&message["sequenceNumber"]), text(&message["reason"])));
    assert_eq!(told.collect::<BTreeMap<_, _>>(), reasons);
    assert_eq!(messages.len(), reasons.len());
}

#[tokio::test]
async fn ten_thousand_posts_through_a_failing_table_are_stored_once_each() {
    // Given 8,000 posts, 1,900 of them twice, and 1% garbage, in mixed order,
    let mut random = fastrand::Rng::with_seed(6);
    let ids = (0..8_000).chain((0..1_900).map(|n| n * 4));
    let mut data: Vec<_> = ids.map(|id| post(id, &format!("pizza {id}"))).collect();
    data.extend((0..100).map(|n| format!("garbage {n}").into_bytes()));
    random.shuffle(&mut data);
    // and a table of which every fourth call fails in some way,
    let mut luck = random.fork();
    let fault = move |call: &Call| match luck.u8(0..24) {
        0 => Fault::Error(400, "ProvisionedThroughputExceededException"),
        1 => Fault::Error(500, "InternalServerError"),
        2 => Fault::HalfAnswer,
        3 => Fault::Broken,
        4..6 => Fault::Unprocessed(call.ids().len() / 2),
        _ => Fault::None,
    };
    let aws = Aws::start(table(fault)).await;

    // when Lambda sends them in batches, and again what is not done,
    let function = aws.function();
    let records = records(&data);
    let mut waiting = &records[..];
    let mut invocations = 0;
    while !waiting.is_empty() {
        let batch = &waiting[..waiting.len().min(500)];
        let deadline = if invocations % 3 == 0 {
            at_once()
        } else {
            soon()
        };
        let done = function
            .process(batch, deadline)
            .await
            .again_from
            .unwrap_or(batch.len());
        waiting = &waiting[done..];
        invocations += 1;
        assert!(invocations < 1_000, "it does not get on");
    }

    // then the table holds each post once, and the queue all the garbage once.
    let items = aws.items().await;
    assert_eq!(items.len(), 8_000);
    for ((_, id), item) in &items {
        assert_eq!(item["Message"], format!("pizza {id}"));
    }
    let garbage: BTreeSet<_> = aws
        .messages()
        .iter()
        .map(|m| m["data"].to_string())
        .collect();
    assert_eq!((garbage.len(), aws.messages().len()), (100, 100));
    println!(
        "{invocations} invocations, {} calls",
        aws.calls("BatchWriteItem").len()
    );
}

#[tokio::test]
async fn a_table_that_was_throttled_and_is_restored_gets_the_batch_once() {
    let restored = Arc::new(AtomicBool::new(false));
    let is_restored = restored.clone();
    let aws = Aws::start(table(move |_| match is_restored.load(Ordering::SeqCst) {
        false => Fault::Error(400, "ProvisionedThroughputExceededException"),
        true => Fault::None,
    }))
    .await;
    let batch = records(&posts(0..100));

    let outcome = aws.function().process(&batch, at_once()).await;
    assert_eq!((outcome.again_from, outcome.report.stored), (Some(0), 0));
    assert!(
        outcome.troubles[0].contains("throttled"),
        "{:?}",
        outcome.troubles
    );

    restored.store(true, Ordering::SeqCst);
    let outcome = aws.function().process(&batch, soon()).await;
    assert_eq!((outcome.again_from, outcome.report.stored), (None, 100));
    assert_eq!(aws.items().await.len(), 100);
}
