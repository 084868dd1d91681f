//! A link between a program and a server on this machine, as good or bad as [`Conditions`] say: rate, delay, loss, a buffer in front of the
//! bottleneck, and connections that are cut. It counts what crosses it.
//!
//! It ends each TCP connection and opens another one to the server. What that means:
//!
//! - **The buffer acknowledges.** A byte the link has taken counts as sent and acknowledged for the sender's kernel, as behind the
//!   splitting proxies of mobile and satellite networks. So a sender cannot see the queue, not even by `TIOCOUTQ`: a harder case than a
//!   kernel's queue, for which there is a test with `tc`. Once the buffer is full the sender is slowed by back pressure (a few KiB
//!   of the link's own receive buffer come on top).
//! - **Loss is lateness**, see [`model::Congestion`]: the application never misses a byte. Slow start is not simulated.
//! - **A new connection** waits for one round trip before its first byte, as TCP's handshake does.
//! - **A cut** throws away what is on its way. Bytes count when they arrive; all connections share the rate, in the order of their bytes.
//! - A connection its sender closed delivers what is in the buffer all the same.

pub mod conditions;
mod forward;
pub mod model;

use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use socket2::{Domain, SockRef, Socket, Type};

pub use conditions::{Conditions, Cut, End};
use forward::Life;
use model::{Bottleneck, SEGMENT_BYTES};

/// The receive buffer of the link's own sockets, so that it is the simulated buffer that holds bytes back. The kernel doubles it.
const RECEIVE_BUFFER_BYTES: usize = 4 << 10;

/// A link to one server. Dropped, it closes every connection.
#[derive(Debug)]
pub struct Link {
    address: SocketAddr,
    listener: Arc<TcpListener>,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

/// What crossed the link on one connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Crossed {
    /// Bytes to the server.
    pub up: u64,
    /// Bytes to the program.
    pub down: u64,
    /// Of both, those of the connection's first two seconds: where little is sent at once, the size of the TLS handshake.
    pub early: u64,
    /// The link cut it.
    pub cut: bool,
}

impl Crossed {
    /// Bytes of a connection's beginning count as early for so long.
    pub const EARLY: Duration = Duration::from_secs(2);
}

#[derive(Debug)]
struct Shared {
    conditions: Conditions,
    server: SocketAddr,
    started: Instant,
    up: Mutex<Bottleneck>,
    down: Mutex<Bottleneck>,
    random: Mutex<u64>,
    /// By the order in which they were opened.
    crossed: Mutex<Vec<Crossed>>,
    lives: Mutex<Vec<Weak<Life>>>,
    ending: AtomicBool,
}

impl Link {
    /// A link to `server` under these conditions. `seed` decides which segments are lost.
    ///
    /// # Errors
    ///
    /// If this machine gives no port to listen on.
    pub fn to(server: SocketAddr, conditions: Conditions, seed: u64) -> io::Result<Self> {
        let listener = Arc::new(listen(&conditions)?);
        let address = listener.local_addr()?;
        let bottleneck = || Mutex::new(Bottleneck::new(conditions.rate, conditions.buffer_bytes));
        let shared = Arc::new(Shared {
            server,
            started: Instant::now(),
            up: bottleneck(),
            down: bottleneck(),
            random: Mutex::new(seed),
            crossed: Mutex::default(),
            lives: Mutex::default(),
            ending: AtomicBool::new(false),
            conditions,
        });
        let accepting = thread::spawn({
            let (shared, listener) = (Arc::clone(&shared), Arc::clone(&listener));
            move || accept(&listener, &shared)
        });
        Ok(Self {
            address,
            listener,
            shared,
            accepting: Some(accepting),
        })
    }

    /// The way in.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What crossed on each connection so far, in the order in which they were opened.
    pub fn crossed(&self) -> Vec<Crossed> {
        lock(&self.shared.crossed).clone()
    }

    /// Bytes that crossed so far, to the server and back.
    pub fn bytes(&self) -> u64 {
        lock(&self.shared.crossed)
            .iter()
            .map(|crossed| crossed.up + crossed.down)
            .sum()
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.shared.ending.store(true, Ordering::Release);
        // Wakes the thread that accepts.
        let _ = SockRef::from(&*self.listener).shutdown(Shutdown::Both);
        if let Some(accepting) = self.accepting.take() {
            let _ = accepting.join();
        }
        for life in lock(&self.shared.lives).iter().filter_map(Weak::upgrade) {
            life.cut();
        }
    }
}

impl Shared {
    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    /// The largest piece that crosses as one: a fiftieth of a second, at least a segment.
    fn piece_bytes(&self) -> usize {
        let rate = self.conditions.rate.unwrap_or(u64::MAX);
        ((rate / 50).min(64 << 10) as usize).max(SEGMENT_BYTES)
    }

    /// A number from 0 to 1 (SplitMix64).
    fn random(&self) -> f64 {
        let mut state = lock(&self.random);
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = *state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) as f64 / u64::MAX as f64
    }
}

fn listen(conditions: &Conditions) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    keep_small(&socket, conditions)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
    socket.listen(128)?;
    Ok(socket.into())
}

fn connect(shared: &Shared) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(shared.server), Type::STREAM, None)?;
    keep_small(&socket, &shared.conditions)?;
    socket.connect(&shared.server.into())?;
    Ok(socket.into())
}

/// What the kernel keeps for a socket is beside the simulated buffer: as little as works. Segments are those of Ethernet, not of loopback.
fn keep_small(socket: &Socket, conditions: &Conditions) -> io::Result<()> {
    if conditions.rate.is_some() {
        socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES)?;
        socket.set_tcp_mss(SEGMENT_BYTES as u32)?;
    }
    Ok(())
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for client in listener.incoming() {
        if shared.ending.load(Ordering::Acquire) {
            return;
        }
        let Ok(client) = client else { continue };
        let number = {
            let mut crossed = lock(&shared.crossed);
            crossed.push(Crossed::default());
            crossed.len() - 1
        };
        let life = Arc::new(Life::new(number, shared.now(), shared.conditions.cut));
        let mut lives = lock(&shared.lives);
        lives.retain(|life| life.strong_count() > 0);
        lives.push(Arc::downgrade(&life));
        let shared = Arc::clone(shared);
        // An end that goes away is no matter of the link's.
        thread::spawn(move || forward::serve(client, &shared, &life));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
