//! What a response of DynamoDB or SQS means for the data, and how long to back off.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::time::Duration;

use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use tokio::time::{Instant, timeout_at};

use crate::report::brief;

/// Calls in flight at once, to each service. More would not help: one call takes a few milliseconds, and a full batch of 500 records is 20
/// calls.
pub const CALLS_AT_ONCE: usize = 8;

/// Timeout of a call. A later response counts as lost.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);

/// Error codes of DynamoDB and SQS for an invalid request: too long, too many entries, an invalid
/// character. SQS also has the older names of its query protocol.
const REFUSALS: [&str; 11] = [
    "BatchRequestTooLong",
    "InvalidMessageContents",
    "InvalidParameterCombination",
    "InvalidParameterValue",
    "InvalidParameterValueException",
    "MalformedInput",
    "MessageTooLong",
    "RequestEntityTooLarge",
    "SerializationException",
    "ValidationError",
    "ValidationException",
];

const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Why a call failed, by what the caller may do next, from the best to the worst.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trouble {
    /// The network or the service failed, and whether the call was executed is unknown: back off, then
    /// repeat it.
    Unreachable(String),
    /// Throttled: back off, then repeat the call.
    Throttled(String),
    /// The table has this post in a newer version: there is nothing to do.
    Outdated,
    /// This request can never be accepted. Another one may be.
    Refused {
        /// The service's error code.
        code: String,
        /// Its message, which may quote the request.
        message: String,
    },
    /// A permission or a resource is missing: no call will succeed until a person repairs it.
    Held(String),
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trouble::Throttled(why) => write!(f, "throttled, tried again, nothing lost: {why}"),
            Trouble::Unreachable(why) => write!(f, "no answer, tried again, nothing lost: {why}"),
            Trouble::Outdated => f.write_str("a newer version is there"),
            Trouble::Refused { code, .. } => write!(f, "refused: {code}"),
            Trouble::Held(why) => write!(
                f,
                "not allowed or not there: {why}. The records wait in the stream until this is \
                 repaired: check the resource and the function's role"
            ),
        }
    }
}

/// Makes one call, and waits for its response. Neither goes on after `until`.
///
/// # Errors
/// If no response comes in time, or the service refuses the call.
pub async fn call<T, E>(
    call: impl Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    until: Instant,
) -> Result<T, Trouble>
where
    E: ProvideErrorMetadata + Error + 'static,
{
    let too_late = || Trouble::Unreachable("no answer in time".to_owned());
    let now = Instant::now();
    if now >= until {
        return Err(too_late());
    }
    let answer = timeout_at(until.min(now + CALL_TIMEOUT), call).await;
    answer
        .map_err(|_| too_late())?
        .map_err(|error| Trouble::of(&error))
}

impl Trouble {
    /// Classifies an error of one of the two services.
    fn of<E>(error: &SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        let SdkError::ServiceError(answer) = error else {
            return match error {
                SdkError::ConstructionFailure(_) => Trouble::Held(explain(error)),
                _ => Trouble::Unreachable(explain(error)),
            };
        };
        let code = answer.err().code().unwrap_or_default();
        let message = answer.err().message().unwrap_or_default();
        let why = brief(format!("{code}: {message}").trim_end_matches(": "));
        let status = answer.raw().status();
        match code {
            "ProvisionedThroughputExceededException"
            | "RequestLimitExceeded"
            | "RequestThrottled"
            | "Throttling"
            | "ThrottlingException"
            | "KmsThrottled"
            | "KMS.ThrottlingException" => Trouble::Throttled(why),
            "ConditionalCheckFailedException" => Trouble::Outdated,
            _ if REFUSALS.contains(&code) || status.as_u16() == 413 => Trouble::Refused {
                code: brief(code),
                message: brief(message),
            },
            _ if status.is_server_error() => Trouble::Unreachable(format!("{status} {why}")),
            _ => Trouble::Held(why),
        }
    }
}

/// The chain of causes, in one line.
fn explain<E: Error>(error: &E) -> String {
    brief(&DisplayErrorContext(error).to_string())
}

/// Exponential backoff with full jitter: each pause is random between zero and a limit that doubles up to
/// a maximum, so that functions which failed together do not retry together.
#[derive(Debug)]
pub struct Backoff {
    ceiling: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            ceiling: FIRST_PAUSE,
        }
    }
}

impl Backoff {
    /// How long to wait now.
    pub fn next_pause(&mut self) -> Duration {
        let pause = self.ceiling.mul_f64(fastrand::f64());
        self.ceiling = (self.ceiling * 2).min(LONGEST_PAUSE);
        pause
    }
}
