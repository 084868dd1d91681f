//! The open stream: plays the script to its client, and notices when the client is gone.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::PoisonError;
use std::time::{Duration, Instant, SystemTime};

use serde_json::json;

use super::wire::Fields;
use super::{Api, Event};
use crate::http::Request;
use crate::posts::Post;

/// How often an idle stream looks whether its client is still there.
const LOOK: Duration = Duration::from_millis(20);

/// Why a stream is not to go on.
enum End {
    /// The server closes it.
    Closed,
    /// The client is gone, or the connection broke.
    Lost,
}

impl From<io::Error> for End {
    fn from(_: io::Error) -> Self {
        Self::Lost
    }
}

impl Api {
    /// Plays the script to the client until either ends the connection.
    pub(super) fn stream(
        &self,
        number: u64,
        request: &Request,
        socket: &TcpStream,
    ) -> io::Result<()> {
        let mut open = Open {
            api: self,
            number,
            socket,
            fields: Fields::of(request, self.settings.renamed),
            written: Instant::now(),
        };
        let remaining = self
            .settings
            .connect_limit
            .saturating_sub(self.state().connects.len());
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json; charset=utf-8\r\ntransfer-encoding: chunked\r\n\
             date: {}\r\nx-rate-limit-limit: {}\r\nx-rate-limit-remaining: {remaining}\r\n\r\n",
            httpdate::fmt_http_date(SystemTime::now()),
            self.settings.connect_limit,
        );
        let result = (&mut &*socket).write_all(head.as_bytes());
        if result.is_ok() && matches!(open.play(), End::Closed) {
            // The chunk that says the body is complete.
            let _ = (&mut &*socket).write_all(b"0\r\n\r\n");
        }
        let mut state = self.state();
        if state.streaming == Some(number) {
            state.streaming = None;
        }
        result
    }
}

struct Open<'a> {
    api: &'a Api,
    number: u64,
    socket: &'a TcpStream,
    fields: Fields,
    /// When the last byte went out.
    written: Instant,
}

impl Open<'_> {
    fn play(&mut self) -> End {
        loop {
            let step = self.next_event().and_then(|event| match event {
                Some(event) => self.perform(event),
                None => self.keep_alive(),
            });
            if let Err(end) = step {
                return end;
            }
        }
    }

    /// The next event of the script; `None` when it is time for a keep-alive.
    fn next_event(&mut self) -> Result<Option<Event>, End> {
        let due = Instant::now() + self.api.settings.pace;
        let mut state = self.api.state();
        loop {
            if state.streaming != Some(self.number) {
                return Err(End::Closed);
            }
            let now = Instant::now();
            if now >= due
                && let Some(event) = state.script.pop_front()
            {
                return Ok(Some(event));
            }
            if self.written.elapsed() >= self.api.settings.keep_alive {
                return Ok(None);
            }
            let pause = match due.saturating_duration_since(now) {
                Duration::ZERO => LOOK,
                until_due => until_due.min(LOOK),
            };
            state = self
                .api
                .changed
                .wait_timeout(state, pause)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
            if self.client_is_gone() {
                return Err(End::Lost);
            }
        }
    }

    fn perform(&mut self, event: Event) -> Result<(), End> {
        match event {
            Event::Post(post) => {
                let result = self.post(&post);
                if result.is_err() {
                    // It did not go out whole, so it is the next one's to get.
                    self.api.state().script.push_front(Event::Post(post));
                }
                result
            }
            Event::Live(post) => self.post(&post),
            Event::Disconnect => Err(End::Closed),
            Event::CutHalfway => {
                let next = self.api.state().script.front().cloned();
                let line = match &next {
                    Some(Event::Post(post) | Event::Live(post)) => self.line(post),
                    _ => None,
                };
                if let Some(line) = line {
                    self.write(&line[..line.len() / 2])?;
                }
                Err(End::Lost)
            }
            Event::OperationalDisconnect => {
                let error = json!({ "errors": [{
                    "title": "operational-disconnect",
                    "disconnect_type": "UpstreamOperationalDisconnect",
                    "detail": "This stream has been disconnected upstream for operational reasons.",
                    "type": "https://api.twitter.com/2/problems/operational-disconnect",
                }]});
                self.write(format!("{error}\r\n").as_bytes())?;
                Err(End::Closed)
            }
            Event::GoSilent => self.stay_silent(),
            Event::Line(line) => self.write(format!("{line}\r\n").as_bytes()),
        }
    }

    fn post(&mut self, post: &Post) -> Result<(), End> {
        let Some(line) = self.line(post) else {
            return Ok(());
        };
        self.write(&line)?;
        let mut state = self.api.state();
        state.posted.insert(post.id, post.clone());
        state.sent.push(post.clone());
        Ok(())
    }

    /// The post's line, if a rule wants it.
    fn line(&self, post: &Post) -> Option<Vec<u8>> {
        let state = self.api.state();
        let wanting: Vec<_> = state
            .rules
            .iter()
            .filter(|rule| rule.matches(post))
            .collect();
        (!wanting.is_empty()).then(|| self.fields.line(post, &wanting))
    }

    fn keep_alive(&mut self) -> Result<(), End> {
        self.write(b"\r\n")
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), End> {
        for piece in bytes.chunks(self.api.settings.write_bytes) {
            let mut chunk = format!("{:x}\r\n", piece.len()).into_bytes();
            chunk.extend(piece);
            chunk.extend(b"\r\n");
            self.socket.write_all(&chunk)?;
        }
        self.written = Instant::now();
        Ok(())
    }

    fn stay_silent(&mut self) -> Result<(), End> {
        while !self.client_is_gone() {
            if self.api.state().streaming != Some(self.number) {
                return Err(End::Closed);
            }
            std::thread::sleep(LOOK);
        }
        Err(End::Lost)
    }

    /// A client sends nothing after its request: what can be read is the end.
    fn client_is_gone(&self) -> bool {
        let mut socket = self.socket;
        let gone = socket
            .set_nonblocking(true)
            .and_then(|()| socket.read(&mut [0]));
        let _ = socket.set_nonblocking(false);
        !matches!(gone, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }
}
