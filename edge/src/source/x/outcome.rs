//! What a response of X means: the whole table, without I/O.

use std::time::{Duration, SystemTime};

use serde::Deserialize;
use ureq::http::HeaderMap;

use crate::platform::time::since_1970;

/// The longest wait for a rate limit: X's window of 15 minutes (X API, "Rate Limits"), and a reserve for the network.
const MAX_WAIT: Duration = Duration::from_secs(16 * 60);

/// Why a request failed, by what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ApiError {
    /// The connection failed: try again soon.
    Network(String),
    /// X has a problem: try again, with longer pauses.
    Server(String),
    /// X has no rule: set it, then try again.
    NoRules,
    /// The rate limit is used up: try again after `wait`, if X says how long.
    Limited {
        /// The time until the limit is reset.
        wait: Option<Duration>,
    },
    /// X allows one connection, and still counts another one.
    Occupied,
    /// X does not accept the token.
    Unauthorized,
    /// A person must act. Says what happened and what to do.
    Person(String),
}

/// Why the search gave no page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoPage {
    /// The plan does not have the search, or not with this query. Holds X's own words in brackets, or nothing.
    NotAllowed(String),
    /// An id is older than the search reaches.
    TooOld,
    /// The request failed as any other.
    Trouble(ApiError),
}

impl From<ApiError> for NoPage {
    fn from(trouble: ApiError) -> Self {
        Self::Trouble(trouble)
    }
}

/// How long until the rate limit is reset, from `x-rate-limit-reset`; `None` if X does not say, or that time has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wait(Option<Duration>);

impl Wait {
    /// Reads the headers of a response. `now`, the board's own time, is used only if the response has no `Date`.
    pub fn of(headers: &HeaderMap, now: SystemTime) -> Self {
        let header = |name| headers.get(name)?.to_str().ok();
        let reset = header("x-rate-limit-reset").and_then(|at| at.parse().ok());
        let now = header("date")
            .and_then(|date| httpdate::parse_http_date(date).ok())
            .unwrap_or(now);
        let wait = reset.and_then(|reset| Duration::from_secs(reset).checked_sub(since_1970(now)));
        // One second more, because both times are in whole seconds.
        Self(wait.map(|wait| (wait + Duration::from_secs(1)).min(MAX_WAIT)))
    }
}

/// How long to wait before the next request, if the response says that the rate limit is used up.
pub fn used_up(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let left = headers.get("x-rate-limit-remaining")?;
    Wait::of(headers, now).0.filter(|_| left == "0")
}

/// A problem as X describes it, in a response or in its list of errors.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Problem {
    title: Option<String>,
    detail: Option<String>,
    message: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    connection_issue: Option<String>,
    errors: Vec<Problem>,
}

/// What a response with an error `status` means.
pub fn of_answer(status: u16, wait: Wait, body: &str) -> ApiError {
    let problem: Problem = serde_json::from_str(body).unwrap_or_default();
    if let Some(trouble) = problem.known() {
        return trouble;
    }
    let said = problem.said();
    match status {
        401 => ApiError::Unauthorized,
        402 => out_of_credits(),
        403 => ApiError::Person(format!(
            "X refuses this app{said}: in the developer console, \
             give it a project and access to the filtered stream"
        )),
        409 => ApiError::NoRules,
        420 | 429 => ApiError::Limited { wait: wait.0 },
        408 | 500.. => {
            ApiError::Server(format!("X has a problem of its own, status {status}{said}"))
        }
        _ => ApiError::Person(format!(
            "X refuses the request with status {status}{said}: check X_API_URL and the keyword"
        )),
    }
}

/// What a response of the search with an error `status` means.
pub fn of_search(status: u16, wait: Wait, body: &str) -> NoPage {
    let problem: Problem = serde_json::from_str(body).unwrap_or_default();
    match status {
        400 if body.contains("since_id") || body.contains("until_id") => NoPage::TooOld,
        400 | 403 | 404 if problem.known().is_none() => NoPage::NotAllowed(problem.said()),
        _ => of_answer(status, wait, body).into(),
    }
}

/// What a message in the stream with these `errors` means. The connection is about to end.
pub fn of_stream(errors: &str) -> ApiError {
    let problem = Problem {
        errors: serde_json::from_str(errors).unwrap_or_default(),
        ..Problem::default()
    };
    let said = problem.said();
    problem
        .known()
        .unwrap_or_else(|| ApiError::Network(format!("X ends the stream{said}")))
}

fn out_of_credits() -> ApiError {
    ApiError::Person(
        "the X account has no credits left: buy some in the developer console".to_owned(),
    )
}

impl Problem {
    /// The class of a problem that is known by its name, whatever the status.
    fn known(&self) -> Option<ApiError> {
        let own = match self.name().as_str() {
            "usagecapexceeded" | "usagecapped" => Some(ApiError::Person(
                "the X account has used up its posts for this period: \
                 raise the cap in the developer console, or wait for the next"
                    .to_owned(),
            )),
            "creditsdepleted" | "credits" => Some(out_of_credits()),
            _ if self.connection_issue.as_deref() == Some("TooManyConnections") => {
                Some(ApiError::Occupied)
            }
            _ => None,
        };
        own.or_else(|| self.errors.iter().find_map(Self::known))
    }

    /// The title, else the last word of the type, reduced to lower-case letters.
    fn name(&self) -> String {
        let kind = || {
            self.kind
                .as_deref()
                .and_then(|kind| kind.rsplit('/').next())
        };
        let name = self.title.as_deref().or_else(kind).unwrap_or_default();
        name.chars()
            .filter(char::is_ascii_alphabetic)
            .map(|char| char.to_ascii_lowercase())
            .collect()
    }

    /// X's own words on one line, in brackets after a space; empty if there are none.
    fn said(&self) -> String {
        let words = [&self.detail, &self.message, &self.title];
        let own = words.into_iter().flatten().next();
        let Some(words) = own else {
            return self
                .errors
                .iter()
                .map(Self::said)
                .find(|said| !said.is_empty())
                .unwrap_or_default();
        };
        let line = words.split_whitespace().collect::<Vec<_>>().join(" ");
        format!(" ({})", line.chars().take(200).collect::<String>())
    }
}

#[cfg(test)]
mod tests;
