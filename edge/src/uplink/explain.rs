//! The messages about delivery, each in one line: what happened, what it means for the posts, what to do.

use std::time::{Duration, SystemTime};

use rustls::CertificateError::{NotValidYet, NotValidYetContext};

use crate::aws::clock::{self, ServerClock};
use crate::aws::credentials::Provider;
use crate::aws::kinesis::outcome::Problem;
use crate::aws::kinesis::{Class, Renew};
use crate::net;

/// Where records go, in the user's terms.
#[derive(Clone, Debug)]
pub struct Target {
    /// The stream's name.
    pub stream: String,
    /// Its region.
    pub region: String,
    /// The host that is called.
    pub host: String,
}

/// The code of a problem with the connection to the server.
pub const UNREACHABLE: &str = "Unreachable";

/// Describes a failure of the connection to `place` at `wall`, the time of the board's clock.
pub fn of_network(error: &ureq::Error, place: &Target, wall: SystemTime) -> Problem {
    let (code, message) = match net::explain::certificate_problem(error) {
        Some(NotValidYet | NotValidYetContext { .. }) if clock::is_unset(wall) => (
            "ClockNotSet",
            "this board's clock is not set yet, so no certificate can be verified: make sure that NTP runs, or set the clock with 'date'".into(),
        ),
        Some(_) => ("Certificate", net::explain::explain(error, &place.host)),
        None => (UNREACHABLE, net::explain::explain(error, &place.host)),
    };
    Problem {
        code: code.into(),
        message,
    }
}

/// Says how far the board's clock is off.
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

/// Says that the limits of the link hold posts back for `wait`.
pub fn of_pace(waiting: u64, wait: Duration) -> String {
    let minutes = wait.as_secs().div_ceil(60);
    format!(
        "the link's limit is used up (--max-rate, --max-bytes-per-day): {waiting} posts wait in the spool for up to {minutes} min"
    )
}

/// Says that Kinesis rejected the sequence number of the previous record.
pub fn of_order(problem: &Problem) -> String {
    format!(
        "the stream does not accept the previous record's sequence number ({problem}): the record is sent again without SequenceNumberForOrdering"
    )
}

/// Says that the server does not accept CBOR.
pub fn of_wire(problem: &Problem, place: &Target) -> String {
    format!(
        "{} does not accept CBOR ({problem}): posts are sent in JSON from now on, and none is lost. Remove --wire cbor",
        place.host
    )
}

/// Describes a problem of this class at `place`, with credentials of `provider`.
pub fn explain(class: Class, problem: &Problem, place: &Target, provider: &Provider) -> String {
    let Target {
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
            "these credentials may not write to the stream '{stream}'; {kept}: allow kinesis:PutRecord and \
             kinesis:PutRecords on it ({problem})"
        ),
        (code, Class::Hold) if code.starts_with("KMS") => {
            format!(
                "the KMS key of the stream '{stream}' cannot be used; {kept}: check the key and its policy in KMS ({problem})"
            )
        }
        (_, Class::Renew(Renew::Credentials)) => {
            format!(
                "AWS does not accept the credentials of {provider}; {kept}: {} ({problem})",
                provider.advice()
            )
        }
        (_, Class::Renew(Renew::Clock)) => format!(
            "the signature is not accepted although the clock is right, so the secret key is wrong; {kept}: {} ({problem})",
            provider.advice()
        ),
        (_, Class::Refused) => format!(
            "{host} refuses every record, so no post is the cause ({problem}); {kept}, trying again every minute: check \
             AWS_STREAM_NAME, AWS_REGION, the endpoint, and a proxy's limits"
        ),
        (_, Class::Throttled) => format!(
            "the stream '{stream}' takes no more for now; {kept}, trying again: if this lasts, add shards or use on-demand mode"
        ),
        (_, Class::Retry) => format!("{host} failed ({problem}); {kept}, trying again"),
        _ => format!(
            "{host} refuses the request ({problem}); {kept}, trying again every minute: correct the configuration"
        ),
    }
}

#[cfg(test)]
mod tests;
