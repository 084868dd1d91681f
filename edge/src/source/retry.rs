//! How long to wait before the next connection: a schedule for each kind of failure. It outlives a restart, so that a program that is restarted again
//! and again does not load the server more than one that runs.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use log::info;

use crate::platform::time::unix_ms;
use crate::source::{Feed, Stopped};

/// A kind of failure, each with its own schedule of pauses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The connection broke, or could not be made: no pause at first, then 250 ms more each time, up to 16 s.
    Network,
    /// The server answered with an error: from 5 s, doubling, up to 320 s.
    Server,
    /// The server limits the rate of connections: from 60 s, doubling, up to 16 min.
    Limited,
    /// A person must act. As slow as [`Failure::Limited`], but forgotten when the program ends: after the person has acted, a restart tries at once.
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

/// The failures since the last healthy connection.
///
/// The schedules of the first three kinds are those of X (X developer platform, "Handling disconnections", section "Reconnection best
/// practices").
#[derive(Debug)]
pub struct Backoff {
    /// The name of the fact that holds them.
    fact: &'static str,
    counts: Counts,
}

/// The failures in a row of each kind, and the current pause. As a fact: five numbers with spaces between.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    network: u32,
    server: u32,
    limited: u32,
    /// Not in the fact: see [`Failure::Person`].
    person: u32,
    /// The end of the last pause, in ms since 1970 by the board's clock, and its length.
    until_ms: u64,
    pause_ms: u64,
}

impl Backoff {
    /// A backoff that is kept as this `fact`.
    pub fn new(fact: &'static str) -> Self {
        Self {
            fact,
            counts: Counts::default(),
        }
    }

    /// Continues the backoff of an earlier run, and returns the rest of its pause.
    pub fn left(&mut self, feed: &Feed) -> Duration {
        self.counts = feed.state.get(self.fact).unwrap_or_default();
        // If the clock was set back meanwhile, the pause is no longer than it was.
        let left_ms = self.counts.until_ms.saturating_sub(wall_ms(feed));
        Duration::from_millis(left_ms.min(self.counts.pause_ms))
    }

    /// Continues the backoff of an earlier run, and waits for the rest of its pause.
    ///
    /// # Errors
    /// If the program is ending.
    pub fn resume(&mut self, feed: &Feed) -> Result<(), Stopped> {
        let left = self.left(feed);
        if !left.is_zero() {
            info!(
                "connecting {}: the rest of a pause that began before the restart",
                In(left)
            );
        }
        feed.sleep(left)
    }

    /// Notes that a connection is about to be made. If the program crashes before the connection is healthy or ended, that counts as a failure.
    pub fn attempt(&self, feed: &Feed) {
        let mut counts = self.counts;
        counts.count(Failure::Network);
        counts.begin(Failure::Network.pause(counts.network), feed);
        feed.state.set(self.fact, counts);
    }

    /// Notes that this program ended the connection.
    pub fn ended(&self, feed: &Feed) {
        feed.state.set(self.fact, self.counts);
    }

    /// Counts a failure, and returns the pause: that of its schedule, unless the server `asked` for another.
    pub fn failed(&mut self, feed: &Feed, failure: Failure, asked: Option<Duration>) -> Duration {
        let nth = self.counts.count(failure);
        let pause = asked.unwrap_or_else(|| failure.pause(nth));
        if failure != Failure::Person {
            self.counts.begin(pause, feed);
        }
        feed.state.set(self.fact, self.counts);
        pause
    }

    /// Notes that the connection is healthy: the schedules start again.
    pub fn healthy(&mut self, feed: &Feed) {
        feed.well();
        self.answered(feed, None);
    }

    /// Notes that a request succeeded: the schedules start again. The server may want a `pause` before the next request.
    pub fn answered(&mut self, feed: &Feed, pause: Option<Duration>) {
        self.counts = Counts::default();
        if let Some(pause) = pause {
            self.counts.begin(pause, feed);
        }
        feed.state.set(self.fact, self.counts);
    }
}

/// When the next attempt comes, in words: `in 0.25 s`. The unit is always the second, so that the journal sums up lines with different pauses.
#[derive(Clone, Copy, Debug)]
pub struct In(pub Duration);

impl fmt::Display for In {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            pause if pause.subsec_millis() == 0 || pause >= Duration::from_secs(20) => {
                write!(f, "in {} s", pause.as_secs())
            }
            pause => write!(f, "in {:.2} s", pause.as_secs_f64()),
        }
    }
}

impl Counts {
    /// Counts one more failure, and returns how many of this kind came in a row.
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
    unix_ms(feed.clock.wall())
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
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
