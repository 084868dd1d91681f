//! A network between two programs that can be cut, and restored.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::server::Server;

/// How long an answer may take that a call sent before the cut still waits for.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// An answer is over when it was followed by so much silence.
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
    /// Connections on which a call waits for its answer, or the answer was not over yet when last seen, and when that was.
    busy: Vec<(u64, Instant, bool)>,
}

impl Network {
    /// A way to `server`, not cut.
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
            // An end that goes away is no matter of the network's.
            let _ = forward(client, server, &ours, number);
            lock(&ours).busy.retain(|(busy, ..)| *busy != number);
        })?;
        Ok(Self { server, wire })
    }

    /// The way in.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Cuts every connection and refuses new ones. Calls under way get their answer first: one that was accepted and never answered would
    /// have to be repeated, and here what is sent twice is to be counted against the sender.
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

    /// Lets new connections through again. What was sent into the cut network, even by a program that is gone by now, never arrives.
    pub fn restore(&self) -> io::Result<()> {
        // Connections are accepted in their order: once this one is closed, all older ones are accepted, and soon refused.
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

/// Copies until either end is gone, or `passes` stops it.
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
    /// Bytes of a call want to pass.
    fn call(&mut self, number: u64) -> bool {
        if !self.cut {
            self.seen(number, true);
        }
        !self.cut
    }

    /// Bytes of an answer want to pass.
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
