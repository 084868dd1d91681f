use std::io;
use std::time::UNIX_EPOCH;

use aws_credential_types::Credentials;

use super::*;
use crate::aws::kinesis::outcome::{self, Outcome};
use crate::aws::kinesis::wire::Wire;

fn place() -> Target {
    Target {
        stream: "posts".into(),
        region: "eu-west-1".into(),
        host: "kinesis.example".into(),
    }
}

fn provider() -> Provider {
    Provider::Fixed(Credentials::new(
        "AKID",
        "hunter2",
        None,
        None,
        "environment",
    ))
}

#[test]
fn every_kind_of_answer_reads_as_one_line_that_says_what_to_do() {
    let table = [
        (
            400,
            "ProvisionedThroughputExceededException",
            "add shards or use on-demand mode",
        ),
        (500, "InternalFailure", "kinesis.example failed"),
        (400, "ThrottlingException", "trying again"),
        (
            400,
            "ExpiredTokenException",
            "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
        ),
        (
            400,
            "UnrecognizedClientException",
            "does not accept the credentials of the environment",
        ),
        (400, "InvalidSignatureException", "the secret key is wrong"),
        (
            400,
            "AccessDeniedException",
            "allow kinesis:PutRecord and kinesis:PutRecords",
        ),
        (
            400,
            "ResourceNotFoundException",
            "there is no stream 'posts' in eu-west-1",
        ),
        (
            400,
            "KMSDisabledException",
            "check the key and its policy in KMS",
        ),
        (400, "NeverSeenBefore", "correct the configuration"),
        (503, "", "kinesis.example failed (HTTP status 503)"),
        (
            403,
            "",
            "kinesis.example refuses the request (HTTP status 403)",
        ),
    ];
    for (status, code, expected) in table {
        // Given an answer
        let body = if code.is_empty() {
            String::new()
        } else {
            format!(r#"{{"__type":"{code}"}}"#)
        };
        let Outcome::Failed(class, problem) =
            outcome::read(Wire::Json, status, None, body.as_bytes(), 1)
        else {
            panic!("{code}")
        };
        // When the user reads of it
        let line = explain(class, &problem, &place(), &provider());
        // Then it says so, that nothing is lost, and no secret
        assert!(
            line.contains(expected) && line.contains("every post is kept"),
            "{code}: {line}"
        );
        assert!(!line.contains('\n') && !line.contains("hunter2"), "{line}");
    }
}

#[test]
fn a_page_of_the_network_in_the_middle_is_told_apart() {
    let Outcome::Failed(class, problem) =
        outcome::read(Wire::Json, 200, None, b"<html>Log in</html>", 1)
    else {
        panic!()
    };
    assert!(
        explain(class, &problem, &place(), &provider()).contains("a log-in page of the network?")
    );
}

#[test]
fn a_certificate_from_the_future_means_a_clock_in_the_past() {
    // Given a server whose certificate is not valid yet, by a clock that was never set
    let error = rustls::Error::InvalidCertificate(NotValidYet);
    let problem = of_network(
        &io::Error::new(io::ErrorKind::InvalidData, error).into(),
        &place(),
        UNIX_EPOCH,
    );
    // Then it is the clock that the user hears of
    let line = explain(Class::Retry, &problem, &place(), &provider());
    assert!(
        line.contains("clock is not set yet") && line.contains("every post is kept"),
        "{line}"
    );
}

#[test]
fn a_certificate_that_is_not_trusted_is_never_trusted() {
    let error = rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer);
    let problem = of_network(&ureq::Error::Rustls(error), &place(), SystemTime::now());
    assert!(
        problem.message.contains("AWS_CA_BUNDLE"),
        "{}",
        problem.message
    );
}

#[test]
fn a_clock_that_is_off_is_said_with_its_direction() {
    assert!(of_clock(ServerClock::with_offset_ms(3_600_000)).contains("3600 s behind"));
    assert!(of_clock(ServerClock::with_offset_ms(-3_600_000)).contains("3600 s ahead of"));
    assert!(of_clock(ServerClock::default()).contains("right again"));
}
