//! A simulated Bluesky Jetstream: events over WebSocket, kept for those who come back with a cursor.
//!
//! What happens is a script of [`Event`]s, played at a pace from the first connection on, whether or not a client is there at the time: one
//! that was away asks for what it missed.

use std::collections::VecDeque;
use std::io;
use std::net::TcpStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tungstenite::{Message, WebSocket};

use crate::posts::{Author, Post};
use crate::server::Server;

const PATH: &str = "/subscribe";
const COLLECTION: &str = "app.bsky.feed.post";

/// How long a client may take to answer a ping.
const PONG_TIMEOUT: Duration = Duration::from_secs(5);

/// How long one look for something to do takes, if there is nothing.
const LOOK: Duration = Duration::from_millis(5);

/// How the simulated server behaves throughout.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The time between two events of the script.
    pub pace: Duration,
    /// The time between two pings.
    pub ping: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            pace: Duration::ZERO,
            ping: Duration::from_secs(30),
        }
    }
}

/// One step of the script.
#[derive(Clone, Debug)]
pub enum Event {
    /// Somebody wrote a post.
    Post(Post),
    /// Somebody deleted a post.
    Delete(Post),
    /// Somebody changed their handle.
    Identity(&'static Author),
    /// Somebody's account changed.
    Account(&'static Author),
    /// The server closes every connection.
    Disconnect,
    /// The server sends nothing more on the connections there are, and answers no ping.
    GoSilent,
}

/// The simulated server. Ends, with every connection, when dropped.
#[derive(Debug)]
pub struct Jetstream {
    server: Server,
    stream: Arc<Stream>,
}

#[derive(Debug)]
struct Stream {
    settings: Settings,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    script: VecDeque<Event>,
    history: Vec<Happened>,
    /// When the last step was played; `None` before the first connection.
    played: Option<Instant>,
    /// Connections with a smaller number are closed, once they got so much of the history.
    closed_below: (u64, usize),
    /// Connections with a smaller number get nothing more.
    silent_below: u64,
    connections: u64,
    cursors: Vec<Option<u64>>,
    sent: Vec<Post>,
}

#[derive(Clone, Debug)]
struct Happened {
    time_us: u64,
    /// In the collection of posts, which clients ask for; the others come to everybody.
    post: Option<Post>,
    frame: String,
}

impl Jetstream {
    /// Serves with an empty script.
    ///
    /// # Errors
    /// If no port can be listened on.
    pub fn start(settings: Settings) -> io::Result<Self> {
        let stream = Arc::new(Stream {
            settings,
            state: Mutex::default(),
        });
        let serving = Arc::clone(&stream);
        let server = Server::start(move |socket| {
            // A client that goes away is no matter of the server's.
            let _ = serving.serve(socket);
        })?;
        Ok(Self { server, stream })
    }

    /// For JETSTREAM_URL.
    pub fn url(&self) -> String {
        format!("ws://{}", self.server.address())
    }

    /// Appends to the script.
    pub fn play(&self, events: impl IntoIterator<Item = Event>) {
        self.stream.state().script.extend(events);
    }

    /// The posts sent, each as often as it was sent.
    pub fn sent(&self) -> Vec<Post> {
        self.stream.state().sent.clone()
    }

    /// The cursor each connection came with, in microseconds.
    pub fn cursors(&self) -> Vec<Option<u64>> {
        self.stream.state().cursors.clone()
    }
}

/// The key under which an author's post is kept, and the id it has in the table.
pub fn record_key(post: &Post) -> String {
    key(post.id)
}

impl Stream {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, socket: TcpStream) -> Result<(), tungstenite::Error> {
        let mut cursor = None;
        let mut wants_posts = true;
        #[expect(clippy::result_large_err, reason = "the library asks for this type")]
        let accept = |request: &Request, response: Response| {
            if request.uri().path() != PATH {
                let mut not_found = ErrorResponse::new(Some("not found".to_owned()));
                *not_found.status_mut() = tungstenite::http::StatusCode::NOT_FOUND;
                return Err(not_found);
            }
            let query = request.uri().query().unwrap_or_default();
            let mut wanted = Vec::new();
            for (name, value) in query.split('&').filter_map(|part| part.split_once('=')) {
                match name {
                    "cursor" => cursor = value.parse().ok(),
                    "wantedCollections" => wanted.push(value),
                    _ => {}
                }
            }
            wants_posts = wanted.is_empty() || wanted.contains(&COLLECTION);
            Ok(response)
        };
        let Ok(client) = tungstenite::accept_hdr(socket, accept) else {
            return Ok(());
        };
        client.get_ref().set_read_timeout(Some(LOOK))?;
        let (number, next) = self.state().connect(cursor);
        let mut connection = Connection {
            stream: self,
            client,
            number,
            next,
            wants_posts,
            pinged: Instant::now(),
            answered: true,
        };
        connection.run()
    }
}

struct Connection<'a> {
    stream: &'a Stream,
    client: WebSocket<TcpStream>,
    number: u64,
    /// The next event of the history.
    next: usize,
    wants_posts: bool,
    pinged: Instant,
    answered: bool,
}

