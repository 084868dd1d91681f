//! Posts of Bluesky, through Jetstream: a WebSocket with one JSON event a message (the README of github.com/bluesky-social/jetstream, "Consuming
//! Jetstream"). It needs no account.
//!
//! The server keeps about 36 hours, and a connection can begin at any time in them. Every event carries its time, and the time of the last event is
//! the *cursor*. It is the position of each record, and is also kept as a fact now and then, because a keyword may match nothing for hours. Each
//! connection begins a few seconds before the cursor: a post that is read twice is stored once, one that is not read is lost.
//!
//! The cursor does not follow events from the future: after one server's mistake, every server would be asked for events it does not have yet. The
//! board's clock tells what is the future; while it is not set, the previous event's time does, because mistakes are single events.

pub(crate) mod event;

use std::convert::Infallible;
use std::time::Duration;

use log::{Level, debug, info, warn};
use tungstenite::client::IntoClientRequest;
use tungstenite::handshake::HandshakeError;
use tungstenite::http::{HeaderValue, StatusCode, header};
use tungstenite::protocol::WebSocketConfig;
use tungstenite::{Message, WebSocket};

use self::event::Event;
use crate::aws::clock;
use crate::net::agent::USER_AGENT;
use crate::net::endpoint::Endpoint;
use crate::net::explain;
use crate::net::roots::Roots;
use crate::net::unversioned::TransportAdapter;
use crate::post::filter::Filter;
use crate::post::record::Record;
use crate::source::retry::{Backoff, Failure, In};
use crate::source::wire::{self, Watch};
use crate::source::{AHEAD, Feed, Source, Stopped};

/// How long a server may be silent: it pings every 30 s.
const SILENCE: Duration = Duration::from_secs(60);

/// How far before the cursor a connection begins, in microseconds: events come slightly out of order, and servers differ slightly.
const REWIND_US: u64 = 5_000_000;

/// If the first event is this many microseconds after the cursor, the server no longer has the events between.
const GAP_US: u64 = 10 * 60 * 1_000_000;

/// [`AHEAD`], in microseconds.
const AHEAD_US: u64 = AHEAD.as_micros() as u64;

/// Bluesky has dozens of events a second, wanted or not. A server that sends none for this time is cut off from it, even if it pings.
const NO_EVENTS: Duration = Duration::from_secs(2 * 60);

/// How often the cursor is kept as a fact while no post matches.
const REMEMBER_EVERY: Duration = Duration::from_secs(30);

/// A connection is healthy after this many events.
const PROVEN_EVENTS: u32 = 100;

/// Bytes of the longest message. The server is asked to leave out messages longer than a record; this is for servers that cannot.
const MAX_MESSAGE_BYTES: usize = 8 << 20;

/// The fact that holds the cursor.
const CURSOR_FACT: &str = "jetstream.cursor";

/// The beginning of this source's positions; the cursor follows.
const POSITION_PREFIX: &str = "jetstream ";

/// Where to find Jetstream, and which posts are wanted.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Servers, such as `wss://jetstream2.us-east.bsky.network`. At least one.
    pub endpoints: Vec<Endpoint>,
    /// Which posts are wanted.
    pub filter: Filter,
    /// The trusted root certificates.
    pub roots: Roots,
}

/// The source: the stream of all posts, filtered on the board.
#[derive(Debug)]
pub struct Jetstream {
    settings: Settings,
}

impl Jetstream {
    /// A source that connects when it is run.
    pub fn new(settings: Settings) -> Self {
        Self { settings }
    }
}

impl Source for Jetstream {
    fn run(&mut self, feed: &Feed) -> anyhow::Result<()> {
        anyhow::ensure!(
            !self.settings.endpoints.is_empty(),
            "no Jetstream server is named: set JETSTREAM_URL"
        );
        let Err(Stopped) = Reader::new(&self.settings, feed).keep_reading();
        Ok(())
    }

