//! A simulated X API v2: tokens, rules, the filtered stream and the recent search, over a real socket.
//!
//! What the stream does is a script: a sequence of [`Event`]s, played at a pace while a client is connected, and waiting while none is. So
//! duplicates and disorder are posts placed in the script twice or out of order, and trouble is an event between posts. What single
//! requests are answered, out of the ordinary, is queued with [`XApi::answer_next`].
//!
//! Posts of the script are in no hurry. Those of [`XApi::post`] happen: the stream has them if somebody reads it just then, and the search has
//! them either way.

mod refusal;
mod rules;
mod search;
mod stream;
mod wire;

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, BufReader};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

pub use refusal::Refusal;
pub use rules::{MAX_RULE_CHARS, Rule};
pub use search::Search;

use refusal::problem;

use crate::http::{Answer, Request};
use crate::posts::Post;
use crate::server::Server;

/// The consumer key that the simulated API knows.
pub const CONSUMER_KEY: &str = "demo+consumer/key";

/// The secret to it. Both have characters that must be encoded.
pub const CONSUMER_SECRET: &str = "demo:consumer&secret=";

/// The bearer token it gives for both, already encoded, as X hands it out.
pub const BEARER_TOKEN: &str = "AAAAAAAAAAAAAAAAAAAAAHeadwater%2BDemo%3Dtoken%2F1";

const WINDOW: Duration = Duration::from_secs(15 * 60);

/// RFC 3986: everything else is encoded.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// How the simulated API behaves throughout.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The time between two events of the script.
    pub pace: Duration,
    /// The time between two keep-alives.
    pub keep_alive: Duration,
    /// Writes at most so many bytes at once: small numbers split characters and lines.
    pub write_bytes: usize,
    /// Connections in 15 minutes.
    pub connect_limit: usize,
    /// Uses the field names X is moving to.
    pub renamed: bool,
    /// Whether the account's plan has the recent search.
    pub search: bool,
    /// Searches in a window.
    pub search_limit: usize,
    /// How long a window is: it begins with the first search after the last one. At X, 15 minutes.
    pub search_window: Duration,
    /// How long after it was written a post is found by the search.
    pub search_delay: Duration,
    /// How long a search takes.
    pub search_time: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            pace: Duration::ZERO,
            keep_alive: Duration::from_secs(20),
            write_bytes: usize::MAX,
            connect_limit: 50,
            renamed: false,
            search: true,
            search_limit: 450,
            search_window: WINDOW,
            search_delay: Duration::from_secs(30),
            search_time: Duration::ZERO,
        }
    }
}

impl Settings {
    /// A search that finds posts at once and takes a while for a page, with so few pages a window that a gap of some hundred posts uses them up.
    pub fn with_few_searches() -> Self {
        Self {
            keep_alive: Duration::from_millis(200),
            search_delay: Duration::ZERO,
            search_time: Duration::from_millis(50),
            search_limit: 5,
            search_window: Duration::from_secs(4),
            ..Self::default()
        }
    }
}

/// One step of the stream's script.
#[derive(Clone, Debug)]
pub enum Event {
    /// A post, sent if a rule matches it.
    Post(Post),
    /// The same, of [`XApi::post`]: a connection that breaks first misses it.
    Live(Post),
    /// Ends the connection after whole lines.
    Disconnect,
    /// Ends the connection in the middle of the next post, which comes again, whole, on the next connection.
    CutHalfway,
    /// Says `operational-disconnect` in the stream, then ends the connection.
    OperationalDisconnect,
    /// Sends nothing more, not even keep-alives, and leaves the connection open.
    GoSilent,
    /// Any other line, such as a message of a type yet unknown. Without its line end.
    Line(String),
}

/// What can be asked of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// `POST /oauth2/token`
    Token,
    /// `/2/tweets/search/stream/rules`
    Rules,
    /// `GET /2/tweets/search/stream`
    Stream,
    /// `GET /2/tweets/search/recent`
    Search,
}

/// The simulated API. Ends, with every connection, when dropped.
#[derive(Debug)]
pub struct XApi {
    server: Server,
    api: Arc<Api>,
}

