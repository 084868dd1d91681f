//! Posts of X, through the filtered stream of its API v2.
//!
//! A session: a token for the keys ([`token`]), this keyword's rule and no older one ([`rules`]), then one connection that stays open, with
//! one JSON object a line ([`message`]). What ends a session is sorted by what to do about it ([`outcome`]), and the next one
//! begins on that kind of failure's schedule.

mod budget;
mod message;
pub mod outcome;
mod rules;
mod token;

use std::fmt;
use std::io::Read;
use std::num::NonZeroU64;
use std::time::Duration;

use log::{Level, debug, info};
use ureq::http::{Method, Request};
use ureq::{Agent, Body};

use self::budget::Budget;
use self::message::{Message, Post};
use self::outcome::Trouble;
use super::backoff::{Backoff, Failure};
use super::report::Unusable;
use super::split::{Lines, Next};
use super::wire::{self, Watch};
use super::{Feed, Source, Stopped};
use crate::filter::Filter;
use crate::http::{Endpoint, Roots};
use crate::record::{MAX_RECORD_BYTES, Record};
use crate::report;

/// X sends at least a keep-alive every 20 s; some more for the way.
const SILENCE: Duration = Duration::from_secs(22);

/// A connection that stood this long has proved itself, posts or not: keep-alives came through.
const PROVEN: Duration = Duration::from_secs(30);

/// The most of an answer other than the stream that is read.
const MAX_ANSWER_BYTES: u64 = 256 << 10;

/// The fields of a post that are asked for; the author comes along in `includes.users`.
const STREAM_PATH: &str = "/2/tweets/search/stream?tweet.fields=created_at,author_id,lang,note_tweet&expansions=author_id&user.fields=username,name";

/// Remembered while a connection is open: one that this program left behind may be ended by it, one of another program may not.
const OPEN_FACT: &str = "x.open";

/// How to reach X, and what to ask it for.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The API's server: `https://api.x.com`.
    pub endpoint: Endpoint,
    /// Who asks.
    pub auth: Auth,
    /// Which posts are wanted.
    pub filter: Filter,
    /// The most posts read in one day by UTC: each is billed.
    pub max_per_day: Option<NonZeroU64>,
    /// Whose certificates are trusted.
    pub roots: Roots,
}

/// What proves to X who asks.
#[derive(Clone)]
pub enum Auth {
    /// A bearer token of the app.
    Bearer(String),
    /// The app's consumer key and secret, which get a token.
    Consumer {
        /// Names the app.
        key: String,
        /// Proves it.
        secret: String,
    },
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bearer(_) => "bearer token",
            Self::Consumer { .. } => "consumer key and secret",
        })
    }
}

/// The filtered stream.
#[derive(Debug)]
pub struct X {
    settings: Settings,
}

impl X {
    /// A stream that is opened when it is run.
    pub fn new(settings: Settings) -> Self {
        Self { settings }
    }
}

impl Source for X {
    fn run(&mut self, feed: &Feed) -> anyhow::Result<()> {
        let mut reader = Reader::new(&self.settings, feed);
        let Stopped = reader.read_until_stopped();
        Ok(())
    }
}

/// The stream while it is read.
struct Reader<'a> {
    feed: &'a Feed,
    client: Client<'a>,
    lines: Lines,
    backoff: Backoff,
    budget: Budget,
    unusable: Unusable,
    tag: String,
    /// Whether X is known to hold this keyword's rule and no older one.
    rules_fit: bool,
    /// Whether the last attempt, too, ended with another connection in the way.
    evicted: bool,
}

impl<'a> Reader<'a> {
    fn new(settings: &'a Settings, feed: &'a Feed) -> Self {
        Self {
            feed,
            client: Client::new(settings, feed),
            // A post's key and line must fit a record together, so a longer line is of no use.
            lines: Lines::new(MAX_RECORD_BYTES),
            backoff: Backoff::new("x.backoff"),
            budget: Budget::new(settings.max_per_day, feed),
            unusable: Unusable::default(),
            tag: settings.filter.tag(),
            rules_fit: false,
            evicted: false,
        }
    }

    fn read_until_stopped(&mut self) -> Stopped {
        info!("{}", self.budget.price());
        match self.keep_reading() {
            Err(stopped) => stopped,
        }
    }

    fn keep_reading(&mut self) -> Result<std::convert::Infallible, Stopped> {
        self.backoff.resume(self.feed)?;
        loop {
            self.budget.wait(self.feed)?;
            let trouble = match self.session() {
                Ok(Ended::DayIsFull) => continue,
                Ok(Ended::Stopped) => return Err(Stopped),
                Err(trouble) => trouble,
            };
            if self.feed.stop.asked() {
                return Err(Stopped);
            }
            self.recover(trouble)?;
        }
    }

