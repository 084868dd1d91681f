//! One lane: the rate at which its records go.
//!
//! Its rate follows `dr/dt = r (g - k p sqrt(r))`, where `p` is the share of its records that are refused. Boards that put into one shard all
//! see the same `p`, and only one rate fits it: so they come to share the shard evenly without knowing of each other. At low rates, where many
//! boards share a shard, `g` falls with the rate: otherwise most of what they send would be refused.

use std::time::Duration;

use super::cells::{Interval, Results};
use super::random::Random;

/// The least rate of a lane, in records a second.
pub(super) const LEAST_RATE: f64 = 0.25;

/// The highest rate of a lane: above it, a lane would limit nothing.
pub(super) const MOST_RATE: f64 = 1e6;

/// A lane's growth a second at high rates; see [`Lane::growth`].
const GROWTH: f64 = 0.5;

/// Slow lanes grow slower, because one record more is much for them, and where a thousand boards share a few shards, what they grow by is
/// refused: this is the rate at which growth is half.
const CAUTION: f64 = 16.0;

/// Growth is doubled after this time without a refusal, and rises with the square of that time: a few seconds tell little at low rates.
const CALM: Duration = Duration::from_secs(4);

/// The most that calm multiplies growth by.
const MOST_CALM: f64 = 16.0;

/// One refused record lowers the rate by this share, divided by the rate's square root.
const BACKING_OFF: f64 = 0.5;

/// The most that one refusal lowers the rate: at the lowest rates it says little.
const MOST_EACH: f64 = 0.25;

/// One call lowers a lane's rate to this share at most: all its refusals come from one moment at which the shard was exhausted.
const MOST_AT_ONCE: f64 = 0.5;

/// Refusals of one second count as one sign: a shard that counts by whole seconds refuses all that comes in the rest of each. So within a second
/// a lane falls by at most this, times the square root of its rate. A fast lane falls further than a slow one, so boards share such a shard, too.
const FALL: f64 = 0.045;

/// Slower lanes may fall further: their refusals are few, and each costs as much as an accepted record.
const STEADY: f64 = 128.0;

/// A lane does not fall below this share of the rate at which its records are accepted.
const FLOOR: f64 = 0.3;

/// A lane's records go in groups of what the rate allows in this time: five to ten calls a second.
const GROUP: Duration = Duration::from_millis(120);

/// Rates are measured over about this time.
pub(super) const WINDOW: Duration = Duration::from_secs(1);

/// Two lanes of one shard have rates within this factor of each other, a cell.
const ALIKE: f64 = 4.0;

/// An interval of cells with a rate of its own.
#[derive(Clone, Debug)]
pub(super) struct Lane {
    pub(super) cells: Interval,
    /// Records a second.
    pub(super) rate: f64,
    pub(super) tokens: f64,
    /// When the tokens were last counted.
    counted_at: Duration,
    /// Whether tokens are given out: until none is left, then again once there is a group of them.
    open: bool,
    /// Tokens of the current group.
    group: f64,
    /// Whether a record was held back since this was last read.
    pub(super) holds: bool,
    /// When a record was last held back.
    pub(super) bound_at: Duration,
    /// When a record was last refused.
    pub(super) refused_at: Duration,
    answered_at: Duration,
    /// When, in this second, the rate began to fall, and from which value.
    falls_since: Duration,
    falls_from: f64,
    /// The rate at which records are accepted.
    pub(super) accepted: Meter,
}

