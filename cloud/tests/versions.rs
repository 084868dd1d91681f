//! What a source says later wins, in whatever order and however often it arrives; and no source changes
//! what another wrote.

mod support;

use serde_json::{Value, json};
use support::{Aws, Call, Fault, post, records, soon};

const DID: &str = "did:plc:nutrvewgbjnm5xfydgzzbxbh";

/// A Jetstream event about the author's post `p`.
fn event(operation: &str, rev: &str, text: &str) -> Vec<u8> {
    event_of(DID, "p", operation, rev, text)
}

fn event_of(did: &str, rkey: &str, operation: &str, rev: &str, text: &str) -> Vec<u8> {
    let mut commit = json!({"operation": operation, "collection": "app.bsky.feed.post", "rkey": rkey, "rev": rev});
    if operation != "delete" {
        commit["record"] = json!({"text": text, "createdAt": "2026-01-15T11:00:00Z"});
    }
    let event = json!({"did": did, "time_us": 1_768_474_800_000_000_u64, "kind": "commit", "commit": commit});
    event.to_string().into_bytes()
}

fn create() -> Vec<u8> {
    event("create", "3m64666fhjs22", "first")
}

fn update() -> Vec<u8> {
    event("update", "3m64666fhjs23", "second")
}

fn delete() -> Vec<u8> {
    event("delete", "3m64666fhjs24", "")
}

/// The post's message after these events, a batch each or all in one; `None` once it is deleted.
async fn message_after(batches: &[Vec<Vec<u8>>]) -> Option<String> {
    let aws = Aws::start(|_| Fault::None).await;
    for batch in batches {
        let outcome = aws.function().process(&records(batch), soon()).await;
        assert_eq!(outcome.again_from, None);
        let report = outcome.report;
        assert_eq!(report.stored + report.repeated, batch.len());
    }
    let items = aws.items().await;
    let item = &items[&(DID.to_owned(), "p".to_owned())];
    item.get("Message").cloned()
}

#[tokio::test]
async fn the_latest_version_wins_in_every_order_and_however_often_each_comes() {
    let (c, u, d) = (create, update, delete);
    let orders: [(Vec<Vec<u8>>, Option<&str>); 8] = [
        (vec![c(), u()], Some("second")),
        (vec![u(), c()], Some("second")),
        (vec![c(), u(), c(), u(), c()], Some("second")),
        (vec![c(), u(), d()], None),
        (vec![c(), d(), c()], None),
        (vec![d(), c(), u()], None),
        (vec![d(), d(), u(), c(), d(), c()], None),
        (vec![c(), c()], Some("first")),
    ];
    for (events, expected) in orders {
        let one_batch = [events.clone()];
        assert_eq!(message_after(&one_batch).await.as_deref(), expected);
        let a_batch_each: Vec<_> = events.into_iter().map(|event| vec![event]).collect();
        assert_eq!(message_after(&a_batch_each).await.as_deref(), expected);
    }
}

#[tokio::test]
async fn of_a_deleted_post_no_word_stays_and_no_index_has_it() {
    let aws = Aws::start(|_| Fault::None).await;

    for batch in [vec![create()], vec![delete()]] {
        aws.function().process(&records(&batch), soon()).await;
    }

    let items = aws.items().await;
    let tombstone = &items[&(DID.to_owned(), "p".to_owned())];
    let names: Vec<_> = tombstone.keys().map(String::as_str).collect();
    assert_eq!(names, ["DeletedAt", "ExpiresAt", "Id", "Rev", "Username"]);
    let a_week_after_its_arrival = (support::ARRIVAL as i64 + 7 * 86_400).to_string();
    assert_eq!(tombstone["ExpiresAt"], a_week_after_its_arrival);
}

#[tokio::test]
async fn an_event_of_one_source_leaves_the_posts_of_another_alone() {
    // Given a post of X and a line,
    let aws = Aws::start(|_| Fault::None).await;
    let line = |from: &str, id: &str| {
        let line = json!({"headwater": 1, "id": id, "from": from, "line": "forged"});
        line.to_string().into_bytes()
    };
    let theirs = [
        post(17, "pizza"),
        line("shed-pi", "01KF0R8Z7N5A9T3Q2W4E6R8T0Y"),
    ];
    aws.function().process(&records(&theirs), soon()).await;
    let before = aws.items().await;
    assert_eq!(before.len(), 2);

    // when events of other sources name their keys, or Bluesky's,
    let x = |author: &str, id: Value| {
        let post = json!({"data": {"id": id, "text": "forged", "author_id": "98"},
            "includes": {"users": [{"id": "98", "username": author}]}});
        post.to_string().into_bytes()
    };
    let rev = "3zzzzzzzzzzzz";
    let forged = [
        event_of("catperson", "17", "delete", rev, ""),
        event_of("catperson", "17", "update", rev, "forged"),
        event_of("shed-pi", "01KF0R8Z7N5A9T3Q2W4E6R8T0Y", "delete", rev, ""),
        line("catperson", "17"),
        line(DID, "p"),
        x("shed-pi", json!("01KF0R8Z7N5A9T3Q2W4E6R8T0Y")),
    ];
    let outcome = aws.function().process(&records(&forged), soon()).await;

    // then each is set aside, and nothing has changed.
    assert_eq!(
        (outcome.again_from, outcome.report.undecodable),
        (None, forged.len())
    );
    assert_eq!(aws.items().await, before);
}

#[tokio::test]
async fn a_conditional_put_that_fails_otherwise_is_tried_again_as_any() {
    for fault in [
        Fault::Error(400, "ProvisionedThroughputExceededException"),
        Fault::Error(500, "InternalServerError"),
        Fault::HalfAnswer,
        Fault::Broken,
    ] {
        let once = fault.clone();
        let first = move |call: &Call| match (call.operation.as_str(), call.number) {
            ("PutItem", 1) => once.clone(),
            _ => Fault::None,
        };
        let aws = Aws::start(first).await;

        let batch = records(&[create(), post(1, "pizza")]);
        let outcome = aws.function().process(&batch, soon()).await;

        assert_eq!(
            (outcome.again_from, outcome.report.stored),
            (None, 2),
            "{fault:?}"
        );
        assert_eq!(aws.items().await.len(), 2, "{fault:?}");
        assert_eq!(aws.calls("PutItem").len(), 2, "{fault:?}");
        assert_eq!(aws.calls("BatchWriteItem").len(), 1, "{fault:?}");
    }
}