impl Connection<'_> {
    fn run(&mut self) -> Result<(), tungstenite::Error> {
        loop {
            let (due, closed) = self.stream.state().due(self, self.stream.settings.pace);
            for happened in due {
                self.next += 1;
                self.send(happened)?;
            }
            if closed {
                self.client.close(None)?;
                return self.client.flush();
            }
            self.keep_alive()?;
            self.listen()?;
        }
    }

    fn send(&mut self, happened: Happened) -> Result<(), tungstenite::Error> {
        if happened.post.is_some() && !self.wants_posts {
            return Ok(());
        }
        self.client.send(Message::text(happened.frame))?;
        self.stream.state().sent.extend(happened.post);
        Ok(())
    }

    fn keep_alive(&mut self) -> Result<(), tungstenite::Error> {
        let since = self.pinged.elapsed();
        if since >= self.stream.settings.ping {
            self.pinged = Instant::now();
            self.answered = false;
            return self.client.send(Message::Ping(Vec::new().into()));
        }
        if !self.answered && since >= PONG_TIMEOUT {
            return Err(tungstenite::Error::ConnectionClosed);
        }
        Ok(())
    }

    /// Reads what the client sends, for a moment.
    fn listen(&mut self) -> Result<(), tungstenite::Error> {
        match self.client.read() {
            Ok(Message::Pong(_)) => self.answered = true,
            Ok(_) => {}
            Err(tungstenite::Error::Io(error))
                if matches!(
                    error.kind(),
                    io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
                ) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

impl State {
    /// The number of a new connection, and the event it begins with: the first at its cursor, or the next to happen.
    fn connect(&mut self, cursor: Option<u64>) -> (u64, usize) {
        self.cursors.push(cursor);
        self.connections += 1;
        self.played.get_or_insert_with(Instant::now);
        let next = match cursor {
            Some(cursor) => self.history.partition_point(|event| event.time_us < cursor),
            None => self.history.len(),
        };
        (self.connections, next)
    }

    /// What a connection is to get now, and whether it is to be closed then.
    fn due(&mut self, connection: &Connection<'_>, pace: Duration) -> (Vec<Happened>, bool) {
        self.play(pace);
        let (closed_below, closed_at) = self.closed_below;
        let closed = connection.number < closed_below;
        let end = match closed {
            _ if connection.number < self.silent_below => connection.next,
            true => closed_at.max(connection.next),
            false => self.history.len(),
        };
        (self.history[connection.next..end].to_vec(), closed)
    }

    /// Plays the steps that are due. A disconnect waits until there is somebody to disconnect.
    fn play(&mut self, pace: Duration) {
        while let Some(played) = self.played
            && played.elapsed() >= pace
            && !(matches!(self.script.front(), Some(Event::Disconnect))
                && self.connections < self.closed_below.0)
            && let Some(event) = self.script.pop_front()
        {
            self.played = Some(if pace.is_zero() {
                Instant::now()
            } else {
                played + pace
            });
            self.happen(event);
        }
        if self.script.is_empty() && self.played.is_some() {
            // Nothing was due in the meantime.
            self.played = Some(Instant::now());
        }
    }

    fn happen(&mut self, event: Event) {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        // No two events happen at the same time.
        let last = self.history.last().map_or(0, |event| event.time_us);
        let time_us = (now.as_micros() as u64).max(last + 1);
        let (post, author, kind, content) = match event {
            Event::Post(post) => {
                let commit = commit(&post, time_us);
                (Some(post.clone()), post.author, "commit", commit)
            }
            Event::Delete(post) => {
                let commit = json!({
                    "rev": key(time_us),
                    "operation": "delete",
                    "collection": COLLECTION,
                    "rkey": record_key(&post),
                });
                (None, post.author, "commit", commit)
            }
            Event::Identity(author) => {
                let handle = format!("{}.bsky.social", author.username.replace('_', "-"));
                (
                    None,
                    author,
                    "identity",
                    json!({ "did": did(author), "handle": handle, "seq": time_us }),
                )
            }
            Event::Account(author) => (
                None,
                author,
                "account",
                json!({ "did": did(author), "active": true, "seq": time_us }),
            ),
            Event::Disconnect => {
                self.closed_below = (self.connections + 1, self.history.len());
                return;
            }
            Event::GoSilent => {
                self.silent_below = self.connections + 1;
                return;
            }
        };
        let mut frame = json!({ "did": did(author), "time_us": time_us, "kind": kind });
        frame[kind] = content;
        self.history.push(Happened {
            time_us,
            post,
            frame: frame.to_string(),
        });
    }
}

fn commit(post: &Post, time_us: u64) -> Value {
    let created_at = chrono::DateTime::<chrono::Utc>::from(post.created_at);
    json!({
        "rev": key(time_us),
        "operation": "create",
        "collection": COLLECTION,
        "rkey": record_key(post),
        "record": {
            "$type": COLLECTION,
            "createdAt": created_at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true),
            "langs": [post.lang],
            "text": post.text,
        },
        "cid": format!("bafyrei{}", key(post.id).repeat(4)),
    })
}

fn did(author: &Author) -> String {
    let mixed = author.id.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let half = |number| base32(number >> 4, 12);
    format!("did:plc:{}{}", half(mixed), half(mixed.swap_bytes()))
}

/// A key of AT Protocol: 13 digits, which sort as the numbers do.
fn key(number: u64) -> String {
    base32(number, 13)
}

/// `number` in so many digits of AT Protocol's alphabet.
fn base32(number: u64, digits: u32) -> String {
    const ALPHABET: &[u8; 32] = b"234567abcdefghijklmnopqrstuvwxyz";
    let digit = |n: u32| char::from(ALPHABET[(number >> (5 * n) & 31) as usize]);
    (0..digits).rev().map(digit).collect()
}
