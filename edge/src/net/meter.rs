//! Measures how much of a call has left the board, and whether anything still moves.
//!
//! A byte has left the board when the other end has acknowledged it (TCP ACK). Until then it waits in the kernel's send queue, for seconds on a
//! slow link. The length of that queue is in `/proc/self/net/tcp`; the ioctl TIOCOUTQ has it, too, but safe Rust cannot call it. It is read only
//! if a slice of a wait passed without a byte, a call broke, or a response came faster than any before on its connection, so hardly ever on a
//! healthy link. If it cannot be read, a byte counts as left when the kernel took it. With a proxy, the acknowledgements are the proxy's.

use std::fs::File;
use std::io::Read;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Timeouts of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// While its bytes leave: the longest time without progress.
    pub silence: Duration,
    /// After the last byte has left: the time for the whole response, even if bytes trickle in.
    pub answer: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            silence: Duration::from_secs(20),
            answer: Duration::from_secs(60),
        }
    }
}

impl Limits {
    /// The longest wait for the socket before progress is checked.
    pub fn slice(&self) -> Duration {
        (self.silence.min(self.answer) / 4).min(Duration::from_secs(1))
    }
}

/// What a call cost on the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// Bytes of the call, after encryption, that the other end has acknowledged. A handshake does not count.
    pub bytes: u64,
    /// Time from the call's first byte to the first byte of its response, or until it broke.
    pub took: Duration,
    /// Time to open its connection; `None` if the connection was reused.
    pub opening: Option<Duration>,
    /// All bytes in both directions, including a handshake if there was one. The headers of TCP and IP do not count.
    pub traffic: u64,
}

/// The traffic of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Life {
    /// Bytes of TLS and its contents, in both directions.
    pub bytes: usize,
    /// Time since the connection was requested.
    pub time: Duration,
}

/// How far a call got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// There was no connection yet. The server got nothing.
    Connecting,
    /// Some of its bytes had not left.
    Writing,
    /// All its bytes had left. The server may have executed the call.
    Waiting,
}

/// A call that broke. Unless it broke while connecting, it is unknown whether the server got the request.
#[derive(Debug)]
pub struct Broken {
    /// What it cost on the wire until then.
    pub sent: Sent,
    /// How far it got.
    pub phase: Phase,
    /// The error that broke it.
    pub error: ureq::Error,
}

/// Why a call is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Still {
    /// No byte left the board for this long.
    Silence,
    /// The response is incomplete after this long.
    Answer,
}

/// Counts the bytes of the current connection. The caller and the socket share it.
#[derive(Clone, Debug)]
pub struct Meter(Arc<Mutex<Figures>>);

#[derive(Debug)]
struct Figures {
    limits: Limits,
    phase: Phase,
    /// Bytes written to the kernel, and read from it, since the call began.
    written: u64,
    read: u64,
    /// The part of `written` that came before the call's first byte: a handshake.
    handshake: u64,
    /// Time to open a new connection.
    opening: Option<Duration>,
    /// When the call's first byte was written.
    begun: Instant,
    /// When the last byte is known to have left.
    moved: Instant,
    /// When the first byte of the response came.
    answered: Option<Instant>,
    /// The length of the send queue when it was last read. `None` if bytes were written since.
    queued: Option<u64>,
    /// The socket's inode.
    socket: u64,
    /// The shortest time on this connection from a call's last byte to its response. `None` before the first one.
    quickest: Option<Duration>,
}

impl Meter {
    /// A meter with these timeouts.
    pub fn new(limits: Limits) -> Self {
        let now = Instant::now();
        Self(Arc::new(Mutex::new(Figures {
            limits,
            phase: Phase::Connecting,
            written: 0,
            read: 0,
            handshake: 0,
            opening: None,
            begun: now,
            moved: now,
            answered: None,
            queued: None,
            socket: 0,
            quickest: None,
        })))
    }

    /// The timeouts.
    pub fn limits(&self) -> Limits {
        self.figures().limits
    }

    /// Starts a call, which may need a new connection first.
    pub fn begin(&self) {
        let mut figures = self.figures();
        figures.phase = Phase::Connecting;
        (figures.written, figures.read, figures.handshake) = (0, 0, 0);
        figures.begun = Instant::now();
        figures.moved = figures.begun;
        figures.answered = None;
        figures.queued = None;
    }

    /// Notes that there is a connection: bytes written from now on are the call's.
    pub fn connected(&self) {
        let mut figures = self.figures();
        figures.phase = Phase::Writing;
        figures.handshake = figures.written;
        let now = Instant::now();
        // A connection that was kept is greeted no more.
        figures.opening = (figures.handshake > 0).then(|| now.duration_since(figures.begun));
        figures.begun = now;
        figures.moved = figures.begun;
        figures.answered = None;
    }

    /// Notes the socket of a new connection.
    pub fn socket(&self, inode: u64) {
        let mut figures = self.figures();
        figures.socket = inode;
        figures.quickest = None;
    }

    /// Adds bytes that the kernel took.
    pub fn written(&self, bytes: usize) {
        let mut figures = self.figures();
        figures.written += bytes as u64;
        figures.moved = Instant::now();
        figures.queued = None;
    }

