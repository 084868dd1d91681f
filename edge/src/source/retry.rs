//! How long to wait before the next connection: one schedule for each kind of failure, remembered
//! across a restart, so that a program that is started again and again is no rougher on the server
//! than one that runs.

use std::str::FromStr;
use std::time::{Duration, UNIX_EPOCH};

use log::info;

use crate::source::{Feed, Stopped};

/// A kind of failure, with the schedule it is retried on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The connection broke or could not be made: at once, then 250 ms longer each time, up to 16
    /// s.
    Network,
    /// The server answered with an error: from 5 s, doubling, up to 320 s.
    Server,
    /// The server wants fewer connections: from 60 s, doubling, up to 16 min.
    Limited,
    /// A person must act. As slow as [`Failure::Limited`], and forgotten when the program ends: who
    /// mended it and starts the program again is not kept waiting.
    Person,
}

impl Failure {
    /// The pause after the `nth` failure of this kind in a row, counted from 1.
    pub fn pause(self, nth: u32) -> Duration {
        let before = nth.saturating_sub(1);
        let doubled = |first: u64, most: u64| {
            Duration::from_secs(first.saturating_mul(1 << before.min(16)).min(most))
        };
        match self {
            Self::Network => Duration::from_millis(250 * u64::from(before.min(64))),
            Self::Server => doubled(5, 320),
            Self::Limited | Self::Person => doubled(60, 960),
        }
    }
}

/// The failures since a connection last did well.
#[derive(Debug)]
pub struct Backoff {
    /// Where it is remembered.
    fact: &'static str,
    counts: Counts,
}

/// What is remembered: five numbers with spaces between.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    network: u32,
    server: u32,
    limited: u32,
    /// Not written: see [`Failure::Person`].
    person: u32,
    /// Until when the last pause lasts, in ms since 1970 by the board's clock, and how long it was.
    until_ms: u64,
    pause_ms: u64,
}

impl Backoff {
    /// One that is remembered as the `fact`.
    pub fn new(fact: &'static str) -> Self {
        Self {
            fact,
            counts: Counts::default(),
        }
    }

    /// Takes up what an earlier run remembered: what is left of its pause.
    pub fn left(&mut self, feed: &Feed) -> Duration {
        self.counts = feed.state.get(self.fact).unwrap_or_default();
        // A clock that was set back meanwhile makes the pause no longer than it was.
        let left_ms = self.counts.until_ms.saturating_sub(wall_ms(feed));
        Duration::from_millis(left_ms.min(self.counts.pause_ms))
    }

    /// Takes up what an earlier run remembered, and waits what was left of its pause.
    pub fn resume(&mut self, feed: &Feed) -> Result<(), Stopped> {
        let left = self.left(feed);
        if !left.is_zero() {
            info!("connecting in {left:.0?}: the pause that began before the restart");
        }
        feed.sleep(left)
    }

    /// A connection is about to be made. Until it does well or ends as it should, a crash of the
    /// program counts as its failure.
    pub fn attempt(&self, feed: &Feed) {
        let mut counts = self.counts;
        counts.count(Failure::Network);
        counts.begin(Failure::Network.pause(counts.network), feed);
        feed.state.set(self.fact, counts);
    }

    /// The connection was ended by this program itself.
    pub fn ended(&self, feed: &Feed) {
        feed.state.set(self.fact, self.counts);
    }

    /// Counts a failure: how long to wait now, on its schedule unless the server `asked` for
    /// something else.
    pub fn failed(&mut self, feed: &Feed, failure: Failure, asked: Option<Duration>) -> Duration {
        let nth = self.counts.count(failure);
        let pause = asked.unwrap_or_else(|| failure.pause(nth));
        if failure != Failure::Person {
            self.counts.begin(pause, feed);
        }
        feed.state.set(self.fact, self.counts);
        pause
    }

    /// The connection does well: the next failure is the first again.
    pub fn healthy(&mut self, feed: &Feed) {
        feed.well();
        self.answered(feed, None);
    }

    /// The server gave what it was asked for, and may want a pause before it is asked again: the next failure is the first again.
    pub fn answered(&mut self, feed: &Feed, pause: Option<Duration>) {
        self.counts = Counts::default();
        if let Some(pause) = pause {
            self.counts.begin(pause, feed);
        }
        feed.state.set(self.fact, self.counts);
    }
}

impl Counts {
    /// Counts one more: which in a row it is.
    fn count(&mut self, failure: Failure) -> u32 {
        let count = match failure {
            Failure::Network => &mut self.network,
            Failure::Server => &mut self.server,
            Failure::Limited => &mut self.limited,
            Failure::Person => &mut self.person,
        };
        *count = count.saturating_add(1);
        *count
    }

    fn begin(&mut self, pause: Duration, feed: &Feed) {
        self.pause_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
        self.until_ms = wall_ms(feed).saturating_add(self.pause_ms);
    }
}

fn wall_ms(feed: &Feed) -> u64 {
    let since_1970 = feed.clock.wall().duration_since(UNIX_EPOCH);
    u64::try_from(since_1970.unwrap_or_default().as_millis()).unwrap_or(u64::MAX)
}

impl std::fmt::Display for Counts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            network,
            server,
            limited,
            until_ms,
            pause_ms,
            person: _,
        } = self;
        write!(f, "{network} {server} {limited} {until_ms} {pause_ms}")
    }
}

impl FromStr for Counts {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut numbers = text.split(' ').map(str::parse::<u64>);
        let mut next = || numbers.next().and_then(Result::ok).ok_or(());
        let small = |number| u32::try_from(number).map_err(|_| ());
        Ok(Self {
            network: small(next()?)?,
            server: small(next()?)?,
            limited: small(next()?)?,
            person: 0,
            until_ms: next()?,
            pause_ms: next()?,
        })
    }
}

#[cfg(test)]
mod tests;
