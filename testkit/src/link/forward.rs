//! One connection on its way across the link: for each direction a thread that takes bytes, and one that delivers them when they arrive.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use socket2::SockRef;

use super::conditions::{Cut, End};
use super::model::Congestion;
use super::{Crossed, Shared, connect, lock};

/// Pieces on their way at once; more wait where they come from.
const PIECES: usize = 1_024;

/// How often a delivery that is not taken looks whether the connection still lives.
const LOOK: Duration = Duration::from_millis(100);

/// Whether a connection still lives, and how much of it may still cross.
#[derive(Debug)]
pub(super) struct Life {
    number: usize,
    opened: Duration,
    ends_at: Option<Duration>,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    cut: bool,
    directions: u8,
    bytes_left: u64,
}

#[derive(Clone, Copy)]
enum Direction {
    Up,
    Down,
}

/// Bytes, and when they arrive.
struct Piece {
    arrives: Duration,
    bytes: Vec<u8>,
}

impl Life {
    pub(super) fn new(number: usize, opened: Duration, cut: Option<Cut>) -> Self {
        let (ends_at, bytes_left) = match cut {
            Some(Cut::After(after)) => (Some(opened + after), u64::MAX),
            Some(Cut::Bytes(bytes)) => (None, bytes),
            None => (None, u64::MAX),
        };
        Self {
            number,
            opened,
            ends_at,
            state: Mutex::new(State {
                cut: false,
                directions: 2,
                bytes_left,
            }),
            changed: Condvar::new(),
        }
    }

    pub(super) fn cut(&self) {
        lock(&self.state).cut = true;
        self.changed.notify_all();
    }

    /// A direction is through.
    fn done(&self) {
        lock(&self.state).directions -= 1;
        self.changed.notify_all();
    }

    /// Waits until `moment`; false as soon as the connection is cut.
    fn wait_until(&self, moment: Duration, shared: &Shared) -> bool {
        let mut state = lock(&self.state);
        loop {
            let left = moment.saturating_sub(shared.now());
            if state.cut || left.is_zero() {
                return !state.cut;
            }
            let waited = self.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits for the connection's end; true if it was cut.
    fn wait(&self, shared: &Shared) -> bool {
        let mut state = lock(&self.state);
        while !state.cut && state.directions > 0 {
            state = match self.ends_at {
                None => self
                    .changed
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner),
                Some(end) => {
                    let left = end.saturating_sub(shared.now());
                    state.cut |= left.is_zero();
                    self.changed
                        .wait_timeout(state, left)
                        .unwrap_or_else(PoisonError::into_inner)
                        .0
                }
            };
        }
        self.changed.notify_all();
        state.cut
    }

    /// How many of `bytes` may still cross, and whether those are the last.
    fn allow(&self, bytes: usize) -> (usize, bool) {
        let mut state = lock(&self.state);
        let allowed = state.bytes_left.min(bytes as u64);
        state.bytes_left -= allowed;
        (allowed as usize, state.bytes_left == 0)
    }
}

/// Carries a connection until its end.
pub(super) fn serve(client: TcpStream, shared: &Shared, life: &Life) -> io::Result<()> {
    let server = connect(shared)?;
    for stream in [&client, &server] {
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(LOOK))?;
    }
    if !life.wait_until(life.opened + shared.conditions.round_trip(), shared) {
        return Ok(());
    }
    thread::scope(|scope| {
        for (direction, from, to) in [
            (Direction::Up, &client, &server),
            (Direction::Down, &server, &client),
        ] {
            let (into, out) = sync_channel(PIECES);
            scope.spawn(move || take(direction, from, &into, shared, life));
            scope.spawn(move || {
                if deliver(direction, to, &out, shared, life).is_err() {
                    // Nobody wants what still comes.
                    let _ = from.shutdown(Shutdown::Read);
                }
                life.done();
            });
        }
        if life.wait(shared) {
            lock(&shared.crossed)[life.number].cut = true;
            for stream in [&client, &server] {
                if shared.conditions.end == End::Reset {
                    // So that closing it sends RST, and no FIN before.
                    let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
                }
                let _ = stream.shutdown(Shutdown::Read);
            }
        }
    });
    Ok(())
}

/// Takes bytes as long as the link has room for them.
fn take(
    direction: Direction,
    mut from: &TcpStream,
    into: &SyncSender<Piece>,
    shared: &Shared,
    life: &Life,
) {
    let conditions = &shared.conditions;
    let bottleneck = match direction {
        Direction::Up => &shared.up,
        Direction::Down => &shared.down,
    };
    let mut congestion = Congestion::new(conditions.loss, conditions.round_trip(), conditions.rate);
    let mut buffer = vec![0; shared.piece_bytes()];
    loop {
        if !life.wait_until(congestion.next_at(), shared) {
            return;
        }
        let (room, room_at) = {
            let mut bottleneck = lock(bottleneck);
            (bottleneck.room(shared.now()), bottleneck.room_at())
        };
        if room == 0 {
            if !life.wait_until(room_at.unwrap_or_default(), shared) {
                return;
            }
            continue;
        }
        let room = room.min(buffer.len());
        let Ok(read @ 1..) = from.read(&mut buffer[..room]) else {
            return;
        };
        let sent = congestion.send(shared.now(), read, &mut || shared.random());
        if !life.wait_until(sent, shared) {
            return;
        }
        let arrives = lock(bottleneck).take(shared.now(), read) + conditions.delay;
        if into
            .send(Piece {
                arrives,
                bytes: buffer[..read].to_vec(),
            })
            .is_err()
        {
            return;
        }
    }
}

/// Delivers each piece when it arrives; once there are no more, tells the receiver so.
fn deliver(
    direction: Direction,
    to: &TcpStream,
    out: &Receiver<Piece>,
    shared: &Shared,
    life: &Life,
) -> io::Result<()> {
    for piece in out {
        if !life.wait_until(piece.arrives, shared) {
            return Err(ErrorKind::ConnectionAborted.into());
        }
        let (allowed, last) = life.allow(piece.bytes.len());
        write_all(to, &piece.bytes[..allowed], shared, life)?;
        let early = shared.now() - life.opened < Crossed::EARLY;
        let bytes = allowed as u64;
        {
            let crossed = &mut lock(&shared.crossed)[life.number];
            match direction {
                Direction::Up => crossed.up += bytes,
                Direction::Down => crossed.down += bytes,
            }
            crossed.early += if early { bytes } else { 0 };
        }
        if last {
            life.cut();
            return Err(ErrorKind::ConnectionAborted.into());
        }
    }
    // A connection that was cut has no end of its own.
    match life.wait_until(shared.now(), shared) {
        true => to.shutdown(Shutdown::Write),
        false => Err(ErrorKind::ConnectionAborted.into()),
    }
}

/// Writes all of it, however slowly it is taken, unless the connection is cut meanwhile.
fn write_all(mut to: &TcpStream, mut bytes: &[u8], shared: &Shared, life: &Life) -> io::Result<()> {
    while !bytes.is_empty() {
        match to.write(bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
                ) =>
            {
                if !life.wait_until(shared.now(), shared) {
                    return Err(ErrorKind::ConnectionAborted.into());
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