    /// Notes that the kernel has taken the whole output.
    pub fn waits(&self) {
        let mut figures = self.figures();
        if figures.phase == Phase::Writing {
            figures.phase = Phase::Waiting;
        }
    }

    /// Adds bytes that came in.
    pub fn read(&self, bytes: usize) {
        let mut figures = self.figures();
        figures.read += bytes as u64;
        figures.answered.get_or_insert_with(Instant::now);
    }

    /// Checks the timeout of the response, before more of it is awaited.
    ///
    /// # Errors
    ///
    /// The timeout has passed.
    pub fn in_time(&self) -> Result<(), Still> {
        let figures = self.figures();
        if figures.moved.elapsed() > figures.limits.answer {
            return Err(Still::Answer);
        }
        Ok(())
    }

    /// Checks the timeouts after a slice in which the kernel neither took nor gave a byte.
    ///
    /// # Errors
    ///
    /// A timeout has passed.
    pub fn stands_still(&self) -> Result<(), Still> {
        let mut figures = self.figures();
        let queued = unacknowledged(figures.socket);
        let now = Instant::now();
        match (figures.queued, queued) {
            // The progress since the last write is unknown: a queue that is not empty counts as progress.
            (None, Some(left)) if left > 0 => figures.moved = now,
            (Some(before), Some(left)) if left < before => figures.moved = now,
            _ => {}
        }
        figures.queued = queued;
        let still = now.duration_since(figures.moved);
        let leaves = figures.phase == Phase::Writing || queued.is_some_and(|left| left > 0);
        match (leaves, figures.limits) {
            (true, limits) if still > limits.silence => Err(Still::Silence),
            (false, limits) if still > limits.answer => Err(Still::Answer),
            _ => Ok(()),
        }
    }

    /// Whether the response that has just come cannot belong to this call, because the server has not acknowledged the whole call yet. It is then a
    /// late second response to the call before. A response to this call would acknowledge its last byte, too.
    pub fn is_early(&self) -> bool {
        let mut figures = self.figures();
        let took = figures.moved.elapsed();
        let Some(quickest) = figures.quickest.replace(took) else {
            // There is no call before the first one of a connection.
            return false;
        };
        if took >= quickest {
            figures.quickest = Some(quickest);
            return false;
        }
        unacknowledged(figures.socket).is_some_and(|left| left > 0)
    }

    /// What the call cost on the wire, after its response came.
    pub fn sent(&self) -> Sent {
        self.figures().sent(0)
    }

    /// The call as broken by `error`. Its socket must still be open.
    pub fn broken(&self, error: ureq::Error) -> Broken {
        let figures = self.figures();
        let queued = match figures.phase {
            Phase::Connecting => 0,
            _ => unacknowledged(figures.socket).unwrap_or_default(),
        };
        Broken {
            sent: figures.sent(queued),
            phase: match figures.phase {
                Phase::Waiting if queued > 0 => Phase::Writing,
                phase => phase,
            },
            error,
        }
    }

    fn figures(&self) -> MutexGuard<'_, Figures> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Figures {
    fn sent(&self, queued: u64) -> Sent {
        let calls = match self.phase {
            Phase::Connecting => 0,
            _ => self.written - self.handshake,
        };
        let until = self.answered.unwrap_or_else(Instant::now);
        Sent {
            bytes: calls.saturating_sub(queued),
            took: until.duration_since(self.begun),
            opening: self.opening,
            traffic: self.written + self.read,
        }
    }
}

/// Bytes in the send queue of the socket with this inode. `None` if the system does not say, or the connection is gone.
fn unacknowledged(inode: u64) -> Option<u64> {
    ["/proc/self/net/tcp", "/proc/self/net/tcp6"]
        .into_iter()
        .find_map(|table| queue_in(File::open(table).ok()?, inode))
}

/// The same from one table of the kernel, with one socket a line. It is read in pieces, so that nothing is allocated during a call.
fn queue_in(mut table: impl Read, inode: u64) -> Option<u64> {
    let mut buffer = [0; 4096];
    let mut filled = 0;
    loop {
        match table.read(&mut buffer[filled..]).ok()? {
            0 => return None,
            count => filled += count,
        }
        let lines = &buffer[..filled];
        let whole = memchr::memrchr(b'\n', lines).map_or(0, |end| end + 1);
        let found = std::str::from_utf8(&lines[..whole])
            .ok()?
            .lines()
            .find_map(|line| queue_of(line, inode));
        if found.is_some() {
            return found;
        }
        buffer.copy_within(whole..filled, 0);
        filled -= whole;
    }
}

/// The same from one line (`sl local remote st tx_queue:rx_queue tr:tm retrnsmt uid timeout inode ...`), if it has that inode.
fn queue_of(line: &str, inode: u64) -> Option<u64> {
    let mut fields = line.split_ascii_whitespace().skip(4);
    let (queued, _) = fields.next()?.split_once(':')?;
    let this: u64 = fields.nth(4)?.parse().ok()?;
    (this == inode)
        .then(|| u64::from_str_radix(queued, 16).ok())
        .flatten()
}

#[cfg(test)]
mod tests;