impl Lane {
    /// Whether the two rates, a cell, are similar.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        let here = self.rate / f64::from(self.cells.len);
        let there = other.rate / f64::from(other.cells.len);
        here < ALIKE * there && there < ALIKE * here
    }

    /// A lane with a `share` of this one's rate, for these cells.
    pub(super) fn part(&self, cells: Interval, share: f64) -> Self {
        Self {
            cells,
            rate: (self.rate * share).max(LEAST_RATE),
            tokens: self.tokens * share,
            accepted: self.accepted.times(share),
            ..self.clone()
        }
    }

    /// Merges `other`, which belongs to the same shard, into this lane, which then covers `cells`.
    pub(super) fn join(&mut self, cells: Interval, other: &Self) {
        self.cells = cells;
        self.rate = (self.rate + other.rate).min(MOST_RATE);
        self.tokens += other.tokens;
        self.accepted.weight += other.accepted.weight;
        self.bound_at = self.bound_at.max(other.bound_at);
        self.refused_at = self.refused_at.max(other.refused_at);
    }

    /// A lane that opens after a random part of its first group, so that boards which begin together do not stay in step.
    pub(super) fn new(cells: Interval, rate: f64, now: Duration, random: f64) -> Self {
        let group = (rate * GROUP.as_secs_f64()).max(1.0);
        Self {
            cells,
            rate,
            tokens: -random * group,
            counted_at: now,
            open: false,
            group,
            holds: false,
            bound_at: now,
            refused_at: now,
            answered_at: now,
            falls_since: now,
            falls_from: rate,
            accepted: Meter::default(),
        }
    }

    /// Takes a token if there is one to be had. A record that `joins` others in their call may go with a part of one: slow lanes share calls.
    pub(super) fn take(
        &mut self,
        now: Duration,
        trip: Duration,
        joins: bool,
        random: &mut Random,
    ) -> bool {
        let passed = now.saturating_sub(self.counted_at).as_secs_f64();
        self.counted_at = self.counted_at.max(now);
        let at_most = self.rate * 1.5 * (GROUP + trip).as_secs_f64();
        self.tokens = (self.tokens + passed * self.rate).min(at_most.max(self.group));
        self.open |= self.tokens >= self.group;
        if self.open && self.tokens >= 1.0 || joins && self.tokens > 0.0 {
            self.tokens -= 1.0;
            return true;
        }
        if self.open {
            let time = (GROUP + trip / 2).mul_f64(0.5 + random.fraction());
            self.group = (self.rate * time.as_secs_f64()).max(1.0);
            self.open = false;
        }
        self.holds = true;
        self.bound_at = now;
        false
    }

    pub(super) fn opens_at(&self, now: Duration) -> Duration {
        let wanted = if self.open { 1.0 } else { self.group };
        let missing = wanted - self.tokens;
        if missing <= 0.0 {
            return now;
        }
        let wait = Duration::from_secs_f64(missing / self.rate) + Duration::from_millis(1);
        (self.counted_at + wait).max(now)
    }

    pub(super) fn answered(&mut self, now: Duration, trip: Duration, results: Results) {
        let passed = now.saturating_sub(self.answered_at);
        let window = WINDOW.max(trip * 2);
        self.answered_at = now;
        self.accepted.add(now, window, results.accepted);
        if now.saturating_sub(self.bound_at) <= WINDOW {
            let seconds = passed.min(window).as_secs_f64();
            self.rate = (self.rate * libm::exp(self.growth(now) * seconds)).min(MOST_RATE);
        }
        if results.refused == 0.0 {
            return;
        }
        self.refused_at = now;
        let each = (BACKING_OFF / self.rate.sqrt()).min(MOST_EACH);
        let lower = libm::pow(1.0 - each, results.refused).max(MOST_AT_ONCE) * self.rate;
        if now.saturating_sub(self.falls_since) > window {
            (self.falls_since, self.falls_from) = (now, self.rate);
        }
        let floor = self.lowest().max(FLOOR * self.accepted.rate(now, window));
        self.rate = lower.max(floor).min(self.rate).max(LEAST_RATE);
    }

    /// How far the rate may fall within a second.
    fn lowest(&self) -> f64 {
        let from = self.falls_from;
        from * (from / STEADY).min(1.0) / (1.0 + FALL * from.sqrt())
    }

    /// The exponential growth a second while the lane holds records back.
    fn growth(&self, now: Duration) -> f64 {
        let calm = now.saturating_sub(self.refused_at).div_duration_f64(CALM);
        GROWTH * (self.rate + 1.0) / (self.rate + CAUTION) * (1.0 + calm * calm).min(MOST_CALM)
    }
}

/// A measured rate, with exponentially decaying weights.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Meter {
    weight: f64,
    at: Duration,
}

impl Meter {
    pub(super) fn add(&mut self, now: Duration, window: Duration, count: f64) {
        self.weight = self.weight * self.fade(now, window) + count;
        self.at = now;
    }

    /// Counts a second, over about one `window`.
    pub(super) fn rate(self, now: Duration, window: Duration) -> f64 {
        self.weight * self.fade(now, window) / window.as_secs_f64()
    }

    fn fade(self, now: Duration, window: Duration) -> f64 {
        libm::exp(-now.saturating_sub(self.at).div_duration_f64(window))
    }

    pub(super) fn times(self, share: f64) -> Self {
        Self {
            weight: self.weight * share,
            ..self
        }
    }
}