    /// Token, rule, stream, until something ends it.
    fn session(&mut self) -> Result<Ended, Trouble> {
        self.client.authorize()?;
        if !self.rules_fit {
            rules::reconcile(&self.client, self.feed)?;
            self.rules_fit = true;
        }
        let stream = self.client.call(Method::GET, STREAM_PATH, None)?;
        info!(
            "reading posts about {} from {}",
            self.client.settings.filter.keyword(),
            self.client.settings.endpoint.authority()
        );
        self.evicted = false;
        self.feed.state.set(OPEN_FACT, true);
        let ended = self.read(&mut stream.into_body().into_reader());
        self.budget.save(self.feed);
        if let Ok(Ended::Stopped | Ended::DayIsFull) = ended {
            self.feed.state.set(OPEN_FACT, false);
        }
        ended
    }

    /// Reads lines until the stream ends; the connection is closed with the `stream`.
    fn read(&mut self, stream: &mut impl Read) -> Result<Ended, Trouble> {
        let cut = self.lines.clear();
        if cut > 0 {
            debug!("the last connection ended {cut} bytes into a line");
        }
        let opened = self.feed.clock.elapsed();
        let mut is_proven = false;
        loop {
            let next = self
                .lines
                .next(stream)
                .map_err(|error| self.client.broken(error))?;
            if !is_proven && self.feed.clock.elapsed().saturating_sub(opened) >= PROVEN {
                is_proven = true;
                self.backoff.healthy(self.feed);
            }
            let line = match next {
                Next::Line { line: b"", .. } => continue,
                Next::Line { line, .. } => line,
                Next::TooLong(bytes) => {
                    let why = format_args!("{bytes} bytes; a record holds {MAX_RECORD_BYTES}");
                    self.unusable.count(self.feed, "a post", why);
                    continue;
                }
                Next::End => {
                    return Err(Trouble::Network("X ended the stream".to_owned()));
                }
            };
            let post = match message::parse(line) {
                Ok(Message::Post(post)) if post.is_tagged(&self.tag) => post,
                Ok(Message::Post(_)) => {
                    self.feed.counters.filtered.add(1);
                    continue;
                }
                Ok(Message::Trouble(trouble)) => return Err(trouble),
                Ok(Message::Other) => {
                    debug!("X sent a message of a kind unknown to this program");
                    continue;
                }
                Err(error) => {
                    self.unusable.count(self.feed, "a line of X", error);
                    continue;
                }
            };
            match put(self.feed, &post, line, &mut self.unusable) {
                Ok(()) => {}
                Err(Stopped) => return Ok(Ended::Stopped),
            }
            if !is_proven {
                is_proven = true;
                self.backoff.healthy(self.feed);
            }
            if self.budget.spend(self.feed) {
                return Ok(Ended::DayIsFull);
            }
        }
    }

    /// Says what happened, does what helps, and waits as that kind of failure asks.
    fn recover(&mut self, trouble: Trouble) -> Result<(), Stopped> {
        self.feed.counters.reconnects.add(1);
        let mut at_least = Duration::ZERO;
        let (failure, what) = match trouble {
            Trouble::Network(what) => (Failure::Network, what),
            Trouble::Server(what) => (Failure::Server, what),
            Trouble::NoRules => {
                self.rules_fit = false;
                (Failure::Server, "X has no rule yet".to_owned())
            }
            Trouble::Limited { wait } => {
                at_least = wait.unwrap_or_default();
                (Failure::Limited, "X wants fewer requests".to_owned())
            }
            Trouble::Occupied => {
                let left_behind = self.feed.state.get(OPEN_FACT) == Some(true);
                if left_behind && !self.evicted {
                    self.evicted = true;
                    return self.evict();
                }
                let what = "X still counts an earlier connection, or another program reads with the same keys";
                (Failure::Limited, what.to_owned())
            }
            Trouble::Unauthorized if self.client.renew() => return Ok(()),
            Trouble::Unauthorized => (Failure::Person, self.client.unauthorized()),
            Trouble::Person(what) => (Failure::Person, what),
        };
        let pause = self.backoff.failed(self.feed, failure, at_least);
        if failure == Failure::Person {
            let text =
                format!("{what}; nothing new is read until then; trying again in {pause:.0?}");
            self.feed.trouble(Level::Error, &text);
        } else {
            let text = format!("{what}; connecting again in {pause:.1?}");
            self.feed.trouble(Level::Warn, &text);
        }
        self.feed.sleep(pause)
    }

