//! What the user reads when delivery is in trouble: what happened, what it means for the posts, what to do.

use std::time::SystemTime;

use rustls::CertificateError;

use crate::aws::clock::{self, ServerClock};
use crate::aws::credentials::Keychain;
use crate::kinesis::outcome::{Class, Problem, Renew, classify};

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

const UNREACHABLE: &str = "Unreachable";
const CLOCK_UNSET: &str = "ClockNotSet";

/// A failure of the network on the way to `place`, when the board's clock showed `wall`.
pub fn of_network(error: &anyhow::Error, place: &Place, wall: SystemTime) -> Problem {
    let certificate = error
        .chain()
        .find_map(|cause| match cause.downcast_ref::<ureq::Error>() {
            Some(ureq::Error::Rustls(rustls::Error::InvalidCertificate(problem))) => Some(problem),
            _ => None,
        });
    let host = &place.host;
    let (code, message) = match certificate {
        Some(CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. }) if clock::is_unset(wall) => {
            (CLOCK_UNSET, "this board's clock is not set yet, so no certificate can be checked; it goes on when NTP has set it".into())
        }
        Some(_) => ("Certificate", format!("{host} shows a certificate that is not trusted ({error:#}): if a proxy of yours stands between, name its authority in AWS_CA_BUNDLE; check the clock with 'date'")),
        None => (UNREACHABLE, format!("{host} cannot be reached ({error:#})")),
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
            "this board's clock is {} s {} the server's: posts are signed with the server's time; check its NTP",
            seconds.abs(),
            if seconds > 0 { "behind" } else { "ahead of" }
        ),
    }
}

/// Whether the user should hear of it at once, though it may heal before long.
pub fn is_news(problem: &Problem) -> bool {
    problem.code == UNREACHABLE
}

/// One line: what happened, what it means, what to do.
pub fn explain(problem: &Problem, place: &Place, keychain: &Keychain) -> String {
    let Place {
        stream,
        region,
        host,
    } = place;
    let kept = "every post is kept";
    match (problem.code.as_str(), classify(&problem.code)) {
        (UNREACHABLE | CLOCK_UNSET | "Certificate" | "UnreadableAnswer", _) => {
            format!("{}; {kept}, trying again", problem.message)
        }
        ("NoCredentials", _) => format!(
            "there are no valid credentials; {kept}: {}",
            problem.message
        ),
        ("ResourceNotFoundException", _) => {
            format!(
                "there is no stream '{stream}' in {region}; {kept}: create it, or correct AWS_STREAM_NAME or AWS_REGION and start again"
            )
        }
        ("AccessDeniedException" | "AccessDenied", _) => format!(
            "these credentials may not put into the stream '{stream}'; {kept}: allow kinesis:PutRecord and kinesis:PutRecords on it ({problem})"
        ),
        (code, _) if code.starts_with("KMS") && classify(code) == Some(Class::Hold) => {
            format!(
                "the key that encrypts the stream '{stream}' refuses; {kept}: see to the key in KMS ({problem})"
            )
        }
        (_, Some(Class::Renew(Renew::Credentials))) => {
            format!(
                "AWS does not accept the credentials of {}; {kept}: {} ({problem})",
                keychain.provider(),
                keychain.provider().advice()
            )
        }
        (_, Some(Class::Renew(Renew::Clock))) => format!(
            "the signature is not accepted and the clock is right, so the secret key is wrong; {kept}: {} ({problem})",
            keychain.provider().advice()
        ),
        ("ProvisionedThroughputExceededException", _) => {
            format!(
                "the stream '{stream}' takes no more for now (throttled); {kept}, trying again: add shards or use on-demand mode if this lasts"
            )
        }
        (_, Some(Class::Retry)) => {
            format!("{host} is in trouble ({problem}); {kept}, trying again")
        }
        (code, _) if code.starts_with("HTTP status 5") => {
            format!("{host} is in trouble ({problem}); {kept}, trying again")
        }
        _ => format!(
            "{host} refuses ({problem}); {kept}, trying again every minute: correct the set-up"
        ),
    }
}
