//! What systemd would hear.

use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::time::Duration;

use tempfile::TempDir;

use super::program::{Board, PATIENCE};

/// The other end of NOTIFY_SOCKET.
pub struct Listener {
    folder: TempDir,
    socket: UnixDatagram,
}

impl Listener {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = UnixDatagram::bind(folder.path().join("notify")).unwrap();
        Self { folder, socket }
    }

    pub fn path(&self) -> String {
        self.folder.path().join("notify").display().to_string()
    }

    /// A place beside the socket.
    pub fn spool(&self) -> PathBuf {
        self.folder.path().join("spool")
    }

    /// What runs on `board` tells this one, as a service with a watchdog of two seconds does.
    pub fn heard_by(&self, board: Board) -> Board {
        // Half a second is half a second: signs of life come once a second at most.
        board
            .with("NOTIFY_SOCKET", &self.path())
            .with("WATCHDOG_USEC", "2000000")
    }

    /// The next message, if one comes in time.
    pub fn next(&self, patience: Duration) -> Option<String> {
        let mut buffer = [0; 4096];
        self.socket.set_read_timeout(Some(patience)).unwrap();
        let length = self.socket.recv(&mut buffer).ok()?;
        Some(String::from_utf8(buffer[..length].to_vec()).unwrap())
    }

    /// Waits for signs of life.
    pub fn signs(&self, count: usize) {
        let mut seen = 0;
        while seen < count {
            let message = self.next(PATIENCE).expect("a message");
            seen += usize::from(message.contains("WATCHDOG=1"));
        }
    }

    /// Lets go of what was heard so far.
    pub fn forget(&self) {
        while self.next(Duration::from_millis(1)).is_some() {}
    }
}
