//! The outage of the network during the demo.

use std::fmt;
use std::net::SocketAddr;
use std::time::Instant;

use testkit::network::Network;

use super::options::Outage as Fails;
use super::screen::Screen;

/// The ways to AWS and to the source, and when they fail.
#[derive(Debug)]
pub struct Outage {
    network: Network,
    fails: Option<Fails>,
    phase: Phase,
    /// The way to the source, and whether it is cut.
    source: Option<(Network, bool)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Number of records read at which it fails.
    Ahead(u64),
    Since(Instant),
    Over,
}

impl Outage {
    /// A way to `server` which fails, if at all, once a quarter of `posts` were read.
    pub fn new(server: SocketAddr, fails: Option<Fails>, posts: usize) -> anyhow::Result<Self> {
        Ok(Self {
            network: Network::to(server)?,
            fails,
            phase: match fails {
                Some(_) => Phase::Ahead(posts as u64 / 4),
                None => Phase::Over,
            },
            source: None,
        })
    }

    /// Has the way to the source at `server` fail, too; the way in.
    pub fn reach_source(&mut self, server: SocketAddr) -> anyhow::Result<SocketAddr> {
        let network = Network::to(server)?;
        let address = network.address();
        self.source = Some((network, false));
        Ok(address)
    }

    /// The way in.
    pub fn address(&self) -> SocketAddr {
        self.network.address()
    }

    /// Whether the outage is over, or none is planned.
    pub fn is_over(&self) -> bool {
        self.phase == Phase::Over
    }

    /// Fails, or comes back, when it is time.
    pub fn advance(&mut self, read: u64, screen: &mut Screen) -> anyhow::Result<()> {
        let Some(fails) = self.fails else {
            return Ok(());
        };
        match self.phase {
            Phase::Ahead(at) if read >= at => {
                self.network.cut();
                self.phase = Phase::Since(Instant::now());
                let length = fails.aws.as_secs();
                screen.cross(&format!("the network to AWS fails, for {length} s"));
            }
            Phase::Since(then) if then.elapsed() >= fails.aws => {
                self.network.restore()?;
                self.phase = Phase::Over;
                screen.tick("the network is back");
            }
            _ => {}
        }
        self.advance_source(fails, screen)
    }

    fn advance_source(&mut self, fails: Fails, screen: &mut Screen) -> anyhow::Result<()> {
        let (Some((network, is_cut)), Some((from, until))) = (&mut self.source, fails.source)
        else {
            return Ok(());
        };
        let is_down = match self.phase {
            Phase::Since(then) => (from..until).contains(&then.elapsed()),
            Phase::Ahead(_) | Phase::Over => false,
        };
        if is_down && !*is_cut {
            network.break_off();
            let length = (until - from).as_secs();
            screen.cross(&format!(
                "the network to X fails, for {length} s; posts go on there"
            ));
        }
        if !is_down && *is_cut {
            network.restore()?;
            screen.tick("X can be reached again: what it had meanwhile is fetched");
        }
        *is_cut = is_down;
        Ok(())
    }
}

impl fmt::Display for Outage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.phase {
            Phase::Since(then) => {
                let length = self.fails.map(|fails| fails.aws).unwrap_or_default();
                let left = length.saturating_sub(then.elapsed());
                write!(f, "  (no network for another {} s)", left.as_secs() + 1)
            }
            _ => Ok(()),
        }
    }
}
