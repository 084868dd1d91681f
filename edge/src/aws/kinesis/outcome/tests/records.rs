//! What a response says about each record of a call.

use super::*;

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

    // Then only the first is delivered
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
