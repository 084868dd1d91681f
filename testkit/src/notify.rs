//! What systemd would hear.

use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::time::Duration;

use tempfile::TempDir;

use crate::PATIENCE;

/// The other end of NOTIFY_SOCKET.
#[derive(Debug)]
pub struct Listener {
    folder: TempDir,
    socket: UnixDatagram,
}

impl Listener {
    /// A socket of its own.
    ///
    /// # Panics
    /// It cannot be made.
    #[expect(clippy::new_without_default, reason = "it makes a socket")]
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = UnixDatagram::bind(folder.path().join("notify")).unwrap();
        Self { folder, socket }
    }

    /// For NOTIFY_SOCKET.
    pub fn path(&self) -> String {
        self.folder.path().join("notify").display().to_string()
    }

    /// A place beside the socket.
    pub fn spool(&self) -> PathBuf {
        self.folder.path().join("spool")
    }

    /// The next message, if one comes in time.
    ///
    /// # Panics
    /// It is not UTF-8.
    pub fn next(&self, patience: Duration) -> Option<String> {
        let mut buffer = [0; 4096];
        self.socket.set_read_timeout(Some(patience)).unwrap();
        let length = self.socket.recv(&mut buffer).ok()?;
        Some(String::from_utf8(buffer[..length].to_vec()).unwrap())
    }

    /// Waits for signs of life.
    ///
    /// # Panics
    /// They do not come for a long time.
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
