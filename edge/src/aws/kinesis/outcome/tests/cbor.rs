//! Responses in CBOR.

use super::*;
use crate::net::answer::MAX_BODY_BYTES;

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