#[derive(Debug)]
struct Api {
    settings: Settings,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    script: VecDeque<Event>,
    refusals: Vec<(Endpoint, Refusal)>,
    rules: Vec<Rule>,
    rules_made: u64,
    /// The number of the open stream; there is at most one.
    streaming: Option<u64>,
    connects: Vec<SystemTime>,
    sent: Vec<Post>,
    /// What searches found.
    found: Vec<Post>,
    /// What the search finds, by id.
    posted: BTreeMap<u64, Post>,
    searches: Vec<Search>,
    /// When the window of searches ends, and how many it had.
    search_window: Option<(SystemTime, usize)>,
    requests: Vec<(String, String)>,
}

impl XApi {
    /// Serves with an empty script.
    ///
    /// # Errors
    /// If no port can be listened on.
    pub fn start(settings: Settings) -> io::Result<Self> {
        let api = Arc::new(Api {
            settings,
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        let serving = Arc::clone(&api);
        let server = Server::start(move |stream| {
            // A client that goes away is no matter of the server's.
            let _ = serving.serve(&stream);
        })?;
        Ok(Self { server, api })
    }

    /// For X_API_URL.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Appends to the script.
    pub fn play(&self, events: impl IntoIterator<Item = Event>) {
        self.api.state().script.extend(events);
        self.api.changed.notify_all();
    }

    /// Somebody writes this post now.
    pub fn post(&self, post: Post) {
        let mut state = self.api.state();
        state.posted.insert(post.id, post.clone());
        if state.streaming.is_some() {
            state.script.push_back(Event::Live(post));
        }
        drop(state);
        self.api.changed.notify_all();
    }

    /// Every post of [`Self::post`], and every one of the script that the stream had, by id.
    pub fn posted(&self) -> Vec<Post> {
        self.api.state().posted.values().cloned().collect()
    }

    /// The searches so far, refused or not.
    pub fn searches(&self) -> Vec<Search> {
        self.api.state().searches.clone()
    }

    /// Answers the next request to `endpoint` that no earlier refusal answers.
    pub fn answer_next(&self, endpoint: Endpoint, refusal: Refusal) {
        self.api.state().refusals.push((endpoint, refusal));
    }

    /// Adds a rule, as another program of the same account may have.
    ///
    /// # Errors
    /// If X would refuse the rule, with its words.
    pub fn add_rule(&self, value: &str, tag: Option<&str>) -> Result<(), String> {
        let mut state = self.api.state();
        state.add_rule(value, tag.map(str::to_owned))
    }

    /// Loses all rules.
    pub fn forget_rules(&self) {
        self.api.state().rules.clear();
    }

    /// Whether the stream is open to somebody.
    pub fn is_streaming(&self) -> bool {
        self.api.state().streaming.is_some()
    }

    /// The rules the server keeps.
    pub fn rules(&self) -> Vec<Rule> {
        self.api.state().rules.clone()
    }

    /// The posts sent whole, in order, each as often as it was sent.
    pub fn sent(&self) -> Vec<Post> {
        self.api.state().sent.clone()
    }

    /// How many posts were sent whole.
    pub fn sent_count(&self) -> usize {
        self.api.state().sent.len()
    }

    /// The posts of all pages of the search, each as often as a page had it.
    pub fn found(&self) -> Vec<Post> {
        self.api.state().found.clone()
    }

    /// When the stream was asked for, refused or not.
    pub fn connects(&self) -> Vec<SystemTime> {
        self.api.state().connects.clone()
    }

    /// Method and path of every request.
    pub fn requests(&self) -> Vec<(String, String)> {
        self.api.state().requests.clone()
    }
}

impl Drop for XApi {
    fn drop(&mut self) {
        self.api.state().streaming = None;
        self.api.changed.notify_all();
    }
}

impl Api {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, mut stream: &TcpStream) -> io::Result<()> {
        let mut reader = BufReader::new(stream);
        while let Some(request) = Request::read(&mut reader)? {
            let path = request.path().to_owned();
            let asked = (request.method.clone(), path.clone());
            self.state().requests.push(asked);
            let answer = match (request.method.as_str(), path.as_str()) {
                ("POST", "/oauth2/token") => self.token(&request),
                ("GET" | "POST", "/2/tweets/search/stream/rules") => self.rules(&request),
                ("GET", "/2/tweets/search/stream") => match self.connect(&request) {
                    Ok(number) => return self.stream(number, &request, stream),
                    Err(answer) => answer,
                },
                ("GET", "/2/tweets/search/recent") => self.search(&request),
                ("DELETE", "/2/connections/all") => self.end_connections(&request),
                _ => problem(404, "Not Found Error", json!({})),
            };
            answer.write(&mut stream)?;
        }
        Ok(())
    }

    fn token(&self, request: &Request) -> Answer {
        if let Some(refusal) = self.state().refusal(Endpoint::Token) {
            return refusal.answer();
        }
        let encode = |text| utf8_percent_encode(text, ENCODED);
        let pair = format!("{}:{}", encode(CONSUMER_KEY), encode(CONSUMER_SECRET));
        let expected = format!("Basic {}", BASE64_STANDARD.encode(pair));
        let is_form = request.header("content-type").is_some_and(|value| {
            value
                .to_ascii_lowercase()
                .starts_with("application/x-www-form-urlencoded")
        });
        let error = |status, code: u32, message, label| {
            let error = json!({ "code": code, "message": message, "label": label });
            Answer::json(status, &json!({ "errors": [error] }))
        };
        if request.header("authorization") != Some(expected.as_str()) {
            let message = "Unable to verify your credentials";
            return error(403, 99, message, "authenticity_token_error");
        }
        if !is_form || request.body != b"grant_type=client_credentials" {
            let message = "Missing required parameter: grant_type";
            return error(403, 170, message, "forbidden_missing_parameter");
        }
        let token = json!({ "token_type": "bearer", "access_token": BEARER_TOKEN });
        Answer::json(200, &token)
    }

    fn rules(&self, request: &Request) -> Answer {
        let mut state = self.state();
        if let Some(refusal) = state.refusal(Endpoint::Rules) {
            return refusal.answer();
        }
        if !authorized(request) {
            return Refusal::Unauthorized.answer();
        }
        if request.method == "GET" {
            return Answer::json(200, &state.list_rules());
        }
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        if let Some(ids) = body["delete"]["ids"].as_array() {
            return Answer::json(200, &state.delete_rules(ids));
        }
        match body["add"].as_array() {
            Some(rules) => state.add_rules(rules),
            None => problem(400, "Invalid Request", json!({})),
        }
    }

    /// Takes the one place there is, or says why not.
    fn connect(&self, request: &Request) -> Result<u64, Answer> {
        let mut state = self.state();
        let now = SystemTime::now();
        state.connects.push(now);
        let recent = |at: &&SystemTime| now.duration_since(**at).is_ok_and(|age| age < WINDOW);
        let used = state.connects.iter().filter(recent).count();
        if let Some(refusal) = state.refusal(Endpoint::Stream) {
            return Err(refusal.answer());
        }
        if !authorized(request) {
            return Err(Refusal::Unauthorized.answer());
        }
        if used > self.settings.connect_limit {
            return Err(Refusal::RateLimited(now + WINDOW).answer());
        }
        if state.rules.is_empty() {
            let title = "You must define rules to connect to the stream";
            return Err(problem(
                409,
                "ConnectionException",
                json!({ "detail": title, "connection_issue": "RuleConfigurationIssue" }),
            ));
        }
        if state.streaming.is_some() {
            return Err(Refusal::TooManyConnections.answer());
        }
        let number = state.connects.len() as u64;
        state.streaming = Some(number);
        // What the last connection did not get while it stood, none gets.
        state
            .script
            .retain(|event| !matches!(event, Event::Live(_)));
        Ok(number)
    }

    fn end_connections(&self, request: &Request) -> Answer {
        if !authorized(request) {
            return Refusal::Unauthorized.answer();
        }
        let ended = self.state().streaming.take();
        self.changed.notify_all();
        let counts = json!({ "successful_kills": u8::from(ended.is_some()), "failed_kills": 0 });
        Answer::json(200, &json!({ "data": counts }))
    }
}

impl State {
    fn refusal(&mut self, endpoint: Endpoint) -> Option<Refusal> {
        let at = self.refusals.iter().position(|(of, _)| *of == endpoint)?;
        Some(self.refusals.remove(at).1)
    }
}

fn authorized(request: &Request) -> bool {
    let token = request
        .header("authorization")
        .and_then(|value| value.strip_prefix("Bearer "));
    token == Some(BEARER_TOKEN)
}
