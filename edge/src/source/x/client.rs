//! Calls of X's API: each bears the token, and any answer but a success is sorted by what to do
//! about it.

use std::time::{Duration, SystemTime};

use ureq::http::{Method, Request, Response, header};
use ureq::{Agent, Body};

use crate::observe::journal;
use crate::source::wire::{self, Watch};
use crate::source::x::outcome::{self, ApiError, NoPage, Wait};
use crate::source::x::settings::{Auth, Settings};
use crate::source::x::token;

/// X sends at least a keep-alive every 20 s; some more for the way.
pub const SILENCE: Duration = Duration::from_secs(22);

/// The fields of a post that are asked for, of the stream and of the search. The author comes along in `includes.users`, and what a post
/// repeats, quotes or answers in `includes.tweets`, whole: the text of a retweet itself is cut at 140 characters.
pub const POST_FIELDS: &str = "tweet.fields=created_at,author_id,lang,note_tweet,referenced_tweets\
    &expansions=author_id,referenced_tweets.id,referenced_tweets.id.author_id\
    &user.fields=username,name";

/// The most of an answer other than the stream that is read.
const MAX_ANSWER_BYTES: u64 = 256 << 10;

/// The same for a page of the search: a hundred posts, and those they refer to.
const MAX_PAGE_BYTES: u64 = 8 << 20;

/// Who calls.
pub struct Client<'a> {
    /// What it was set up with.
    pub settings: &'a Settings,
    watch: Watch,
    agent: Agent,
    token: Option<String>,
    /// Whether the token was given up since X last took one.
    gave_up_token: bool,
}

impl<'a> Client<'a> {
    /// One without a token yet.
    pub fn new(settings: &'a Settings, watch: Watch) -> Self {
        Self {
            settings,
            agent: wire::agent(&settings.endpoint, &settings.roots, &watch),
            watch,
            token: None,
            gave_up_token: false,
        }
    }

    /// Has a token, by asking for one where none was given.
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

    /// The token for a consumer key and secret.
    fn exchange(&self, key: &str, secret: &str) -> Result<String, ApiError> {
        let request = token::request(&self.settings.endpoint, key, secret);
        let answer = self.send(request).map_err(|error| match error {
            // Whatever else X finds wrong with such a request, it is the keys.
            ApiError::Person(_) | ApiError::Unauthorized => ApiError::Unauthorized,
            other => other,
        })?;
        token::read(&self.text(answer)?)
    }

    /// X took the token: when it refuses one again, a new one is worth asking for.
    pub fn accepted(&mut self) {
        self.gave_up_token = false;
    }

    /// X refused the token: gives it up. True when a new one may do better.
    pub fn refused(&mut self) -> bool {
        let can_ask = matches!(self.settings.auth, Auth::Consumer { .. });
        let had_token = self.token.take().is_some();
        can_ask && had_token && !std::mem::replace(&mut self.gave_up_token, true)
    }

    /// What to tell a person when X refuses what there is.
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

    /// What to tell a person who asked whether X can be read.
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

    /// Asks for an answer that ends.
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

    /// Opens the stream at `path`: the answer's body, which does not end, and what time it is for X.
    pub fn open(&self, path: &str) -> Result<(Body, Option<SystemTime>), ApiError> {
        let request = self.request(Method::GET, path);
        let (head, body) = self.send(request.body(String::new()))?.into_parts();
        let date = head.headers.get(header::DATE);
        let date = date.and_then(|date| httpdate::parse_http_date(date.to_str().ok()?).ok());
        Ok((body, date))
    }

    /// Asks the search for the page at `path`; also how long to wait before the next one.
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

    /// Sends a request; any answer but a success is trouble.
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

    /// Sends a request, and takes any answer.
    fn any_answer(
        &self,
        request: http::Result<Request<String>>,
    ) -> Result<Response<Body>, ApiError> {
        // What is wrong with it came from the user's settings; the token is no part of the error.
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

    /// The whole body of an answer.
    pub fn text(&self, answer: Response<Body>) -> Result<String, ApiError> {
        text(answer.into_body(), MAX_ANSWER_BYTES).map_err(|error| self.broken(error))
    }

    /// The connection broke, or could not be made.
    pub fn broken(&self, error: impl Into<ureq::Error>) -> ApiError {
        let host = self.settings.endpoint.authority();
        ApiError::Network(crate::net::explain::explain(&error.into(), host))
    }
}

fn text(mut body: Body, at_most: u64) -> Result<String, ureq::Error> {
    body.with_config().limit(at_most).read_to_string()
}
