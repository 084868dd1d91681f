//! How much one call may carry, and when a connection is better replaced.
//!
//! A call is sized by time: it should take about two seconds, and longer where the way's delay is long: while an answer is on its way nothing
//! leaves. A new process starts small, and doubles while calls succeed. A call that the network broke halves the size, and from then on it grows slowly. What the server refuses has no part in this.
//!
//! Some links cut every connection: after so many bytes (a carrier's or a proxy's quota), or after so much time. A connection that broke is taken
//! for a sign of such a [`Limit`]: the next ones are replaced before they reach it. Now and then one is not, and goes on in small calls:
//! if it passes the place where the others broke, there is no such limit.

use std::time::Duration;

use crate::aws::kinesis::wire::Wire;
use crate::net::meter::Life;
use crate::uplink::pace::Limits;

/// How the user wants posts to be delivered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// How long a live post may wait for company, so that several share a call.
    pub linger: Duration,
    /// What delivery may use of the link.
    pub limits: Limits,
    /// How calls are written.
    pub wire: Wire,
    /// Posts go in packs, not each in a record of its own.
    pub pack: bool,
    /// After an outage, half of each call carries what was read since.
    pub fresh_first: bool,
}

/// The first call of a process.
const FIRST: usize = 16 << 10;

/// No call is planned smaller: less than this is one post anyway.
const LEAST: usize = 1 << 10;

/// No call is planned larger: a full PutRecords in base64.
const MOST: usize = 8 << 20;

/// What a call should take, beside the way's delay.
const AIM: Duration = Duration::from_secs(2);

/// A longer delay is not the way's: something stood in the queue before us, or was lost.
const LONGEST_DELAY: Duration = Duration::from_millis(1500);

/// Nothing leaves while an answer is on its way: a call is longer by so many delays, so that most of the time is used.
const DELAYS: u32 = 12;

/// A new connection costs so many delays: TCP's greeting, and TLS's.
const GREETINGS: u32 = 2;

/// How fast the aim grows once a call was broken: by one part in so many.
const SLOWLY: usize = 4;

/// What is known of the way to the server.
#[derive(Debug)]
pub struct Flow {
    /// Bytes a call should have.
    aim: usize,
    /// Half of the size that broke last: the aim doubles up to it, and grows slowly from there.
    broke_at: Option<usize>,
    /// Bytes a second, the time for the answer included.
    rate: Option<f64>,
    /// The way's delay, there and back, as new connections tell it.
    delay: Option<Duration>,
    bytes: Limit,
    time: Limit,
}

impl Default for Flow {
    fn default() -> Self {
        Self {
            aim: FIRST,
            broke_at: None,
            rate: None,
            delay: None,
            bytes: Limit::default(),
            time: Limit::default(),
        }
    }
}

impl Flow {
    /// How many bytes a call should have, whatever its connection.
    pub fn aim(&self) -> usize {
        self.aim
    }

    /// How many bytes the next call may have, on a connection with such a life. Never 0: a post that is larger goes alone.
    pub fn call_bytes(&self, life: Life) -> usize {
        let by_bytes = self.bytes.room(to_f64(life.bytes));
        let by_time = self
            .time
            .room(life.time.as_secs_f64())
            .map(|seconds| seconds * self.rate.unwrap_or(to_f64(FIRST)));
        let room = [by_bytes, by_time].into_iter().flatten();
        room.map(to_usize)
            .fold(self.aim, usize::min)
            .clamp(LEAST, MOST)
    }

    /// Whether the next call is better made on a new connection: this one is near to where others broke.
    pub fn renew_connection(&self, life: Life) -> bool {
        self.bytes.is_near(to_f64(life.bytes)) || self.time.is_near(life.time.as_secs_f64())
    }

    /// A new connection took so long until it could be written to.
    pub fn opened(&mut self, took: Duration) {
        let delay = (took / GREETINGS).min(LONGEST_DELAY);
        // One that took longer has lost something on its way, or the way has become longer.
        let known = self.delay.map(|known| known + known / 8);
        self.delay = Some(known.map_or(delay, |known| known.min(delay)));
    }

    /// The connection was replaced before it broke.
    pub fn renewed(&mut self, life: Life) {
        self.bytes.kept(to_f64(life.bytes));
        self.time.kept(life.time.as_secs_f64());
    }

