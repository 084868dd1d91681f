//! What the API answers when it does not do what it was asked for.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::http::Answer;

/// An answer out of the ordinary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// 429: too many requests; wait until then.
    RateLimited(SystemTime),
    /// 429: an earlier connection still counts.
    TooManyConnections,
    /// 429: the month's posts are used up.
    UsageCapExceeded,
    /// 402: the account is empty.
    CreditsDepleted,
    /// 403: the app may not use this endpoint.
    ClientForbidden,
    /// 401: the token is not valid.
    Unauthorized,
    /// 400: a parameter is wrong, as this says.
    Invalid(&'static str),
    /// Any 5xx.
    Server(u16),
}

impl Refusal {
    pub(super) fn answer(self) -> Answer {
        match self {
            Self::RateLimited(reset) => {
                let error = json!({ "code": 88, "message": "Rate limit exceeded" });
                let reset = reset.duration_since(UNIX_EPOCH).unwrap_or_default();
                Answer::json(429, &json!({ "errors": [error] }))
                    .with("x-rate-limit-limit", 50)
                    .with("x-rate-limit-remaining", 0)
                    .with("x-rate-limit-reset", reset.as_secs())
            }
            Self::TooManyConnections => {
                let detail = "This stream is currently at the maximum allowed connection limit.";
                problem(
                    429,
                    "ConnectionException",
                    json!({ "detail": detail, "connection_issue": "TooManyConnections" }),
                )
            }
            Self::UsageCapExceeded => {
                let detail = "Usage cap exceeded: Monthly product cap";
                problem(
                    429,
                    "UsageCapExceeded",
                    json!({ "detail": detail, "period": "Monthly", "scope": "Product" }),
                )
            }
            Self::CreditsDepleted => {
                let detail =
                    "Your enrolled account does not have any credits to fulfill this request.";
                problem(402, "CreditsDepleted", json!({ "detail": detail }))
            }
            Self::ClientForbidden => {
                let detail = "When authenticating requests to the X API v2 endpoints, you must use keys and tokens from a developer App that is attached to a Project.";
                problem(
                    403,
                    "Client Forbidden",
                    json!({ "detail": detail, "reason": "client-not-enrolled", "type": "https://api.twitter.com/2/problems/client-forbidden" }),
                )
            }
            Self::Unauthorized => problem(401, "Unauthorized", json!({ "detail": "Unauthorized" })),
            Self::Invalid(message) => invalid(message),
            Self::Server(status) => problem(
                status,
                "Service Unavailable",
                json!({ "detail": "Service Unavailable" }),
            ),
        }
    }
}

/// What is answered to a parameter that is wrong.
pub(super) fn invalid(message: &str) -> Answer {
    let errors = json!([{ "message": message }]);
    let detail = "One or more parameters to your request was invalid.";
    problem(
        400,
        "Invalid Request",
        json!({ "errors": errors, "detail": detail }),
    )
}

/// An answer in the form all of X's problems have; `fields` are those of this one.
pub(super) fn problem(status: u16, title: &str, mut fields: Value) -> Answer {
    fields["title"] = json!(title);
    fields["status"] = json!(status);
    if fields["type"].is_null() {
        fields["type"] = json!("about:blank");
    }
    Answer::json(status, &fields)
}