    fn check(&self) -> anyhow::Result<String> {
        let Settings {
            endpoints, roots, ..
        } = &self.settings;
        let mut why = "no Jetstream server is named: set JETSTREAM_URL".to_owned();
        for endpoint in endpoints {
            let host = endpoint.authority();
            match wire::connect(roots, &Watch::of_check(), endpoint) {
                Ok(_) => return Ok(format!("{host} can be reached")),
                Err(error) => why = explain::explain(&error, host),
            }
        }
        anyhow::bail!(why)
    }
}

type Socket = WebSocket<TransportAdapter>;

/// Why a connection ended, in words.
type Trouble = (Failure, String);

/// The state of reading the stream.
struct Reader<'a> {
    settings: &'a Settings,
    feed: &'a Feed,
    backoff: Backoff,
    /// Whether a connection was open before.
    was_open: bool,
    /// The index of the server in use.
    host: usize,
    /// The time of the last event, in microseconds since 1970; 0 before the first one ever.
    cursor: u64,
    /// When the cursor was last kept as a fact.
    remembered: Duration,
    /// The time of the previous event, even if it was wrong.
    before: u64,
    /// Whether the connection is healthy.
    is_proven: bool,
    /// A buffer for a text with escapes.
    text: String,
}

impl<'a> Reader<'a> {
    fn new(settings: &'a Settings, feed: &'a Feed) -> Self {
        let position = feed.position();
        let in_spool = std::str::from_utf8(&position)
            .ok()
            .and_then(|position| position.strip_prefix(POSITION_PREFIX)?.parse().ok());
        let remembered = feed.state.get(CURSOR_FACT);
        Self {
            settings,
            feed,
            backoff: Backoff::new("jetstream.backoff"),
            was_open: false,
            host: 0,
            cursor: in_spool.max(remembered).unwrap_or(0),
            remembered: feed.clock.elapsed(),
            before: 0,
            is_proven: false,
            text: String::new(),
        }
    }

    fn keep_reading(&mut self) -> Result<Infallible, Stopped> {
        self.backoff.resume(self.feed)?;
        loop {
            self.is_proven = false;
            self.doubt_cursor();
            self.backoff.attempt(self.feed);
            let Err(ended) = self.session();
            self.remember();
            let (failure, what) = match ended {
                Ended::Trouble(trouble) if !self.feed.stop.asked() => trouble,
                _ => {
                    self.backoff.ended(self.feed);
                    return Err(Stopped);
                }
            };
            if !self.is_proven {
                self.host = (self.host + 1) % self.settings.endpoints.len();
            }
            let pause = self.backoff.failed(self.feed, failure, None);
            let text = format!("connecting again {}: {what}", In(pause));
            self.feed.trouble(Level::Warn, &text);
            self.feed.sleep(pause)?;
        }
    }

    /// Makes one connection, and reads from it until it ends.
    fn session(&mut self) -> Result<Infallible, Ended> {
        let endpoint = &self.settings.endpoints[self.host];
        let mut socket = self.open(endpoint)?;
        if std::mem::replace(&mut self.was_open, true) {
            self.feed.counters.reconnects.add(1);
        }
        info!(
            "reading posts about {} from {}",
            self.settings.filter.keyword(),
            endpoint.authority()
        );
        let result = self.read(&mut socket);
        if matches!(result, Err(Ended::Stopped)) || self.feed.stop.asked() {
            // Whether the close arrives or not, the connection ends.
            let _ = socket.close(None);
        }
        result
    }

