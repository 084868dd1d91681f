//! Requests to X's API. Each carries the token, and a response that is no success is classified by what to do about it.

use std::time::{Duration, SystemTime};

use ureq::http::{Method, Request, Response, header};
use ureq::{Agent, Body};

use crate::observe::journal;
use crate::source::wire::{self, Watch};
use crate::source::x::outcome::{self, ApiError, NoPage, Wait};
use crate::source::x::settings::{Auth, Settings};
use crate::source::x::token;

/// How long X may be silent: it sends a keep-alive at least every 20 s (X developer platform, "Handling disconnections"). The rest is for the network.
pub const SILENCE: Duration = Duration::from_secs(22);

/// The fields of a post that stream and search are asked for. The author is sent in `includes.users`; posts that a post repeats, quotes or answers are
/// sent whole in `includes.tweets`, because the text of a retweet itself is truncated to 140 characters.
pub const POST_FIELDS: &str = "tweet.fields=created_at,author_id,lang,note_tweet,referenced_tweets\
    &expansions=author_id,referenced_tweets.id,referenced_tweets.id.author_id\
    &user.fields=username,name";

/// Most bytes that are read of a response other than the stream.
const MAX_ANSWER_BYTES: u64 = 256 << 10;

/// Most bytes of a page of the search: a hundred posts, and those they refer to.
const MAX_PAGE_BYTES: u64 = 8 << 20;

/// A client of X's API.
pub struct Client<'a> {
    /// The settings of the source.
    pub settings: &'a Settings,
    watch: Watch,
    agent: Agent,
    token: Option<String>,
    /// Whether a token was discarded since X last accepted one.
    gave_up_token: bool,
}

impl<'a> Client<'a> {
    /// A client without a token.
    pub fn new(settings: &'a Settings, watch: Watch) -> Self {
        Self {
            settings,
            agent: wire::agent(&settings.endpoint, &settings.roots, &watch),
            watch,
            token: None,
            gave_up_token: false,
        }
    }

    /// Gets a token, if there is none yet.
    ///
    /// # Errors
    /// If X refuses the keys, or cannot be asked.
    pub fn authorize(&mut self) -> Result<(), ApiError> {
        if self.token.is_none() {
            let token = match &self.settings.auth {
                Auth::Bearer(token) => token.clone(),
                Auth::Consumer { key, secret } => self.exchange(key, secret)?,
            };
            journal::hide(&token);
            self.token = Some(token);
        }
        Ok(())
    }

    /// Exchanges a consumer key and secret for a token.
    fn exchange(&self, key: &str, secret: &str) -> Result<String, ApiError> {
        let request = token::request(&self.settings.endpoint, key, secret);
        let answer = self.send(request).map_err(|error| match error {
            // In this request only the keys can be wrong, whatever X says.
            ApiError::Person(_) | ApiError::Unauthorized => ApiError::Unauthorized,
            other => other,
        })?;
        token::read(&self.text(answer)?)
    }

    /// Notes that X accepted the token: if it refuses it later, a new one may help.
    pub fn accepted(&mut self) {
        self.gave_up_token = false;
    }

    /// Discards the token, which X refused. True if a new one may help.
    pub fn refused(&mut self) -> bool {
        let can_ask = matches!(self.settings.auth, Auth::Consumer { .. });
        let had_token = self.token.take().is_some();
        can_ask && had_token && !std::mem::replace(&mut self.gave_up_token, true)
    }

    /// The message for a person if X refuses the credentials.
    pub fn refusal(&self) -> String {
        let (what, check) = match self.settings.auth {
            Auth::Bearer(_) => ("bearer token", "X_BEARER_TOKEN"),
            Auth::Consumer { .. } => (
                "consumer key and secret",
                "TWITTER_API_CONSUMER_KEY and TWITTER_API_CONSUMER_SECRET",
            ),
        };
        format!(
            "X does not accept the {what}: \
             check {check} against the app's keys in the developer console"
        )
    }

