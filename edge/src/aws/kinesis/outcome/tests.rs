mod cbor;
mod records;

use proptest::prelude::*;

use super::*;

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
