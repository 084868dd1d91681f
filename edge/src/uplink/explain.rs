//! What the user reads when delivery is in trouble, in one line: what happened, what it means for the posts, what
//! to do.

use std::time::SystemTime;

use rustls::CertificateError::{NotValidYet, NotValidYetContext};

use crate::aws::clock::{self, ServerClock};
use crate::aws::credentials::Provider;
use crate::http;
use crate::kinesis::outcome::{Class, Problem, Renew};

/// Where records go, as the user knows it.
#[derive(Clone, Debug)]
pub struct Place {
    /// The stream's name.
    pub stream: String,
    /// Its region.
    pub region: String,
    /// The host that is called.
    pub host: String,
}

/// The code of a problem on the way to the server.
pub const UNREACHABLE: &str = "Unreachable";

/// A failure of the connection to `place`, when the board's clock showed `wall`.
pub fn of_network(error: &ureq::Error, place: &Place, wall: SystemTime) -> Problem {
    let (code, message) = match http::certificate_problem(error) {
        Some(NotValidYet | NotValidYetContext { .. }) if clock::is_unset(wall) => (
            "ClockNotSet",
            "this board's clock is not set yet, so no server can be trusted: see that NTP runs, or set it with 'date'".into(),
        ),
        Some(_) => ("Certificate", http::explain(error, &place.host)),
        None => (UNREACHABLE, http::explain(error, &place.host)),
    };
    Problem {
        code: code.into(),
        message,
    }
}

/// The board's clock is off by so much.
pub fn of_clock(time: ServerClock) -> String {
    match time.offset_ms() / 1000 {
        0 => "this board's clock is right again".into(),
        seconds => format!(
            "this board's clock is {} s {} the server's; posts are signed with the server's time: check its NTP",
            seconds.abs(),
            if seconds > 0 { "behind" } else { "ahead of" }
        ),
    }
}

/// A problem of this class, on the way to `place`, with credentials of `provider`.
pub fn explain(class: Class, problem: &Problem, place: &Place, provider: &Provider) -> String {
    let Place {
        stream,
        region,
        host,
    } = place;
    let kept = "every post is kept";
    let message = &problem.message;
    match (problem.code.as_str(), class) {
        (UNREACHABLE | "ClockNotSet" | "Certificate" | "UnreadableAnswer", _) => {
            format!("{message}; {kept}, trying again")
        }
        ("NoCredentials", _) => format!("there are no valid credentials; {kept}: {message}"),
        ("ResourceNotFoundException", _) => format!(
            "there is no stream '{stream}' in {region}; {kept}: create it, or correct AWS_STREAM_NAME or AWS_REGION \
             and start again"
        ),
        ("AccessDeniedException" | "AccessDenied", _) => format!(
            "these credentials may not put into the stream '{stream}'; {kept}: allow kinesis:PutRecord and \
             kinesis:PutRecords on it ({problem})"
        ),
        (code, Class::Hold) if code.starts_with("KMS") => {
            format!(
                "the key that encrypts the stream '{stream}' refuses; {kept}: see to the key in KMS ({problem})"
            )
        }
        (_, Class::Renew(Renew::Credentials)) => {
            format!(
                "AWS does not accept the credentials of {provider}; {kept}: {} ({problem})",
                provider.advice()
            )
        }
        (_, Class::Renew(Renew::Clock)) => format!(
            "the signature is not accepted though the clock is right, so the secret key is wrong; {kept}: {} ({problem})",
            provider.advice()
        ),
        ("ProvisionedThroughputExceededException", _) => format!(
            "the stream '{stream}' takes no more for now; {kept}, trying again: if this lasts, add shards or use on-demand mode"
        ),
        (_, Class::Retry) => format!("{host} is in trouble ({problem}); {kept}, trying again"),
        _ => format!(
            "{host} refuses ({problem}); {kept}, trying again every minute: correct the set-up"
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::time::UNIX_EPOCH;

    use aws_credential_types::Credentials;

    use super::*;
    use crate::kinesis::outcome::{self, Outcome};

    fn place() -> Place {
        Place {
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
            (500, "InternalFailure", "kinesis.example is in trouble"),
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
            (400, "KMSDisabledException", "see to the key in KMS"),
            (400, "NeverSeenBefore", "correct the set-up"),
            (503, "", "kinesis.example is in trouble (HTTP status 503)"),
            (403, "", "kinesis.example refuses (HTTP status 403)"),
        ];
        for (status, code, expected) in table {
            // Given an answer
            let body = if code.is_empty() {
                String::new()
            } else {
                format!(r#"{{"__type":"{code}"}}"#)
            };
            let Outcome::Failed(class, problem) = outcome::read(status, None, body.as_bytes(), 1)
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
        let Outcome::Failed(class, problem) = outcome::read(200, None, b"<html>Log in</html>", 1)
        else {
            panic!()
        };
        assert!(
            explain(class, &problem, &place(), &provider())
                .contains("a log-in page of the network?")
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
}
