//! How many bytes one call carries, and when to replace a connection.
//!
//! A call is sized by time: it should take about two seconds, and more where the round-trip time is long, because nothing is sent while a
//! response is awaited. A new process starts small, and doubles the size while calls succeed. A call that the network broke halves it, and from
//! then on it grows slowly. What the server refuses does not change it.
//!
//! Some links cut every connection after a number of bytes (a carrier's or a proxy's quota) or after some time. A broken connection is taken as a
//! sign of such a [`Limit`]: the next ones are replaced before they reach it. Now and then one is kept, and carries small calls: if it passes the
//! point where the others broke, there is no such limit.

use std::time::Duration;

use crate::aws::kinesis::wire::Wire;
use crate::net::meter::Life;
use crate::uplink::pace::Limits;

/// How the user wants posts to be delivered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// How long a post may wait for others, so that several share a call.
    pub linger: Duration,
    /// How much of the link delivery may use.
    pub limits: Limits,
    /// The encoding of calls.
    pub wire: Wire,
    /// Many posts share one record, as a pack.
    pub pack: bool,
    /// After an outage, half of each call carries posts that were read since.
    pub fresh_first: bool,
}

/// Bytes of a process's first call.
const FIRST: usize = 16 << 10;

/// No call is planned smaller: one post is about as large.
const LEAST: usize = 1 << 10;

/// No call is planned larger: this is a full PutRecords in base64.
const MOST: usize = 8 << 20;

/// How long a call should take, without the round-trip time.
const AIM: Duration = Duration::from_secs(2);

/// A longer round trip was measured through a full queue or a lost packet.
const LONGEST_DELAY: Duration = Duration::from_millis(1500);

/// Nothing is sent while a response is awaited: a call takes this many round trips more, so that the link is busy most of the time.
const DELAYS: u32 = 12;

/// Round trips of a new connection: one for TCP's handshake, one for that of TLS 1.3 (RFC 8446, section 2, "Protocol Overview").
const GREETINGS: u32 = 2;

/// After a call was broken, the aim grows by this part of itself: 1/4.
const SLOWLY: usize = 4;

/// What is known of the link to the server.
#[derive(Debug)]
pub struct Flow {
    /// Planned bytes of a call.
    aim: usize,
    /// Half of the size of the last call that was broken: the aim doubles up to it, and grows slowly from there.
    broke_at: Option<usize>,
    /// Bytes a second, with the wait for the response.
    rate: Option<f64>,
    /// The round-trip time, measured at new connections.
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
    /// Planned bytes of a call, whatever its connection.
    pub fn aim(&self) -> usize {
        self.aim
    }

    /// Most bytes of the next call on a connection with this `life`. Never 0: a post that is larger goes alone.
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

    /// Whether to make the next call on a new connection, because this one is close to where others broke.
    pub fn renew_connection(&self, life: Life) -> bool {
        self.bytes.is_near(to_f64(life.bytes)) || self.time.is_near(life.time.as_secs_f64())
    }

    /// Learns from how long a new connection `took` to open, with TLS.
    pub fn opened(&mut self, took: Duration) {
        let delay = (took / GREETINGS).min(LONGEST_DELAY);
        // A longer time means a lost packet, or a link that has become slower.
        let known = self.delay.map(|known| known + known / 8);
        self.delay = Some(known.map_or(delay, |known| known.min(delay)));
    }

    /// Learns that a connection was replaced before it broke.
    pub fn renewed(&mut self, life: Life) {
        self.bytes.kept(to_f64(life.bytes));
        self.time.kept(life.time.as_secs_f64());
    }

    /// Learns from a call of `bytes` on the wire whose response came `took` after its first byte was written. `life` is the connection's after it.
    pub fn succeeded(&mut self, bytes: usize, took: Duration, life: Life) {
        self.bytes.passed(to_f64(life.bytes));
        self.time.passed(life.time.as_secs_f64());
        let took = took.max(Duration::from_millis(1));
        // A small call says little about what the link can carry.
        if bytes < self.aim / 2 {
            return;
        }
        // The round trip is included: a rate that is too low makes calls a little too small, one that is too high makes calls endless.
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

    /// Learns that the network broke a call of `bytes`. `life` is the connection's, with the part of the call that was sent.
    pub fn broke(&mut self, bytes: usize, life: Life) {
        let half = (bytes.min(self.aim) / 2).clamp(LEAST, MOST);
        self.aim = half;
        self.broke_at = Some(half);
        self.bytes.broke(to_f64(life.bytes));
        self.time.broke(life.time.as_secs_f64());
    }

    /// Recent bytes a second, with the waits for responses; `None` while nothing is known.
    pub fn rate(&self) -> Option<f64> {
        self.rate
    }

    fn aim_time(&self) -> Duration {
        AIM + self.delay.unwrap_or_default() * DELAYS
    }
}

/// A connection is replaced at this part of the limit.
const USED: f64 = 0.8;

/// A connection that lives this many times as long as the limit disproves it.
const REFUTED: f64 = 1.3;

/// A connection that is kept to try the limit carries calls of this part of it.
const STEP: f64 = 1.0 / 32.0;

/// At most this many connections are replaced before one is kept to try the limit.
const MOST_PATIENT: u32 = 64;

/// When the link is believed to cut a connection, in bytes or in seconds.
#[derive(Debug, Default)]
struct Limit {
    /// Where connections broke; `None` if none did.
    at: Option<f64>,
    /// How many connections are replaced before one is kept; doubled each time one breaks at the same place.
    patience: u32,
    /// How many were replaced since the limit was last tried.
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

    /// How much more a connection may carry; `None` if there is no limit.
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