    /// The message for a person who runs `headwater check`.
    pub fn in_words(&self, trouble: ApiError) -> String {
        match trouble {
            ApiError::Network(what) | ApiError::Server(what) | ApiError::Person(what) => what,
            ApiError::Unauthorized => self.refusal(),
            ApiError::Limited { .. } => {
                "X wants fewer requests: try again in 15 minutes".to_owned()
            }
            ApiError::NoRules | ApiError::Occupied => "X refuses the stream".to_owned(),
        }
    }

    /// Makes a request, and returns the body of the response.
    ///
    /// # Errors
    /// If X refuses it, or cannot be asked.
    pub fn ask(
        &self,
        method: Method,
        path: &str,
        json: Option<String>,
    ) -> Result<String, ApiError> {
        let mut request = self.request(method, path);
        if json.is_some() {
            request = request.header("content-type", "application/json");
        }
        self.text(self.send(request.body(json.unwrap_or_default()))?)
    }

    /// Opens the stream at `path`. Returns the body of the response, which does not end, and X's time.
    ///
    /// # Errors
    /// If X refuses it, or cannot be asked.
    pub fn open(&self, path: &str) -> Result<(Body, Option<SystemTime>), ApiError> {
        let request = self.request(Method::GET, path);
        let (head, body) = self.send(request.body(String::new()))?.into_parts();
        let date = head.headers.get(header::DATE);
        let date = date.and_then(|date| httpdate::parse_http_date(date.to_str().ok()?).ok());
        Ok((body, date))
    }

    /// Fetches the page of the search at `path`. Returns its body, and how long to wait before the next request, if X's rate limit is used up.
    ///
    /// # Errors
    /// If X refuses it, or cannot be asked.
    pub fn search(&self, path: &str) -> Result<(String, Option<Duration>), NoPage> {
        let request = self.request(Method::GET, path);
        let (head, body) = self.any_answer(request.body(String::new()))?.into_parts();
        let now = self.watch.wall();
        if !head.status.is_success() {
            let wait = Wait::of(&head.headers, now);
            let body = text(body, MAX_ANSWER_BYTES).unwrap_or_default();
            return Err(outcome::of_search(head.status.as_u16(), wait, &body));
        }
        let page = text(body, MAX_PAGE_BYTES).map_err(|error| self.broken(error))?;
        Ok((page, outcome::used_up(&head.headers, now)))
    }

    fn request(&self, method: Method, path: &str) -> http::request::Builder {
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.settings.endpoint));
        match &self.token {
            Some(token) => request.header("authorization", format!("Bearer {token}")),
            None => request,
        }
    }

    /// Sends a request.
    ///
    /// # Errors
    /// If the response is no success, or none comes.
    pub fn send(&self, request: http::Result<Request<String>>) -> Result<Response<Body>, ApiError> {
        let answer = self.any_answer(request)?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        let (head, body) = answer.into_parts();
        let wait = Wait::of(&head.headers, self.watch.wall());
        let body = text(body, MAX_ANSWER_BYTES).unwrap_or_default();
        Err(outcome::of_answer(head.status.as_u16(), wait, &body))
    }

    /// Sends a request, and returns the response, whatever its status.
    fn any_answer(
        &self,
        request: http::Result<Request<String>>,
    ) -> Result<Response<Body>, ApiError> {
        // An invalid request comes from the user's settings. The error does not contain the token.
        let request = request.map_err(|error| {
            let what = format!("X cannot be asked ({error}): check X_API_URL and the keys");
            ApiError::Person(what)
        })?;
        let answer = if request.body().is_empty() {
            self.agent.run(request.map(|_| ()))
        } else {
            self.agent.run(request)
        };
        answer.map_err(|error| self.broken(error))
    }

    /// Reads the whole body of a response.
    ///
    /// # Errors
    /// If the connection breaks, or the body is too long.
    pub fn text(&self, answer: Response<Body>) -> Result<String, ApiError> {
        text(answer.into_body(), MAX_ANSWER_BYTES).map_err(|error| self.broken(error))
    }

    /// Classifies a failure of the connection.
    pub fn broken(&self, error: impl Into<ureq::Error>) -> ApiError {
        let host = self.settings.endpoint.authority();
        ApiError::Network(crate::net::explain::explain(&error.into(), host))
    }
}

fn text(mut body: Body, at_most: u64) -> Result<String, ureq::Error> {
    body.with_config().limit(at_most).read_to_string()
}
