//! Posts of X, through the filtered stream of its API v2 (X developer platform, "Filtered Stream").
//!
//! A session gets a token for the keys ([`token`]), sets the keyword's rule and removes older ones ([`rules`]), and opens one connection, which brings
//! one JSON object a line ([`message`]). The failure that ends a session is classified ([`outcome`]), and the next session begins on the schedule of
//! that class.
//!
//! Posts that were written while no stream was open are a [`gap`]. A thread of its own fills it from the recent [`search`] ([`filler`]) while the
//! stream is read.

mod budget;
mod client;
mod filler;
mod gap;
mod ids;
pub(crate) mod message;
mod outcome;
mod progress;
mod rules;
mod search;
mod settings;
mod token;

use std::convert::Infallible;
use std::io::Read;
use std::thread;
use std::time::Duration;

use anyhow::Context;
use log::{Level, debug, info, warn};
use ureq::http::Method;

use self::client::{Client, POST_FIELDS, SILENCE};
use self::filler::Filler;
use self::message::Message;
use self::outcome::{ApiError, NoPage};
use self::progress::Progress;
pub use self::settings::{Auth, SEARCH_DELAY, Settings};
use crate::post::record::Unfit;
use crate::source::retry::{Backoff, Failure, In};
use crate::source::split::{LineSplitter, Next};
use crate::source::wire::Watch;
use crate::source::{Feed, Source, Stopped};

/// A connection is healthy after this time, even without posts: keep-alives came.
const PROVEN: Duration = Duration::from_secs(30);

/// The path of the filtered stream.
const STREAM_PATH: &str = "/2/tweets/search/stream";

/// While the day's posts are used up, the clock is checked this often: it may be set meanwhile.
const LOOK_AGAIN: Duration = Duration::from_secs(10 * 60);

/// The fact that a connection is open. After a crash the program may end its own old connection at X, but not one of another program.
const OPEN_FACT: &str = "x.open";

/// The source: the filtered stream, and the search that fills its gaps.
#[derive(Debug)]
pub struct X {
    settings: Settings,
}

impl X {
    /// A source that connects when it is run.
    pub fn new(settings: Settings) -> Self {
        Self { settings }
    }
}

impl Source for X {
    fn run(&mut self, feed: &Feed) -> anyhow::Result<()> {
        let progress = Progress::new(&self.settings, feed);
        thread::scope(|scope| {
            if self.settings.gap_at_most.is_some() {
                let mut filler = Filler::new(&self.settings, feed, &progress);
                thread::Builder::new()
                    .name("gaps".to_owned())
                    .spawn_scoped(scope, move || filler.run())
                    .context("no thread can be started")?;
            }
            let Err(Stopped) = Reader::new(&self.settings, feed, &progress).keep_reading();
            progress.end();
            Ok(())
        })
    }

    fn check(&self) -> anyhow::Result<String> {
        let mut client = Client::new(&self.settings, Watch::of_check());
        let fits = client.authorize().and_then(|()| rules::fit(&client));
        let rule = match fits {
            Ok(true) => "has the keyword's rule",
            Ok(false) => "gets the keyword's rule at the start",
            Err(trouble) => anyhow::bail!(client.in_words(trouble)),
        };
        let gaps = match self.settings.gap_at_most {
            None => "",
            Some(_) => match client.search(&search::path_of_check(&self.settings.rule())) {
                Ok(_) => "; the plan has the search, which fetches posts of an outage",
                Err(NoPage::NotAllowed(_) | NoPage::TooOld) => {
                    "; the plan does not have the search for this keyword: \
                     posts of an outage are lost, counted and logged"
                }
                Err(NoPage::Trouble(_)) => {
                    "; X does not say now whether the plan has the search, which fetches posts of an outage"
                }
            },
        };
        Ok(format!("X accepts the keys and {rule}{gaps}"))
    }
}

/// The state of reading the stream.
struct Reader<'a> {
    feed: &'a Feed,
    client: Client<'a>,
    lines: LineSplitter,
    backoff: Backoff,
    progress: &'a Progress<'a>,
    tag: String,
    /// Whether X is known to have this keyword's rule and no older one.
    rules_fit: bool,
    /// Whether a connection was open before.
    was_open: bool,
    /// Whether X was asked to end an earlier connection since a connection was last open.
    evicted: bool,
}

/// Why a session ended without a failure.
enum Ended {
    /// The day's posts are used up (`--max-per-day`).
    DayIsFull,
    /// The program is ending.
    Stopped,
}

impl<'a> Reader<'a> {
    fn new(settings: &'a Settings, feed: &'a Feed, progress: &'a Progress<'a>) -> Self {
        Self {
            feed,
            client: Client::new(settings, Watch::new(feed, SILENCE)),
            // A post's key and line must fit into one record, so a longer line cannot be used.
            lines: LineSplitter::new(feed.max_record_bytes),
            backoff: Backoff::new("x.backoff"),
            progress,
            tag: settings.filter.tag(),
            rules_fit: false,
            was_open: false,
            evicted: false,
        }
    }

    fn keep_reading(&mut self) -> Result<Infallible, Stopped> {
        info!("{}", self.progress.lock().budget.price());
        self.backoff.resume(self.feed)?;
        loop {
            self.wait_for_tomorrow()?;
            self.backoff.attempt(self.feed);
            let result = self.session();
            self.progress.closed();
            self.progress.lock().budget.save(self.feed);
            match result {
                Err(trouble) if !self.feed.stop.asked() => self.recover(trouble)?,
                ended => {
                    // The session has closed its connection.
                    self.backoff.ended(self.feed);
                    self.feed.state.set(OPEN_FACT, false);
                    if !matches!(ended, Ok(Ended::DayIsFull)) {
                        return Err(Stopped);
                    }
                }
            }
        }
    }