    /// Ends the connection that this program left behind, which X may count for minutes otherwise.
    fn evict(&mut self) -> Result<(), Stopped> {
        info!("X still counts this program's earlier connection: ending it");
        if let Err(trouble) = self.client.call(Method::DELETE, "/2/connections/all", None) {
            debug!("it could not be ended: {trouble:?}");
        }
        self.feed.sleep(Failure::Server.pause(1))
    }
}

/// Hands over one post: its line as received, under its author's name.
fn put(feed: &Feed, post: &Post<'_>, line: &[u8], unusable: &mut Unusable) -> Result<(), Stopped> {
    match Record::new(post.partition_key(), line) {
        // The stream has no place to go back to, so there is no position.
        Ok(record) if feed.echo => feed.put(record, b"", &post.text()),
        Ok(record) => feed.put(record, b"", ""),
        Err(unfit) => {
            unusable.count(feed, "a post", unfit);
            Ok(())
        }
    }
}

/// Why a session ended without trouble.
enum Ended {
    /// As many posts were read as may be read today.
    DayIsFull,
    /// The program is ending.
    Stopped,
}

/// Calls of the API.
struct Client<'a> {
    settings: &'a Settings,
    agent: Agent,
    feed: &'a Feed,
    token: Option<String>,
    /// Whether the token was got anew since X last took one.
    renewed: bool,
}

impl<'a> Client<'a> {
    fn new(settings: &'a Settings, feed: &'a Feed) -> Self {
        Self {
            settings,
            agent: wire::agent(&settings.roots, &Watch::new(feed, SILENCE)),
            feed,
            token: None,
            renewed: false,
        }
    }

    /// Has a token, by asking for one where none was given.
    fn authorize(&mut self) -> Result<(), Trouble> {
        if self.token.is_none() {
            let token = match &self.settings.auth {
                Auth::Bearer(token) => token.clone(),
                Auth::Consumer { key, secret } => token::get(self, key, secret)?,
            };
            report::hide(&token);
            self.token = Some(token);
        }
        Ok(())
    }

    /// Forgets a token that is no longer taken, once. False when a new one is of no use.
    fn renew(&mut self) -> bool {
        let can = matches!(self.settings.auth, Auth::Consumer { .. }) && self.token.is_some();
        let renews = can && !self.renewed;
        self.renewed = true;
        self.token = None;
        renews
    }

    fn unauthorized(&self) -> String {
        match self.settings.auth {
            Auth::Bearer(_) => {
                "X does not accept the bearer token: check X_BEARER_TOKEN".to_owned()
            }
            Auth::Consumer { .. } => {
                "X does not accept the consumer key and secret: check TWITTER_API_CONSUMER_KEY and \
                TWITTER_API_CONSUMER_SECRET against the app's keys in the developer console"
                    .to_owned()
            }
        }
    }

    /// Asks with the token. The answer's body is still to be read.
    fn call(
        &self,
        method: Method,
        path: &str,
        json: Option<String>,
    ) -> Result<ureq::http::Response<Body>, Trouble> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.settings.endpoint));
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        if json.is_some() {
            request = request.header("content-type", "application/json");
        }
        self.send(request.body(json.unwrap_or_default()))
    }

    /// Sends a request; any answer but a success is trouble.
    fn send(
        &self,
        request: Result<Request<String>, ureq::http::Error>,
    ) -> Result<ureq::http::Response<Body>, Trouble> {
        let request = request.map_err(|error| {
            Trouble::Person(format!(
                "the request to X cannot be written: {error}; check the address and the keys"
            ))
        })?;
        let sent = if request.body().is_empty() {
            let (parts, _) = request.into_parts();
            self.agent.run(Request::from_parts(parts, ()))
        } else {
            self.agent.run(request)
        };
        let response = sent.map_err(|error| {
            Trouble::Network(wire::explain(&error, self.settings.endpoint.authority()))
        })?;
        if response.status().is_success() {
            return Ok(response);
        }
        let (parts, body) = response.into_parts();
        Err(outcome::of_answer(
            parts.status.as_u16(),
            outcome::Wait::of(&parts.headers, self.feed.clock.wall()),
            &text(body).unwrap_or_default(),
        ))
    }

    /// The stream broke while it was read.
    fn broken(&self, error: std::io::Error) -> Trouble {
        let error = ureq::Error::from(error);
        Trouble::Network(wire::explain(&error, self.settings.endpoint.authority()))
    }
}

/// The whole body of an answer, of which there may be [`MAX_ANSWER_BYTES`].
fn text(mut body: Body) -> Result<String, ureq::Error> {
    body.with_config().limit(MAX_ANSWER_BYTES).read_to_string()
}