    /// A call of so many bytes on the wire was answered, `took` after its first byte was written; `life` is the connection's after it.
    pub fn succeeded(&mut self, bytes: usize, took: Duration, life: Life) {
        self.bytes.passed(to_f64(life.bytes));
        self.time.passed(life.time.as_secs_f64());
        let took = took.max(Duration::from_millis(1));
        // A call that had less to carry tells little of what the way can carry.
        if bytes < self.aim / 2 {
            return;
        }
        // The delay is left in: too low a rate makes for calls that are a little small, one too high for calls without end.
        let rate = to_f64(bytes) / took.as_secs_f64();
        self.rate = Some(self.rate.map_or(rate, |known| known + 0.3 * (rate - known)));
        let wanted = to_usize(to_f64(bytes) * self.aim_time().div_duration_f64(took));
        let grown = match self.broke_at {
            Some(broke_at) if self.aim >= broke_at => self.aim + (self.aim / SLOWLY).max(1),
            _ => self.aim * 2,
        };
        self.aim = wanted.clamp(self.aim / 2, grown).clamp(LEAST, MOST);
        if self
            .broke_at
            .is_some_and(|broke_at| self.aim > 4 * broke_at)
        {
            self.broke_at = None;
        }
    }

    /// The network broke a call of so many bytes; `life` is the connection's, with what of the call had left.
    pub fn broke(&mut self, bytes: usize, life: Life) {
        let half = (bytes.min(self.aim) / 2).clamp(LEAST, MOST);
        self.aim = half;
        self.broke_at = Some(half);
        self.bytes.broke(to_f64(life.bytes));
        self.time.broke(life.time.as_secs_f64());
    }

    /// Bytes a second of late, the time for answers included; `None` while nothing is known.
    pub fn rate(&self) -> Option<f64> {
        self.rate
    }

    fn aim_time(&self) -> Duration {
        AIM + self.delay.unwrap_or_default() * DELAYS
    }
}

/// A connection is replaced when it has used so much of what one is believed to stand.
const USED: f64 = 0.8;

/// One that passes the limit by so much refutes it.
const REFUTED: f64 = 1.3;

/// Past the place where it would be replaced, a connection goes on in calls of this share of the limit.
const STEP: f64 = 1.0 / 32.0;

/// At most so many connections are replaced before one is tried further.
const MOST_PATIENT: u32 = 64;

/// What a connection is believed to stand before the link cuts it, in bytes or in seconds.
#[derive(Debug, Default)]
struct Limit {
    /// Where connections broke; `None` while none did.
    at: Option<f64>,
    /// How many connections are replaced before one is tried further; doubled each time one breaks at the same place.
    patience: u32,
    /// How many were since.
    replaced: u32,
}

impl Limit {
    fn broke(&mut self, life: f64) {
        let again = self
            .at
            .is_some_and(|at| life > USED * USED * at && life < REFUTED * at);
        self.patience = if again {
            (self.patience * 2).min(MOST_PATIENT)
        } else {
            4
        };
        self.at = Some(if again {
            self.at.map_or(life, |at| at.min(life))
        } else {
            life
        });
        self.replaced = 0;
    }

    fn kept(&mut self, life: f64) {
        if self.at.is_some_and(|at| life >= 0.5 * at) {
            self.replaced += 1;
        }
    }

    fn passed(&mut self, life: f64) {
        if self.at.is_some_and(|at| life > REFUTED * at) {
            *self = Self::default();
        }
    }

    fn is_tried(&self) -> bool {
        self.replaced >= self.patience
    }

    fn is_near(&self, life: f64) -> bool {
        let end = |at: f64| at * (USED - STEP);
        !self.is_tried() && self.at.is_some_and(|at| life >= end(at))
    }

    /// How much more a connection may have; `None` where there is no limit.
    fn room(&self, life: f64) -> Option<f64> {
        let at = self.at?;
        let left = USED * at - life;
        Some(left.max(STEP * at))
    }
}

fn to_f64(bytes: usize) -> f64 {
    f64::from(u32::try_from(bytes).unwrap_or(u32::MAX))
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "bounded before"
)]
fn to_usize(bytes: f64) -> usize {
    bytes.clamp(0.0, f64::from(u32::MAX)) as usize
}

#[cfg(test)]
mod tests;
