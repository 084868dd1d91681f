//! Calls in CBOR over real sockets: to servers that know it, and to those that do not.

mod support;

use support::delivery::{Delivery, texts};

use headwater::aws::kinesis::wire::Wire;
use headwater::uplink::flow;
use testkit::kinesis::{Kinesis, Reply};

fn in_cbor(records: impl IntoIterator<Item = String>) -> Delivery {
    Delivery {
        flow: flow::Options {
            wire: Wire::Cbor,
            ..flow::Options::default()
        },
        ..Delivery::of(records)
    }
}

#[test]
fn a_server_that_knows_cbor_gets_every_post_in_it_whatever_fails_between() {
    // Given a Kinesis at which calls fail, and records in calls
    let server = Kinesis::scripted([
        Reply::error(500, "InternalFailure"),
        Reply::error(400, "ExpiredTokenException"),
        Reply::AcceptSome(|index| index % 3 != 0, "InternalFailure"),
        Reply::Error(503, serde_json::json!({"Message": "no code"})),
    ]);
    let delivery = in_cbor(texts(0..700));
    // When posts are delivered in CBOR
    delivery.deliver_to(&server);
    // Then all arrive once, each call in CBOR
    let mut arrived = server.data();
    arrived.sort();
    assert_eq!(arrived, texts(0..700));
    assert!(server.calls().iter().all(|call| call.is_cbor));
    assert_eq!(delivery.waiting(), 0);
}

#[test]
fn a_server_that_does_not_know_cbor_gets_json_for_the_rest_and_no_post_is_lost_or_twice() {
    let answers: [(u16, &str); 9] = [
        (400, r#"{"__type":"SerializationException"}"#),
        (
            400,
            r#"{"__type":"com.amazon.coral.service#UnknownOperationException"}"#,
        ),
        (404, ""),
        (404, "<html>Not Found</html>"),
        (415, r#"{"message":"Unsupported Media Type"}"#),
        (501, ""),
        (400, "Bad Request"),
        (500, "<html>Internal Server Error</html>"),
        (200, "<html>It works!</html>"),
    ];
    for ordered in [false, true] {
        for (status, body) in answers {
            // Given a server that answers so to what it cannot read
            let server = Kinesis::start(move |_, call| match call.is_cbor {
                true => Reply::Answer(status, body.to_owned()),
                false => Reply::Accept,
            });
            let delivery = Delivery {
                ordered,
                ..in_cbor(texts(0..20))
            };
            // When posts are delivered in CBOR
            delivery.deliver_to(&server);
            // Then it is asked once so, and has all of them in order
            let in_cbor = server.calls().iter().filter(|call| call.is_cbor).count();
            assert_eq!(
                (in_cbor, server.data()),
                (1, texts(0..20)),
                "{status} {body}"
            );
            let counted = [&delivery.counters.delivered, &delivery.counters.impossible];
            assert_eq!(
                counted.map(|counter| counter.get()),
                [20, 0],
                "{status} {body}"
            );
        }
    }
}

#[test]
fn json_takes_over_also_where_posts_wait_while_others_pass() {
    // Given a server in front of which a proxy stops taking CBOR after a call in which some records failed
    let server = Kinesis::start(|number, call| match (number, call.is_cbor) {
        (0, _) => Reply::AcceptSome(|index| index % 4 != 0, "InternalFailure"),
        (_, true) => Reply::Answer(415, String::new()),
        (_, false) => Reply::Accept,
    });
    let delivery = in_cbor(texts(0..400));
    // When posts are delivered
    delivery.deliver_to(&server);
    // Then each arrived once
    let mut arrived = server.data();
    arrived.sort();
    assert_eq!(arrived, texts(0..400));
}

#[test]
fn an_answer_in_json_to_a_call_in_cbor_is_read_as_what_it_is() {
    // Given a server that takes CBOR and says in JSON that there is no such stream
    let no_stream = r#"{"__type":"ResourceNotFoundException","message":"no"}"#;
    let server = Kinesis::scripted([Reply::Answer(400, no_stream.to_owned())]);
    let delivery = in_cbor(texts(0..20));
    // When posts are delivered
    delivery.deliver_to(&server);
    // Then that is no reason to leave CBOR
    assert_eq!(server.data(), texts(0..20));
    assert!(server.calls().iter().all(|call| call.is_cbor));
}

#[test]
fn a_record_set_aside_reads_the_same_whatever_the_call_was_written_in() {
    let named = "1 validation error detected: Value at 'data' failed to satisfy constraint";
    let dead = |delivery: Delivery| {
        // Given a server that refuses one record for its data
        let server = Kinesis::scripted([Reply::Error(
            400,
            serde_json::json!({"__type": "ValidationException", "message": named}),
        )]);
        // When it is delivered
        delivery.deliver_to(&server);
        let text = std::fs::read_to_string(delivery.folder.path().join("dead")).unwrap();
        let mut line: serde_json::Value = serde_json::from_str(&text).unwrap();
        line["at"].take();
        line
    };
    // Then it stands in the dead-letter file by the same text
    let lines = [in_cbor(texts(7..8)), Delivery::of(texts(7..8))].map(dead);
    assert_eq!(lines[0], lines[1]);
    assert!(lines[0]["Data"].is_string(), "{}", lines[0]);
}
