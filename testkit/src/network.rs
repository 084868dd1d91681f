//! A network between two programs that can be cut and restored.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::server::Server;

/// How long a cut waits for the response to a call that was sent before it.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// Silence after which a response counts as complete.
const QUIET: Duration = Duration::from_millis(50);

/// Forwards every connection to one server, unless it is cut.
#[derive(Debug)]
pub struct Network {
    server: Server,
    wire: Arc<Mutex<Wire>>,
}

#[derive(Debug, Default)]
struct Wire {
    cut: bool,
    connections: u64,
    /// Connections with a call in flight or an incomplete response, and the time of their last byte.
    busy: Vec<(u64, Instant, bool)>,
}

impl Network {
    /// A network to `server`, not cut.
    ///
    /// # Errors
    /// If no port can be listened on.
    pub fn to(server: SocketAddr) -> io::Result<Self> {
        let wire = Arc::new(Mutex::new(Wire::default()));
        let ours = Arc::clone(&wire);
        let server = Server::start(move |client| {
            let number = {
                let mut wire = lock(&ours);
                wire.connections += 1;
                if wire.cut {
                    return;
                }
                wire.connections
            };
            // A peer that closes its connection is no error of the network.
            let _ = forward(client, server, &ours, number);
            lock(&ours).busy.retain(|(busy, ..)| *busy != number);
        })?;
        Ok(Self { server, wire })
    }

    /// Its address.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Cuts every connection and refuses new ones. Calls in flight get their response first: a call that was accepted but not answered would have to
    /// be repeated, and here every repeat is to count as the sender's fault.
    pub fn cut(&self) {
        lock(&self.wire).cut = true;
        let deadline = Instant::now() + ANSWER_TIMEOUT;
        let busy = || {
            let wire = lock(&self.wire);
            wire.busy
                .iter()
                .any(|(_, seen, waits)| *waits || seen.elapsed() < QUIET)
        };
        while busy() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(5));
        }
        self.break_off();
    }

    /// The same at once, whatever is under way: streams have no end to wait for.
    pub fn break_off(&self) {
        lock(&self.wire).cut = true;
        self.server.connections().close();
    }

    /// Accepts new connections again. What was sent while the network was cut never arrives, even if its program has ended since.
    ///
    /// # Errors
    /// If the network's own port cannot be reached.
    pub fn restore(&self) -> io::Result<()> {
        // Connections are accepted in order: once this one is closed, all older ones have been accepted and refused.
        let mut last = TcpStream::connect(self.address())?;
        let _ = last.read(&mut [0]);
        let accepted = self.server.accepted();
        while lock(&self.wire).connections < accepted {
            thread::sleep(Duration::from_millis(1));
        }
        lock(&self.wire).cut = false;
        Ok(())
    }
}

fn forward(
    client: TcpStream,
    server: SocketAddr,
    wire: &Mutex<Wire>,
    number: u64,
) -> io::Result<()> {
    let server = TcpStream::connect(server)?;
    server.set_nodelay(true)?;
    thread::scope(|scope| {
        scope.spawn(|| {
            let _ = pump(&client, &server, || lock(wire).call(number));
            let _ = server.shutdown(Shutdown::Write);
        });
        let _ = pump(&server, &client, || lock(wire).answer(number));
        let _ = client.shutdown(Shutdown::Both);
        let _ = server.shutdown(Shutdown::Both);
    });
    Ok(())
}

/// Copies until either end closes, or `passes` returns false.
fn pump(mut from: &TcpStream, mut to: &TcpStream, passes: impl Fn() -> bool) -> io::Result<()> {
    let mut buffer = [0; 64 << 10];
    loop {
        let read = from.read(&mut buffer)?;
        if read == 0 || !passes() {
            return Ok(());
        }
        to.write_all(&buffer[..read])?;
    }
}

impl Wire {
    /// Whether bytes of a call may pass.
    fn call(&mut self, number: u64) -> bool {
        if !self.cut {
            self.seen(number, true);
        }
        !self.cut
    }

    /// Whether bytes of a response may pass.
    fn answer(&mut self, number: u64) -> bool {
        self.seen(number, false);
        true
    }

    fn seen(&mut self, number: u64, waits: bool) {
        self.busy.retain(|(busy, ..)| *busy != number);
        self.busy.push((number, Instant::now(), waits));
    }
}

fn lock(wire: &Mutex<Wire>) -> MutexGuard<'_, Wire> {
    wire.lock().unwrap_or_else(PoisonError::into_inner)
}
