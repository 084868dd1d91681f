//! What a call put on the way, and whether it still moves.
//!
//! A byte has left the board when the other end has acknowledged it: until then it waits in the kernel's queue, for seconds on a slow link.
//! The length of that queue stands in `/proc/self/net/tcp` (as TIOCOUTQ would say, which safe Rust cannot ask for). It is read only once a
//! slice of a wait has passed without a byte, a call broke, or an answer came quicker than any before on its connection: a call over a
//! healthy link hardly ever reads it. Where it cannot be read, a byte counts as left when the kernel took it. Behind a proxy it says what the
//! proxy acknowledged.

use std::fs::File;
use std::io::Read;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long a call may stand still.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// While its bytes leave: the longest time in which none does.
    pub silence: Duration,
    /// After the last byte has left: the time for the whole answer, whatever trickles in.
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
    /// How long to wait for the socket before looking whether anything moves.
    pub fn slice(&self) -> Duration {
        (self.silence.min(self.answer) / 4).min(Duration::from_secs(1))
    }
}

/// What a call put on the way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// Bytes of the call, as TLS makes them, that the other end has acknowledged. Those of a handshake do not count.
    pub bytes: u64,
    /// From the call's first byte to the first one of its answer, or until it broke.
    pub took: Duration,
    /// How long it took to make its connection; `None` where that was there.
    pub opening: Option<Duration>,
    /// All bytes that it cost, both ways, with a handshake if there was one. Those of TCP and IP are not known.
    pub traffic: u64,
}

/// What a connection carried, and how long it has been open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Life {
    /// Bytes of TLS and what is in it, both ways.
    pub bytes: usize,
    /// Since the connection was asked for.
    pub time: Duration,
}

/// How far a call came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// There was no connection yet: the server got nothing of it.
    Connecting,
    /// Some bytes had not left.
    Writing,
    /// All bytes had left: the server may have taken the call.
    Waiting,
}

/// A call that broke. Unless it broke while connecting, whether the server got the request is unknown.
#[derive(Debug)]
pub struct Broken {
    /// What had left by then.
    pub sent: Sent,
    /// How far it came.
    pub phase: Phase,
    /// What broke it.
    pub error: ureq::Error,
}

/// Why a call ends that stands still.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Still {
    /// No byte left for so long.
    Silence,
    /// The answer is not whole after so long.
    Answer,
}

/// Counts the bytes of one connection after the other. Shared by the caller and the socket.
#[derive(Clone, Debug)]
pub struct Meter(Arc<Mutex<Figures>>);

#[derive(Debug)]
struct Figures {
    limits: Limits,
    phase: Phase,
    /// Bytes the kernel took, and gave, since the call began.
    written: u64,
    read: u64,
    /// The part of `written` that was there before the call's first byte.
    handshake: u64,
    /// How long a new connection took.
    opening: Option<Duration>,
    /// When the call's first byte was about to be written.
    begun: Instant,
    /// When the last byte left, as far as is known.
    moved: Instant,
    /// When the first byte of the answer came.
    answered: Option<Instant>,
    /// How many bytes had not left when that was last looked at; `None` when bytes were written since.
    queued: Option<u64>,
    /// The inode of the socket.
    socket: u64,
    /// The shortest time from a call's last byte to its answer on this connection; `None` before the first.
    quickest: Option<Duration>,
}

impl Meter {
    /// For calls within `limits`.
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

    /// The limits it watches.
    pub fn limits(&self) -> Limits {
        self.figures().limits
    }

    /// A call begins, which may need a new connection first.
    pub fn begin(&self) {
        let mut figures = self.figures();
        figures.phase = Phase::Connecting;
        (figures.written, figures.read, figures.handshake) = (0, 0, 0);
        figures.begun = Instant::now();
        figures.moved = figures.begun;
        figures.answered = None;
        figures.queued = None;
    }

    /// There is a connection: what is written from now on is the call.
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

    /// The socket of a new connection.
    pub fn socket(&self, inode: u64) {
        let mut figures = self.figures();
        figures.socket = inode;
        figures.quickest = None;
    }

    /// The kernel took so many bytes.
    pub fn written(&self, bytes: usize) {
        let mut figures = self.figures();
        figures.written += bytes as u64;
        figures.moved = Instant::now();
        figures.queued = None;
    }

    /// All that is to be written now is with the kernel.
    pub fn waits(&self) {
        let mut figures = self.figures();
        if figures.phase == Phase::Writing {
            figures.phase = Phase::Waiting;
        }
    }

    /// So many bytes came.
    pub fn read(&self, bytes: usize) {
        let mut figures = self.figures();
        figures.read += bytes as u64;
        figures.answered.get_or_insert_with(Instant::now);
    }

    /// Before more of an answer is waited for: fails when its time is over.
    pub fn in_time(&self) -> Result<(), Still> {
        let figures = self.figures();
        if figures.moved.elapsed() > figures.limits.answer {
            return Err(Still::Answer);
        }
        Ok(())
    }

    /// A slice has passed in which the kernel neither took nor gave a byte: fails when that lasts too long.
    pub fn stands_still(&self) -> Result<(), Still> {
        let mut figures = self.figures();
        let queued = unacknowledged(figures.socket);
        let now = Instant::now();
        match (figures.queued, queued) {
            // How far it came since the last write is not known: what is still there counts as moving.
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

    /// Whether the answer that has just come cannot be this call's, because the server does not have all of the call yet: it is a late
    /// second answer to the one before. What answers a call acknowledges its last byte, too.
    pub fn is_early(&self) -> bool {
        let mut figures = self.figures();
        let took = figures.moved.elapsed();
        let Some(quickest) = figures.quickest.replace(took) else {
            // The first call of a connection comes after no other.
            return false;
        };
        if took >= quickest {
            figures.quickest = Some(quickest);
            return false;
        }
        unacknowledged(figures.socket).is_some_and(|left| left > 0)
    }

    /// What the call put on the way, once its answer is there.
    pub fn sent(&self) -> Sent {
        self.figures().sent(0)
    }

    /// The call broke for this reason. Asked while its socket is still open.
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

/// How many bytes of the socket with this inode the other end has not acknowledged; `None` where the system does not say, or the connection
/// is gone.
fn unacknowledged(inode: u64) -> Option<u64> {
    ["/proc/self/net/tcp", "/proc/self/net/tcp6"]
        .into_iter()
        .find_map(|table| queue_in(File::open(table).ok()?, inode))
}

/// From a table of the kernel, a socket a line. Read piece by piece: nothing is allocated in the middle of a call.
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

/// From `sl local remote st tx_queue:rx_queue tr:tm retrnsmt uid timeout inode ...`, if it is that inode.
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
