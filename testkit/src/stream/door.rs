//! A port of the stream's. Shut, it is a network that is gone: every connection ends, and new ones end at once.

use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use anyhow::Context;
use socket2::SockRef;

/// Hands each connection to a thread of its own. Dropped, it closes all of them.
#[derive(Debug)]
pub struct Door {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    listener: TcpListener,
    is_shut: AtomicBool,
    is_ending: AtomicBool,
    connections: Mutex<Vec<TcpStream>>,
}

impl Door {
    /// Listens at `address`, with `serve` for each connection.
    ///
    /// # Errors
    ///
    /// The address is not to be had.
    pub fn open(
        address: SocketAddr,
        serve: impl Fn(TcpStream) + Send + Sync + 'static,
    ) -> anyhow::Result<Self> {
        let listener =
            TcpListener::bind(address).with_context(|| format!("{address} is not to be had"))?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            listener,
            is_shut: AtomicBool::new(false),
            is_ending: AtomicBool::new(false),
            connections: Mutex::new(Vec::new()),
        });
        let accepting = thread::spawn({
            let shared = Arc::clone(&shared);
            move || shared.accept(&Arc::new(serve))
        });
        Ok(Self {
            address,
            shared,
            accepting: Some(accepting),
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends every connection, and those that come from now on.
    pub fn shut(&self) {
        self.shared.is_shut.store(true, Ordering::Release);
        self.shared.close();
    }

    /// Takes connections again.
    pub fn reopen(&self) {
        self.shared.is_shut.store(false, Ordering::Release);
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.shared.is_ending.store(true, Ordering::Release);
        // Wakes the thread that accepts; a connection to it would not, where the server listens in another network namespace.
        let _ = SockRef::from(&self.shared.listener).shutdown(Shutdown::Both);
        if let Some(accepting) = self.accepting.take() {
            let _ = accepting.join();
        }
        self.shared.close();
    }
}

impl Shared {
    fn accept(&self, serve: &Arc<impl Fn(TcpStream) + Send + Sync + 'static>) {
        for stream in self.listener.incoming() {
            if self.is_ending.load(Ordering::Acquire) {
                return;
            }
            let Ok(stream) = stream else { continue };
            let mut connections = self.connections();
            // Asked with the list in hand: whoever shuts the door meanwhile finds this connection in it.
            if self.is_shut.load(Ordering::Acquire) {
                continue;
            }
            // One whose peer is gone has no address any more.
            connections.retain(|stream| stream.peer_addr().is_ok());
            connections.extend(stream.try_clone());
            drop(connections);
            let serve = Arc::clone(serve);
            thread::spawn(move || serve(stream));
        }
    }

    fn close(&self) {
        for stream in self.connections().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    fn connections(&self) -> MutexGuard<'_, Vec<TcpStream>> {
        self.connections
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    #[test]
    fn a_door_that_is_shut_ends_what_is_open_and_lets_nobody_in_until_it_is_opened_again() {
        // Given a door behind which everybody is greeted, and somebody who came in
        let door = Door::open(([127, 0, 0, 1], 0).into(), |mut stream: TcpStream| {
            let _ = stream.write_all(b"hello");
            let _ = stream.read(&mut [0]);
        })
        .unwrap();
        let greeted = |stream: &mut TcpStream| {
            let mut hello = [0; 5];
            stream.read_exact(&mut hello).is_ok()
        };
        let mut inside = TcpStream::connect(door.address()).unwrap();
        assert!(greeted(&mut inside));
        // When it is shut, then that connection ends, and a new one is not greeted
        door.shut();
        assert!(!matches!(inside.read(&mut [0]), Ok(1..)));
        let mut outside = TcpStream::connect(door.address()).unwrap();
        assert!(!greeted(&mut outside));
        // When it is opened again, then the next one is
        door.reopen();
        let mut next = TcpStream::connect(door.address()).unwrap();
        assert!(greeted(&mut next));
    }
}
