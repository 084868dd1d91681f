//! The listener of all servers here: a free port, a thread for each connection, and an end that closes them all.

use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

/// Serves until dropped, then closes every connection.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    open: Arc<Connections>,
    accepted: Arc<AtomicU64>,
    ending: Arc<AtomicBool>,
    accepting: Option<JoinHandle<()>>,
}

/// The connections of a server that may still be open.
#[derive(Debug, Default)]
pub struct Connections(Mutex<Vec<TcpStream>>);

impl Server {
    /// Listens on the loopback interface, and calls `serve` for each connection in its own thread.
    ///
    /// # Errors
    /// No port can be had.
    pub fn start(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let open = Arc::new(Connections::default());
        let ending = Arc::new(AtomicBool::new(false));
        let (ours, stopped) = (Arc::clone(&open), Arc::clone(&ending));
        let accepted = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&accepted);
        let serve = Arc::new(serve);
        let accepting = thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::Acquire) {
                    break;
                }
                let Ok(stream) = stream else { continue };
                // TCP_NODELAY: a small response must not wait for more data.
                let _ = stream.set_nodelay(true);
                ours.add(&stream);
                count.fetch_add(1, Ordering::Release);
                let serve = Arc::clone(&serve);
                thread::spawn(move || {
                    if let Ok(ours) = stream.try_clone() {
                        serve(ours);
                    }
                    // The list of open connections also holds the socket, so dropping it here would not close it.
                    let _ = stream.shutdown(Shutdown::Both);
                });
            }
        });
        Ok(Self {
            address,
            open,
            accepted,
            ending,
            accepting: Some(accepting),
        })
    }

    /// Its address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its address as a URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Number of accepted connections.
    pub fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::Acquire)
    }

    /// What is connected.
    pub fn connections(&self) -> &Connections {
        &self.open
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.ending.store(true, Ordering::Release);
        // The listener notices at its next connection: this one.
        let _ = TcpStream::connect(self.address);
        if let Some(accepting) = self.accepting.take() {
            let _ = accepting.join();
        }
        self.open.close();
    }
}

impl Connections {
    /// Closes all of them.
    pub fn close(&self) {
        for stream in self.list().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    fn add(&self, stream: &TcpStream) {
        let mut list = self.list();
        // A socket whose peer is gone has no peer address.
        list.retain(|stream| stream.peer_addr().is_ok());
        list.extend(stream.try_clone());
    }

    fn list(&self) -> std::sync::MutexGuard<'_, Vec<TcpStream>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
