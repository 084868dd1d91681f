//! The outage of the network during the demo.

use std::fmt;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use testkit::network::Network;

use super::screen::Screen;

/// The network to AWS, and its outage.
#[derive(Debug)]
pub struct Outage {
    network: Network,
    length: Duration,
    phase: Phase,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Number of records read at which it fails.
    Ahead(u64),
    Until(Instant),
    Over,
}

impl Outage {
    /// A network to `server`. Once a quarter of `posts` were read it fails for `length`, if that is given.
    pub fn new(server: SocketAddr, length: Option<Duration>, posts: usize) -> anyhow::Result<Self> {
        Ok(Self {
            network: Network::to(server)?,
            length: length.unwrap_or_default(),
            phase: match length {
                Some(_) => Phase::Ahead(posts as u64 / 4),
                None => Phase::Over,
            },
        })
    }

    /// The way in.
    pub fn address(&self) -> SocketAddr {
        self.network.address()
    }

    /// Whether the outage is over, or none is planned.
    pub fn is_over(&self) -> bool {
        self.phase == Phase::Over
    }

    /// Starts or ends the outage when it is due. True if it did.
    pub fn advance(&mut self, read: u64, screen: &mut Screen) -> anyhow::Result<bool> {
        match self.phase {
            Phase::Ahead(at) if read >= at => {
                self.network.cut();
                self.phase = Phase::Until(Instant::now() + self.length);
                screen.cross(&format!(
                    "the network to AWS fails, for {} s",
                    self.length.as_secs()
                ));
            }
            Phase::Until(end) if Instant::now() >= end => {
                self.network.restore()?;
                self.phase = Phase::Over;
                screen.tick("the network is back");
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
}

impl fmt::Display for Outage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.phase {
            Phase::Until(end) => {
                let left = end.saturating_duration_since(Instant::now());
                write!(f, "  (no network for another {} s)", left.as_secs() + 1)
            }
            _ => Ok(()),
        }
    }
}