    /// Waits for the next day if this day's posts are used up.
    fn wait_for_tomorrow(&self) -> Result<(), Stopped> {
        let mut is_told = false;
        loop {
            let full = self.progress.lock().budget.full(self.feed);
            let Some((posts, left)) = full else {
                return Ok(());
            };
            if !is_told {
                is_told = true;
                warn!(
                    "all {posts} posts of today are read (--max-per-day); \
                     reading continues at 00:00 UTC, in {} h {} min",
                    left.as_secs() / 3600,
                    left.as_secs() / 60 % 60
                );
                // After a power cut the posts must still count as read.
                self.feed.state.save();
            }
            self.feed.sleep(left.min(LOOK_AGAIN))?;
        }
    }

    /// Gets a token, sets the rule, opens the stream, and reads it until it ends.
    fn session(&mut self) -> Result<Ended, ApiError> {
        self.client.authorize()?;
        if !self.rules_fit {
            let id = rules::reconcile(&self.client)?;
            self.progress.lock().rule_id = id;
            self.rules_fit = true;
        }
        let path = format!("{STREAM_PATH}?{POST_FIELDS}");
        let (stream, date) = self.client.open(&path)?;
        let mut stream = stream.into_reader();
        self.progress.opened(date);
        self.client.accepted();
        self.evicted = false;
        self.feed.state.set(OPEN_FACT, true);
        if std::mem::replace(&mut self.was_open, true) {
            self.feed.counters.reconnects.add(1);
        }
        info!(
            "reading posts about {} from {}",
            self.client.settings.filter.keyword(),
            self.client.settings.endpoint.authority()
        );
        self.read(&mut stream)
    }

    /// Reads lines until the stream ends.
    fn read(&mut self, stream: &mut impl Read) -> Result<Ended, ApiError> {
        let cut = self.lines.clear();
        if cut > 0 {
            debug!("the last connection ended {cut} bytes into a line");
        }
        let opened = self.feed.clock.elapsed();
        let mut is_proven = false;
        loop {
            let next = self.lines.next(stream);
            if !is_proven && self.feed.clock.elapsed().saturating_sub(opened) >= PROVEN {
                is_proven = true;
                self.backoff.healthy(self.feed);
            }
            let line = match next.map_err(|error| self.client.broken(error))? {
                Next::Line { line: b"", .. } => {
                    self.progress.quiet();
                    continue;
                }
                Next::Line { line, .. } => line,
                Next::TooLong(bytes) => {
                    let why = Unfit::TooLarge(bytes as usize, self.feed.max_record_bytes);
                    self.feed.unusable("a post", why);
                    continue;
                }
                Next::End => return Err(ApiError::Network("X ended the stream".to_owned())),
            };
            let post = match message::parse(line) {
                Ok(Message::Post(post)) => post,
                Ok(Message::ApiError(trouble)) => return Err(trouble),
                Ok(Message::Other) => {
                    debug!("X sent a message of a kind unknown to this program");
                    continue;
                }
                Err(error) => {
                    self.feed.unusable("a line of X", error);
                    continue;
                }
            };
            match self.progress.take(&post, line, post.is_tagged(&self.tag)) {
                Err(Stopped) => return Ok(Ended::Stopped),
                Ok(true) => return Ok(Ended::DayIsFull),
                Ok(false) => {}
            }
        }
    }

    /// Reports a failure, does what can be done about it, and waits as its class requires.
    fn recover(&mut self, trouble: ApiError) -> Result<(), Stopped> {
        let mut asked = None;
        let (failure, what) = match trouble {
            ApiError::Network(what) => (Failure::Network, what),
            ApiError::Server(what) => (Failure::Server, what),
            ApiError::NoRules => {
                self.rules_fit = false;
                (Failure::Server, "X does not have the rule yet".to_owned())
            }
            ApiError::Limited { wait } => {
                asked = wait;
                (Failure::Limited, "X limits the rate of requests".to_owned())
            }
            ApiError::Occupied if self.may_evict() => return self.evict(),
            ApiError::Occupied => {
                let what = "X still counts an earlier connection, \
                    or another program reads with the same keys";
                (Failure::Limited, what.to_owned())
            }
            ApiError::Unauthorized if self.client.refused() => return Ok(()),
            ApiError::Unauthorized => (Failure::Person, self.client.refusal()),
            ApiError::Person(what) => (Failure::Person, what),
        };
        let pause = self.backoff.failed(self.feed, failure, asked);
        if failure == Failure::Person {
            let text = format!(
                "{what}; until then nothing is read, the next try is {}",
                In(pause)
            );
            self.feed.trouble(Level::Error, &text);
        } else {
            let text = format!("connecting again {}: {what}", In(pause));
            self.feed.trouble(Level::Warn, &text);
        }
        self.feed.sleep(pause)
    }

    /// Whether the connection that X still counts was this program's, and X was not yet asked to end it.
    fn may_evict(&self) -> bool {
        !self.evicted && self.feed.state.get(OPEN_FACT) == Some(true)
    }

    /// Asks X to end the connection of an earlier run, which X may otherwise count for minutes.
    fn evict(&mut self) -> Result<(), Stopped> {
        self.evicted = true;
        info!("X still counts this program's earlier connection: ending it");
        if let Err(trouble) = self.client.ask(Method::DELETE, "/2/connections/all", None) {
            debug!("it could not be ended: {trouble:?}");
        }
        self.feed.sleep(Failure::Server.pause(1))
    }
}
