//! Notifies systemd: the program is ready, its status line, its watchdog keep-alive (sd_notify(3): one datagram a message).

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// The notification socket. Without one, every method does nothing.
#[derive(Debug)]
pub struct Systemd {
    socket: Option<(UnixDatagram, SocketAddr)>,
    /// Interval of keep-alives: a quarter of WATCHDOG_USEC, so that a late one does no harm.
    every: Duration,
    /// When the last keep-alive was sent, on the program's clock, and the trouble it named.
    told: Option<(Duration, Option<String>)>,
}

/// Interval of status lines if there is no watchdog.
const STATUS_EVERY: Duration = Duration::from_secs(15);

impl Systemd {
    /// Reads NOTIFY_SOCKET and WATCHDOG_USEC.
    pub fn from_env(env: &dyn Fn(&str) -> Option<String>) -> Self {
        let watchdog_us = env("WATCHDOG_USEC").and_then(|text| text.parse().ok());
        let every = watchdog_us.map_or(STATUS_EVERY, |us: u64| Duration::from_micros(us / 4));
        Self {
            socket: env("NOTIFY_SOCKET").and_then(|name| open(&name)),
            every: every.min(STATUS_EVERY),
            told: None,
        }
    }

    /// Reports that the threads run (READY=1).
    pub fn ready(&self) {
        self.send("READY=1");
    }

    /// Reports that the program is about to end (STOPPING=1).
    pub fn stopping(&self) {
        self.send("STOPPING=1");
    }

    /// Sends a keep-alive when one is due at `now`, or at once if the `trouble` is new. `systemctl status` shows the `figures` and the `trouble`.
    pub fn alive(&mut self, now: Duration, figures: &str, trouble: Option<&str>) {
        let is_due = self.told.as_ref().is_none_or(|(told, before)| {
            now.saturating_sub(*told) >= self.every || before.as_deref() != trouble
        });
        if is_due {
            self.told = Some((now, trouble.map(str::to_owned)));
            let trouble = trouble.map_or_else(String::new, |text| format!("; {text}"));
            self.send(&format!("WATCHDOG=1\nSTATUS={figures}{trouble}"));
        }
    }

    fn send(&self, message: &str) {
        if let Some((socket, address)) = &self.socket {
            // Best effort: a lost notification does no harm.
            let _ = socket.send_to_addr(message.as_bytes(), address);
        }
    }
}

/// Opens a non-blocking socket: a busy systemd must not block the program.
fn open(name: &str) -> Option<(UnixDatagram, SocketAddr)> {
    let address = match name.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name).ok()?,
        None => SocketAddr::from_pathname(name).ok()?,
    };
    let socket = UnixDatagram::unbound().ok()?;
    socket.set_nonblocking(true).ok()?;
    Some((socket, address))
}
