//! What an answer of DynamoDB or SQS means for the data, and how long to wait before the next call.

use std::fmt;
use std::time::Duration;

use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};

/// One attempt may take this long; an answer that comes later counts as lost.
pub const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);

const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Why a call did not do its work, by what the caller may do next.
#[derive(Clone, Debug, PartialEq)]
pub enum Trouble {
    /// Too much at once: back off, then the same call again.
    Throttled(String),
    /// The network or the service failed, and what became of the call is unknown: back off, then
    /// the same call again.
    Unreachable(String),
    /// This request can never be accepted. Another one may be.
    Refused(String),
    /// A permission or a resource is missing: no call will succeed until a person repairs it.
    Held(String),
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trouble::Throttled(why) => write!(f, "throttled: {why}"),
            Trouble::Unreachable(why) => write!(f, "unreachable: {why}"),
            Trouble::Refused(why) => write!(f, "refused: {why}"),
            Trouble::Held(why) => write!(f, "held until repaired: {why}"),
        }
    }
}

impl Trouble {
    /// Tells apart what a failed call of one of the two services means.
    pub fn of<E>(error: &SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let SdkError::ServiceError(answer) = error else {
            return match error {
                SdkError::ConstructionFailure(_) => Trouble::Held(explain(error)),
                _ => Trouble::Unreachable(explain(error)),
            };
        };
        let code = answer.err().code().unwrap_or_default();
        let why = match answer.err().message() {
            Some(message) => format!("{code}: {message}"),
            None => code.to_owned(),
        };
        match code {
            "ProvisionedThroughputExceededException"
            | "RequestLimitExceeded"
            | "RequestThrottled"
            | "Throttling"
            | "ThrottlingException" => Trouble::Throttled(why),
            "ValidationException" | "InvalidMessageContents" | "SerializationException" => {
                Trouble::Refused(why)
            }
            _ if answer.raw().status().is_server_error() => {
                Trouble::Unreachable(format!("{} {why}", answer.raw().status()))
            }
            _ => Trouble::Held(why),
        }
    }

    /// No answer within [`ATTEMPT_TIMEOUT`], or within what was left of the invocation's time.
    pub fn timeout() -> Self {
        Trouble::Unreachable("no answer in time".to_owned())
    }
}

/// The chain of causes, in one line.
fn explain<E: std::error::Error>(error: &E) -> String {
    DisplayErrorContext(error).to_string()
}

/// Pauses that double up to a ceiling, each drawn anew between nothing and all of it, so that
/// functions which failed together do not come back together.
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
