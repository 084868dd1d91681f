//! What systemd is told: that the program is ready, how it is, and that its threads move (sd_notify(3): one datagram a message).

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// The way to systemd; without one, everything here does nothing.
#[derive(Debug)]
pub struct Systemd {
    socket: Option<(UnixDatagram, SocketAddr)>,
    /// How often it wants a sign of life, with room for one that comes late.
    every: Duration,
    /// When it got the last one, on the program's clock, and what the trouble was.
    told: Option<(Duration, Option<String>)>,
}

/// How often the status line is renewed where no sign of life is asked for.
const STATUS_EVERY: Duration = Duration::from_secs(15);

impl Systemd {
    /// As NOTIFY_SOCKET and WATCHDOG_USEC say.
    pub fn from_env(env: &dyn Fn(&str) -> Option<String>) -> Self {
        let watchdog_us = env("WATCHDOG_USEC").and_then(|text| text.parse().ok());
        let every = watchdog_us.map_or(STATUS_EVERY, |us: u64| Duration::from_micros(us / 4));
        Self {
            socket: env("NOTIFY_SOCKET").and_then(|name| open(&name)),
            every: every.min(STATUS_EVERY),
            told: None,
        }
    }

    /// The threads run.
    pub fn ready(&self) {
        self.send("READY=1");
    }

    /// The end was asked for, or the source has ended.
    pub fn stopping(&self) {
        self.send("STOPPING=1");
    }

    /// All threads move at `now`; `systemctl status` shows the `figures` and the `trouble`, a new one at once.
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
            // It will miss what it does not get.
            let _ = socket.send_to_addr(message.as_bytes(), address);
        }
    }
}

/// A socket that never waits: a systemd that is busy must not hold the program up.
fn open(name: &str) -> Option<(UnixDatagram, SocketAddr)> {
    let address = match name.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name).ok()?,
        None => SocketAddr::from_pathname(name).ok()?,
    };
    let socket = UnixDatagram::unbound().ok()?;
    socket.set_nonblocking(true).ok()?;
    Some((socket, address))
}