    fn open(&self, endpoint: &Endpoint) -> Result<Socket, Trouble> {
        let host = endpoint.authority();
        let stream = wire::connect(
            &self.settings.roots,
            &Watch::new(self.feed, SILENCE),
            endpoint,
        )
        .map_err(|error| (Failure::Network, explain::explain(&error, host)))?;
        let max_bytes = MAX_MESSAGE_BYTES.max(self.feed.max_record_bytes);
        let config = WebSocketConfig::default()
            .read_buffer_size(16 << 10)
            .write_buffer_size(0)
            .max_frame_size(Some(max_bytes))
            .max_message_size(Some(max_bytes));
        let mut request = self.url(endpoint).into_client_request().map_err(|error| {
            (
                Failure::Server,
                format!("{endpoint} is no address of Jetstream: {error}; check JETSTREAM_URL"),
            )
        })?;
        request
            .headers_mut()
            .insert(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
        match tungstenite::client::client_with_config(request, stream, Some(config)) {
            Ok((socket, _)) => Ok(socket),
            Err(HandshakeError::Failure(error)) => Err(trouble(error, host)),
            Err(HandshakeError::Interrupted(_)) => {
                Err((Failure::Network, format!("{host} went silent")))
            }
        }
    }

    fn url(&self, endpoint: &Endpoint) -> String {
        let base = endpoint.as_str();
        let base = base.strip_suffix("/subscribe").unwrap_or(base);
        let from = match self.cursor {
            0 => String::new(),
            cursor => format!("&cursor={}", cursor.saturating_sub(REWIND_US)),
        };
        format!(
            "{base}/subscribe?wantedCollections=app.bsky.feed.post\
             &maxMessageSizeBytes={}{from}",
            self.feed.max_record_bytes
        )
    }

    /// Reads events until the connection ends.
    fn read(&mut self, socket: &mut Socket) -> Result<Infallible, Ended> {
        let host = self.settings.endpoints[self.host].authority();
        let asked = self.cursor;
        let mut events = 0_u32;
        let mut heard = self.feed.clock.elapsed();
        let mut is_cut_off = false;
        loop {
            // This also answers earlier pings.
            let text = match socket.read() {
                Ok(Message::Text(text)) => text,
                Ok(Message::Close(_)) => {
                    return Err(Trouble::from((
                        Failure::Network,
                        format!("{host} closed the stream"),
                    ))
                    .into());
                }
                Ok(_) => {
                    let silent = self.feed.clock.elapsed().saturating_sub(heard);
                    if silent >= NO_EVENTS && !std::mem::replace(&mut is_cut_off, true) {
                        self.cut_off(silent)?;
                    }
                    continue;
                }
                Err(error) => return Err(trouble(error, host).into()),
            };
            heard = self.feed.clock.elapsed();
            if std::mem::take(&mut is_cut_off) {
                self.feed.well();
            }
            let event = match event::parse(&text) {
                Ok(event) => event,
                Err(error) => {
                    self.feed.unusable("an event of Jetstream", error);
                    continue;
                }
            };
            let is_timely = self.is_timely(event.time_us);
            if is_timely && events == 0 && asked > 0 && event.time_us > asked.saturating_add(GAP_US)
            {
                let why = format!("{host} no longer has posts that are so old");
                self.feed.missed((asked / 1000, event.time_us / 1000), &why);
            }
            self.take(&event, is_timely, &text)?;
            events = events.saturating_add(u32::from(is_timely));
            if events == PROVEN_EVENTS {
                self.is_proven = true;
                self.backoff.healthy(self.feed);
            }
        }
    }

    /// Handles a server that pings, but has sent no event for this `long`: another one is tried, if there is any.
    fn cut_off(&mut self, long: Duration) -> Result<(), Trouble> {
        let host = self.settings.endpoints[self.host].authority();
        let minutes = long.as_secs() / 60;
        let what = format!("{host} pings, but has sent no event for {minutes} min");
        if self.settings.endpoints.len() > 1 {
            // Even if it was healthy before, another one is tried.
            self.is_proven = false;
            return Err((Failure::Network, what));
        }
        // The user's own server may have so few events.
        let text = format!("{what}: if that is unexpected, check where it gets its events from");
        self.feed.trouble(Level::Warn, &text);
        Ok(())
    }

    /// Whether an event of this time is not in the future, so that the cursor may follow it.
    fn is_timely(&mut self, time_us: u64) -> bool {
        let before = std::mem::replace(&mut self.before, time_us);
        let latest = self.now_us().unwrap_or(match before.max(self.cursor) {
            // There is nothing to compare the first event ever with. Its time is checked again when the clock is set.
            0 => u64::MAX,
            before => before,
        });
        time_us <= latest.saturating_add(AHEAD_US)
    }

    /// Discards a cursor of the future, which was taken from a wrong event before the clock was set.
    fn doubt_cursor(&mut self) {
        let latest = self.now_us().map(|now| now.saturating_add(AHEAD_US));
        if latest.is_some_and(|latest| self.cursor > latest) {
            warn!(
                "the position in the stream from an earlier run is in the future: reading begins with new posts"
            );
            self.cursor = 0;
        }
    }

    /// The time in microseconds since 1970, if the board's clock is set or the server's time is known.
    fn now_us(&self) -> Option<u64> {
        let is_set = !clock::is_unset(self.feed.clock.wall());
        let is_known = self.feed.counters.clock_offset_ms.get() != 0;
        (is_set || is_known).then(|| self.feed.now_ms().saturating_mul(1000))
    }

    /// Passes an event on if it is a wanted post.
    fn take(&mut self, event: &Event<'_>, is_timely: bool, line: &str) -> Result<(), Stopped> {
        if is_timely && event.time_us > 0 {
            // The rewind repeats old events, and a server may be behind: neither may set the cursor back.
            self.cursor = self.cursor.max(event.time_us);
            self.feed.happened(event.time_us / 1000);
        }
        if self.feed.stop.asked() {
            return Err(Stopped);
        }
        let now = self.feed.clock.elapsed();
        if now.saturating_sub(self.remembered) >= REMEMBER_EVERY {
            self.remember();
        }
        let Some(text) = event.post_text(&mut self.text) else {
            return Ok(());
        };
        if !self.settings.filter.matches(text) {
            self.feed.counters.filtered.add(1);
            return Ok(());
        }
        let mut position = heapless::String::<32>::new();
        // Cannot fail: a prefix and 20 digits fit.
        let _ = std::fmt::Write::write_fmt(
            &mut position,
            format_args!("{POSITION_PREFIX}{}", self.cursor),
        );
        match Record::new(&event.did, line.as_bytes(), self.feed.max_record_bytes) {
            Ok(record) => self.feed.put(record, position.as_bytes(), text),
            Err(unfit) => {
                self.feed.unusable("a post", unfit);
                Ok(())
            }
        }
    }

    fn remember(&mut self) {
        self.remembered = self.feed.clock.elapsed();
        if self.cursor > 0 {
            self.feed.state.set(CURSOR_FACT, self.cursor);
        }
    }
}

/// Why a session ended.
enum Ended {
    Stopped,
    Trouble(Trouble),
}

impl From<Stopped> for Ended {
    fn from(_: Stopped) -> Self {
        Self::Stopped
    }
}

impl From<Trouble> for Ended {
    fn from(trouble: Trouble) -> Self {
        Self::Trouble(trouble)
    }
}

fn trouble(error: tungstenite::Error, host: &str) -> Trouble {
    match error {
        tungstenite::Error::Io(error) => (
            Failure::Network,
            explain::explain(&ureq::Error::from(error), host),
        ),
        tungstenite::Error::Http(answer) => {
            let failure = match answer.status() {
                StatusCode::TOO_MANY_REQUESTS => Failure::Limited,
                _ => Failure::Server,
            };
            (
                failure,
                format!("{host} refuses the stream with status {}", answer.status()),
            )
        }
        error => {
            debug!("{error:?}");
            (
                Failure::Network,
                format!("the connection to {host} failed: {error}"),
            )
        }
    }
}
