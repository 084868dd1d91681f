use proptest::prelude::*;

use super::*;
use crate::net::answer::MAX_BODY_BYTES;

/// What is JSON here, as `wire` writes it.
fn written(wire: Wire, json: &str) -> Vec<u8> {
    match wire {
        Wire::Json => json.as_bytes().to_vec(),
        Wire::Cbor => testkit::cbor::from_json(&serde_json::from_str(json).unwrap()),
    }
}

const WIRES: [Wire; 2] = [Wire::Json, Wire::Cbor];

fn class_of(outcome: &Outcome) -> Class {
    match outcome {
        Outcome::Delivered(_) => Class::Delivered,
        Outcome::Failed(class, _) => *class,
        Outcome::Partly(..) => panic!("{outcome:?} is no answer to one record"),
    }
}

#[test]
fn every_code_of_the_reference_has_the_class_that_keeps_the_record_safe() {
    use Renew::{Clock, Credentials};
    let table = [
        (
            400,
            "ProvisionedThroughputExceededException",
            Class::Throttled,
        ),
        (500, "InternalFailure", Class::Retry),
        (400, "KMSThrottlingException", Class::Retry),
        (400, "ThrottlingException", Class::Retry),
        (400, "LimitExceededException", Class::Retry),
        (400, "RequestTimeout", Class::Retry),
        (503, "ServiceUnavailable", Class::Retry),
        (400, "ExpiredTokenException", Class::Renew(Credentials)),
        (
            400,
            "UnrecognizedClientException",
            Class::Renew(Credentials),
        ),
        (403, "InvalidClientTokenId", Class::Renew(Credentials)),
        (400, "InvalidSignatureException", Class::Renew(Clock)),
        (403, "SignatureDoesNotMatch", Class::Renew(Clock)),
        (403, "RequestTimeTooSkewed", Class::Renew(Clock)),
        (400, "RequestExpired", Class::Renew(Clock)),
        (400, "AccessDeniedException", Class::Hold),
        (400, "ResourceNotFoundException", Class::Hold),
        (400, "ResourceInUseException", Class::Hold),
        (400, "KMSAccessDeniedException", Class::Hold),
        (400, "KMSDisabledException", Class::Hold),
        (400, "KMSNotFoundException", Class::Hold),
        (400, "KMSInvalidStateException", Class::Hold),
        (400, "KMSOptInRequired", Class::Hold),
        (400, "SomethingNobodyHasSeenYet", Class::Hold),
        (400, "ValidationException", Class::Refused),
        (400, "InvalidArgumentException", Class::Refused),
        (400, "SerializationException", Class::Refused),
    ];
    for (status, code, class) in table {
        // Given the code in each of the forms that AWS and its stand-ins use
        let bodies = [
            format!(r#"{{"__type":"{code}","message":"why"}}"#),
            format!(r#"{{"__type":"com.amazonaws.kinesis.v20131202#{code}","Message":"why"}}"#),
        ];
        for (wire, body) in WIRES
            .into_iter()
            .flat_map(|wire| bodies.iter().map(move |body| (wire, body)))
        {
            // When the answer is read, in either way of writing
            let outcome = read(wire, status, None, &written(wire, body), 1);
            // Then its class and words are known
            let problem = Problem {
                code: code.into(),
                message: "why".into(),
            };
            assert_eq!(outcome, Outcome::Failed(class, problem), "{status} {body}");
        }
        let by_header = read(
            Wire::Json,
            status,
            Some(&format!("{code}:http://example.com/")),
            b"",
            7,
        );
        assert_eq!(class_of(&by_header), class, "{code} in the header");
    }
}

#[test]
fn a_refusal_is_a_records_own_only_where_kinesis_names_what_is_wrong_with_it() {
    let table = [
        (
            "1 validation error detected: Value '' at 'partitionKey' failed to satisfy constraint",
            true,
        ),
        (
            "1 validation error detected: Value at 'records.3.member.partitionKey' failed to satisfy constraint",
            true,
        ),
        (
            "1 validation error detected: Value at 'data' failed to satisfy constraint: Member must have length less than",
            true,
        ),
        (
            "1 validation error detected: Value at 'records.1.member.data' failed to satisfy constraint",
            true,
        ),
        (
            "Invalid ExplicitHashKey. ExplicitHashKey must be in the range: [0, 2^128-1]",
            true,
        ),
        (
            "1 validation error detected: Value 'arn:aws' at 'streamName' failed to satisfy constraint",
            false,
        ),
        (
            "2 validation errors detected: Value 'x' at 'streamName'; Value '' at 'partitionKey'",
            false,
        ),
        (
            "Invalid SequenceNumberForOrdering 495 for the shard of this partition key",
            false,
        ),
        (
            "1 validation error detected: Value at 'streamARN' failed to satisfy constraint",
            false,
        ),
        ("The data could not be read", false),
        ("", false),
    ];
    for (message, is_records) in table {
        let body = serde_json::json!({"__type": "ValidationException", "message": message});
        let class = class_of(&read(Wire::Json, 400, None, body.to_string().as_bytes(), 1));
        let expected = if is_records {
            Class::Impossible
        } else {
            Class::Refused
        };
        assert_eq!(class, expected, "{message}");
    }
}

#[test]
fn a_status_without_a_code_is_classed_by_itself() {
    let table = [
        (500, Class::Retry),
        (502, Class::Retry),
        (503, Class::Retry),
        (504, Class::Retry),
        (599, Class::Retry),
    ];
    let more = [
        (408, Class::Retry),
        (429, Class::Retry),
        (302, Class::Retry),
        (413, Class::Refused),
    ];
    let people = [
        (400, Class::Hold),
        (401, Class::Hold),
        (403, Class::Hold),
        (404, Class::Hold),
        (407, Class::Hold),
    ];
    for (status, class) in table.into_iter().chain(more).chain(people) {
        for body in [
            &b""[..],
            b"<html>Bad Gateway</html>",
            br#"{"message":1}"#,
            b"\xff\xfe",
        ] {
            assert_eq!(
                class_of(&read(Wire::Json, status, None, body, 1)),
                class,
                "{status}"
            );
        }
    }
}

#[test]
fn one_record_is_delivered_only_with_a_sequence_number() {
    let delivered = read(
        Wire::Json,
        200,
        None,
        br#"{"ShardId":"shardId-000000000000","SequenceNumber":"4957"}"#,
        1,
    );
    assert_eq!(
        delivered,
        Outcome::Delivered(SequenceNumber::try_from("4957").unwrap())
    );

    let not_ours: [&[u8]; 6] = [
        b"",
        b"<html>Welcome to Hotel WiFi</html>",
        b"{}",
        br#"{"SequenceNumber":""}"#,
        br#"{"ShardId":"shardId-000000000000","SequenceNumb"#,
        br#"{"FailedRecordCount":0,"Records":[{"SequenceNumber":"1","ShardId":"s"}]}"#,
    ];
    for body in not_ours {
        assert_eq!(
            class_of(&read(Wire::Json, 200, None, body, 1)),
            Class::Retry,
            "{}",
            String::from_utf8_lossy(body)
        );
    }
}

/// What an answer may say about one record: its class, and the code of the problem for one among many.
fn sayings() -> Vec<(String, Class, &'static str)> {
    let long = format!(r#""SequenceNumber":"{}""#, "1".repeat(129));
    let longest = format!(r#""SequenceNumber":"{}""#, "1".repeat(128));
    let rest = [
        (
            r#""SequenceNumber":"1","ErrorCode":null"#,
            Class::Delivered,
            "",
        ),
        (
            r#""SequenceNumber":"0","ErrorCode":null,"ErrorMessage":"""#,
            Class::Delivered,
            "",
        ),
        (
            r#""SequenceNumber":"""#,
            Class::Retry,
            "InvalidSequenceNumber",
        ),
        (
            r#""SequenceNumber":false"#,
            Class::Retry,
            "InvalidSequenceNumber",
        ),
        (
            r#""SequenceNumber":4957"#,
            Class::Retry,
            "InvalidSequenceNumber",
        ),
        (
            r#""SequenceNumber":{"a":"1"}"#,
            Class::Retry,
            "InvalidSequenceNumber",
        ),
        (
            r#""SequenceNumber":["1"]"#,
            Class::Retry,
            "InvalidSequenceNumber",
        ),
        (
            r#""SequenceNumber":"49 57""#,
            Class::Retry,
            "InvalidSequenceNumber",
        ),
        (
            r#""SequenceNumber":"-1""#,
            Class::Retry,
            "InvalidSequenceNumber",
        ),
        (
            r#""SequenceNumber":"\"1\"""#,
            Class::Retry,
            "InvalidSequenceNumber",
        ),
        (
            r#""SequenceNumber":"١""#,
            Class::Retry,
            "InvalidSequenceNumber",
        ),
        (r#""SequenceNumber":null"#, Class::Retry, "NoSequenceNumber"),
        (r#""ErrorCode":null"#, Class::Retry, "NoSequenceNumber"),
        (r#""ErrorCode":"""#, Class::Retry, "NoErrorCode"),
        (
            r#""ErrorCode":" ","SequenceNumber":"1""#,
            Class::Retry,
            "NoErrorCode",
        ),
        (
            r##""ErrorCode":"#","ErrorMessage":"why""##,
            Class::Retry,
            "NoErrorCode",
        ),
        (
            r#""ErrorCode":"InternalFailure","SequenceNumber":"1""#,
            Class::Retry,
            "InternalFailure",
        ),
        (
            r##""ErrorCode":"x#AccessDeniedException:y","SequenceNumber":"1""##,
            Class::Hold,
            "AccessDeniedException",
        ),
        (
            r#""ErrorCode":"ValidationException""#,
            Class::Hold,
            "ValidationException",
        ),
    ];
    let rest = rest.map(|(said, class, code)| (said.to_owned(), class, code));
    let lengths = [
        (long, Class::Retry, "InvalidSequenceNumber"),
        (longest, Class::Delivered, ""),
    ];
    rest.into_iter().chain(lengths).collect()
}

#[test]
fn a_record_is_delivered_by_a_number_of_digits_and_no_error_alone() {
    for (said, class, code) in sayings() {
        // Given an answer that says this about its only record
        let one = format!("{{{said}}}");
        // And one that says it about the second of two
        let two = format!(r#"{{"Records":[{{"SequenceNumber":"1"}},{{{said}}}]}}"#);
        for wire in WIRES {
            let one = read(wire, 200, None, &written(wire, &one), 1);
            assert_eq!(class_of(&one), class, "{said}");
            check_second(
                read(wire, 200, None, &written(wire, &two), 2),
                &said,
                class,
                code,
            );
        }
    }

    fn check_second(outcome: Outcome, said: &str, class: Class, code: &str) {
        match outcome {
            Outcome::Delivered(_) => assert_eq!(class, Class::Delivered, "{said}"),
            Outcome::Partly(classes, problem) => {
                assert_eq!(classes.as_slice(), [Class::Delivered, class], "{said}");
                // Then what is wrong is said, and never with empty brackets
                assert_eq!(problem.code, code, "{said}");
                let words = problem.message;
                assert!(classify(code).is_some() || !words.is_empty(), "{said}");
            }
            failed => panic!("{failed:?} for {said}"),
        }
    }
}

#[test]
fn an_error_without_a_code_is_told_by_its_status() {
    for body in [
        r#"{"__type":"","message":"why"}"#,
        r#"{"__type":" "}"#,
        r##"{"__type":"com.amazonaws#"}"##,
        r#"{"__type":null}"#,
        "",
    ] {
        for header in [None, Some(""), Some(":http://example.com/")] {
            let Outcome::Failed(class, problem) = read(Wire::Json, 400, header, body.as_bytes(), 1)
            else {
                panic!("{body} is an error");
            };
            assert_eq!((class, &*problem.code), (Class::Hold, "HTTP status 400"));
        }
        // And by the header, where only that has one
        let outcome = read(Wire::Json, 400, Some("SlowDown"), body.as_bytes(), 1);
        assert_eq!(class_of(&outcome), Class::Retry, "{body}");
    }
}

#[test]
fn many_records_are_told_apart_one_by_one() {
    // Given an answer in which the second was throttled, the third failed inside, the fourth met a code nobody knows
    let body = br#"{"FailedRecordCount":3,"EncryptionType":"KMS","Records":[
        {"SequenceNumber":"1","ShardId":"s"},
        {"ErrorCode":"ProvisionedThroughputExceededException","ErrorMessage":"Rate exceeded for shard"},
        {"ErrorCode":"InternalFailure","ErrorMessage":"Internal Service Failure"},
        {"ErrorCode":"Surprise"}]}"#;

    // When it is read
    let Outcome::Partly(classes, problem) = read(Wire::Json, 200, None, body, 4) else {
        panic!("partly")
    };

    // Then only the first is let go of
    assert_eq!(
        classes.as_slice(),
        [
            Class::Delivered,
            Class::Throttled,
            Class::Retry,
            Class::Hold
        ]
    );
    assert_eq!(
        problem.to_string(),
        "ProvisionedThroughputExceededException: Rate exceeded for shard"
    );
}

#[test]
fn the_records_decide_and_not_the_count_beside_them() {
    let lying = br#"{"FailedRecordCount":0,"Records":[{"SequenceNumber":"1","ShardId":"s"},{"ErrorCode":"InternalFailure"}]}"#;
    assert!(matches!(
        read(Wire::Json, 200, None, lying, 2),
        Outcome::Partly(..)
    ));
}

#[test]
fn an_answer_of_the_wrong_length_delivers_nothing() {
    let two =
        br#"{"FailedRecordCount":0,"Records":[{"SequenceNumber":"1"},{"SequenceNumber":"2"}]}"#;
    assert!(matches!(
        read(Wire::Json, 200, None, two, 2),
        Outcome::Delivered(_)
    ));
    for sent in [3, 499, 500] {
        assert!(
            matches!(
                read(Wire::Json, 200, None, two, sent),
                Outcome::Failed(Class::Retry, _)
            ),
            "{sent} sent, 2 answered"
        );
    }
    let none = br#"{"FailedRecordCount":0,"Records":[]}"#;
    let outcome = read(Wire::Json, 200, None, none, 2);
    assert!(format!("{outcome:?}").contains("an answer about 0 records to a call with 2"));
    let records = vec![r#"{"SequenceNumber":"1"}"#; MAX_RECORDS + 1].join(",");
    let too_many = format!(r#"{{"Records":[{records}]}}"#);
    assert!(matches!(
        read(Wire::Json, 200, None, too_many.as_bytes(), MAX_RECORDS),
        Outcome::Failed(Class::Retry, _)
    ));
}

proptest! {
    #[test]
    fn a_cut_or_garbled_answer_never_lets_go_of_a_record(cut in 0usize..100, flip in 0usize..100, to: u8) {
        // Given a good answer for three records
        let good = br#"{"FailedRecordCount":0,"Records":[{"SequenceNumber":"1"},{"SequenceNumber":"2"},{"SequenceNumber":"3"}]}"#;
        // When it ends early
        let cut = &good[..cut.min(good.len() - 1)];
        // Then nothing is delivered
        prop_assert!(matches!(read(Wire::Json, 200, None, cut, 3), Outcome::Failed(Class::Retry, _)));
        // And one changed byte never makes a fourth record, nor a panic
        let mut flipped = good.to_vec();
        flipped[flip % good.len()] = to;
        prop_assert!(!matches!(read(Wire::Json, 200, None, &flipped, 4), Outcome::Delivered(_)));
    }

    #[test]
    fn no_bytes_at_all_make_it_panic(status in 100u16..600, body: Vec<u8>, sent in 1usize..501) {
        let outcome = read(Wire::Json, status, None, &body, sent);
        prop_assert!(status == 200 || !matches!(outcome, Outcome::Delivered(_)));
    }
}

/// An answer to three records as the encoders of Java write it: maps and arrays of unknown length, and here a text in pieces.
const OF_UNKNOWN_LENGTH: &[u8] = b"\xbf\x71FailedRecordCount\x01\x67Records\x9f\
    \xbf\x6eSequenceNumber\x614\x67ShardId\x61s\xff\
    \xbf\x69ErrorCode\x6fInternalFailure\x6cErrorMessage\x7f\x63why\x61 \x63not\xff\xff\
    \xbf\x6eSequenceNumber\x615\x65Other\xbf\x61a\x9f\x01\xf6\xff\xff\x67ShardId\x61s\xff\
    \xff\xff";

#[test]
fn cbor_of_unknown_length_is_read_like_that_of_known_length() {
    let Outcome::Partly(classes, problem) = read(Wire::Cbor, 200, None, OF_UNKNOWN_LENGTH, 3)
    else {
        panic!("partly")
    };
    let delivered = Class::Delivered;
    assert_eq!(classes.as_slice(), [delivered, Class::Retry, delivered]);
    assert_eq!(problem.to_string(), "InternalFailure: why not");
    let error = b"\xbf\x66__type\x73SlowDown#Throttling\x67message\xf6\xff";
    let outcome = read(Wire::Cbor, 400, None, error, 1);
    assert_eq!(class_of(&outcome), Class::Retry, "{outcome:?}");
}

#[test]
fn who_may_not_know_cbor_is_told_from_who_is_in_trouble() {
    let unlike =
        |status, body: &[u8]| is_unlike_cbor(status, &read(Wire::Cbor, status, None, body, 2));
    let error = |code: &str| written(Wire::Cbor, &format!(r#"{{"__type":"{code}"}}"#));
    for (status, body) in [
        (404, b"".to_vec()),
        (200, b"<html>".to_vec()),
        (400, error("SerializationException")),
    ] {
        assert!(unlike(status, &body), "{status} {body:?}");
    }
    for (status, code) in [
        (500, "InternalFailure"),
        (400, "ResourceNotFoundException"),
        (400, "ThrottlingException"),
        (403, "AccessDeniedException"),
        (400, "ValidationException"),
    ] {
        assert!(!unlike(status, &error(code)), "{status} {code}");
    }
    for status in [302, 403, 407, 429, 502, 503, 504] {
        assert!(!unlike(status, b"<html>"), "{status}");
    }
    assert!(!unlike(
        200,
        &written(
            Wire::Cbor,
            r#"{"Records":[{"SequenceNumber":"1"},{"ErrorCode":"InternalFailure"}]}"#
        )
    ));
}

proptest! {
    #[test]
    fn a_cut_or_garbled_answer_in_cbor_never_lets_go_of_a_record(cut: prop::sample::Index, flip: prop::sample::Index, to: u8) {
        let cut = &OF_UNKNOWN_LENGTH[..cut.index(OF_UNKNOWN_LENGTH.len())];
        prop_assert!(matches!(read(Wire::Cbor, 200, None, cut, 3), Outcome::Failed(Class::Retry, _)));
        let mut flipped = OF_UNKNOWN_LENGTH.to_vec();
        flipped[flip.index(OF_UNKNOWN_LENGTH.len())] = to;
        prop_assert!(!matches!(read(Wire::Cbor, 200, None, &flipped, 4), Outcome::Delivered(_)));
    }

    #[test]
    fn no_bytes_of_cbor_make_it_panic(status in 100u16..600, body: Vec<u8>, sent in 1usize..501) {
        let outcome = read(Wire::Cbor, status, None, &body, sent);
        prop_assert!(status == 200 || !matches!(outcome, Outcome::Delivered(_)));
    }
}

#[test]
fn an_answer_of_records_in_records_in_records_takes_no_stack() {
    // Given as much of it as an answer may hold; JSON's reader has a limit of its own, CBOR's has none
    const RECORDS: &[u8] = b"\xa1\x67Records\x81";
    let mut body = RECORDS.repeat(MAX_BODY_BYTES / RECORDS.len());
    body.push(0xa0);
    // When it is read, then it is no answer, and the thread goes on
    assert_eq!(shards(Wire::Cbor, &body).as_slice(), [0]);
    assert!(matches!(
        read(Wire::Cbor, 200, None, &body, 1),
        Outcome::Failed(Class::Retry, _)
    ));
    read(Wire::Cbor, 200, None, &body, 2);
    read(Wire::Cbor, 400, None, &body, 2);
}
