//! Which records may go while a part of the stream is throttled.
//!
//! Kinesis spreads records over its shards by the MD5 of their partition key: each shard owns a contiguous range of the 128-bit hashes. Here
//! that space is cut into 64 equal *cells*. A *lane* is half of it, a quarter, and so on down to one cell: an interval of cells in which
//! records were throttled, with a rate of its own. Everything outside the lanes goes unimpeded, and while nothing is throttled there is no lane.
//!
//! Where it begins and ends is told by the shards' names in the answers; a server that names none, by how the records of its halves fare.
//!
//! A lane's rate follows `dr/dt = r (g - k p sqrt(r))`, where `p` is the share of its records that are refused. Boards that put into one shard
//! all see the same `p`, and it fits one rate alone: so they come to share the shard evenly, without knowing of each other.

mod cells;
mod shards;

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

pub use cells::CELLS;
use cells::{Interval, Results};
use md5::{Digest, Md5};
pub use shards::Shard;
use shards::Shards;

/// The least rate of a lane, in records a second.
const LEAST_RATE: f64 = 0.25;

/// And the most: a lane that may grow beyond it limits nothing.
const MOST_RATE: f64 = 1e6;

/// A lane grows by so much a second, at high rates; see [`Lane::growth`].
const GROWTH: f64 = 0.5;

/// At low rates one record more is much: the square root of the rate at which a lane grows half as fast.
const CAUTION: f64 = 4.0;

/// Growth doubles when nothing was refused for so long, and so on.
const CALM: Duration = Duration::from_secs(5);

/// What one refused record takes off a lane's rate is this, divided by the rate's square root.
const BACKING_OFF: f64 = 0.5;

/// But no more than this share: at the lowest rates one refusal says little.
const MOST_EACH: f64 = 0.25;

/// One call takes a lane's rate down to this share at most: its refusals come together, from one moment in which the shard had nothing left.
const MOST_AT_ONCE: f64 = 0.5;

/// Refusals of one second are one sign: a shard that counts by whole seconds refuses all that comes in the rest of each. So within a second a
/// lane falls by this, times the square root of its rate, at most: a fast lane further than a slow one, and boards come to share that shard, too.
const FALL: f64 = 0.045;

/// Slower lanes may fall further: their refusals are few, and each costs as much as an accepted record.
const STEADY: f64 = 128.0;

/// A lane does not fall below this share of what is really accepted in it.
const FLOOR: f64 = 0.3;

/// A lane begins with the rate at which its records were accepted, or with this share of what was refused: other boards may have been first.
const GUESS: f64 = 0.25;

/// A lane's records go in groups of so much time's worth: five to ten calls a second.
const GROUP: Duration = Duration::from_millis(120);

/// A call may take so long without costing a lane its pace; beyond, tokens are lost.
const LONGEST_TRIP: Duration = Duration::from_secs(2);

/// Rates are measured over so much time.
const WINDOW: Duration = Duration::from_secs(1);

/// Results that suffice to look whether a lane's halves fare differently.
const EVIDENCE: f64 = 400.0;

/// Lanes of one shard are within this factor of each other, whatever was measured so far.
const ALIKE: f64 = 4.0;

/// So many records accepted between two lanes say that they are of two shards.
const FREE: f64 = 8.0;

/// So many refusals suffice, too.
const REFUSALS: f64 = 20.0;

/// A lane is forgotten when it refused nothing for so long and held nothing back for [`UNBOUND`].
const UNREFUSED: Duration = Duration::from_secs(10);

/// See [`UNREFUSED`].
const UNBOUND: Duration = Duration::from_secs(5);

/// The cell of a record with this partition key, below [`CELLS`].
pub fn cell_of(partition_key: &str) -> u8 {
    Md5::digest(partition_key)[0] >> 2
}

/// The lanes of one stream.
#[derive(Debug)]
pub struct Lanes {
    /// They do not overlap.
    lanes: Vec<Lane>,
    /// What was accepted in the whole stream.
    accepted: Meter,
    shards: Shards,
    /// The results in each cell that a lane has, since its lane was last looked at.
    evidence: [Results; CELLS as usize],
    /// When the first token since the last answer was taken: from then to the answer is a trip.
    taken: Option<Duration>,
    trip: Duration,
    random: Random,
}

impl Default for Lanes {
    fn default() -> Self {
        // Each board, and each start, draws other numbers.
        Self::with_seed(RandomState::new().build_hasher().finish())
    }
}

impl Lanes {
    fn with_seed(seed: u64) -> Self {
        Self {
            lanes: Vec::new(),
            shards: Shards::default(),
            accepted: Meter::default(),
            evidence: [Results::default(); CELLS as usize],
            taken: None,
            trip: Duration::ZERO,
            random: Random(seed),
        }
    }

    /// Whether nothing is throttled.
    pub fn is_empty(&self) -> bool {
        self.lanes.is_empty()
    }

    /// How many lanes there are.
    pub fn len(&self) -> usize {
        self.lanes.len()
    }

    /// Whether a record of this cell may go now. Takes a token of the cell's lane; a cell without a lane has no limit.
    pub fn take(&mut self, cell: u8, now: Duration) -> bool {
        let Some(index) = self.index_of(cell) else {
            return true;
        };
        let may_go = self.lanes[index].take(now, self.trip, &mut self.random);
        if may_go {
            self.taken.get_or_insert(now);
        }
        may_go
    }

    /// Which lane a cell is in, from 1; 0 where it is in none. Holds until the next call's results are learned.
    pub fn lane_of(&self, cell: u8) -> u8 {
        // There are no more lanes than cells.
        let number = |index| u8::try_from(index + 1).unwrap_or_default();
        self.index_of(cell).map_or(0, number)
    }

    /// Whether no record of any cell may go now.
    pub fn blocks_all(&self, now: Duration) -> bool {
        let covered: usize = self.lanes.iter().map(|lane| lane.cells.range().len()).sum();
        covered == usize::from(CELLS) && self.lanes.iter().all(|lane| lane.opens_at(now) > now)
    }

    /// A token that was taken for a record of this cell was not used.
    pub fn give_back(&mut self, cell: u8) {
        if let Some(index) = self.index_of(cell) {
            self.lanes[index].tokens += 1.0;
        }
    }

    /// When the next of the lanes that held a record back will let one go. Asked once all that waits was tried with [`Lanes::take`]; what is
    /// held back from then on counts for the next time.
    pub fn next_at(&mut self, now: Duration) -> Option<Duration> {
        let held = self.lanes.iter_mut();
        held.filter_map(|lane| std::mem::take(&mut lane.holds).then(|| lane.opens_at(now)))
            .min()
    }

    /// One call was accepted as a whole, with `count` records: all there is to tell while there is no lane.
    pub fn accepted(&mut self, now: Duration, count: usize) {
        self.accepted.add(now, WINDOW, to_f64(count));
    }

    /// Records of these cells were accepted by these shards. Where a server does not name them, the lanes go by how records fare.
    pub fn learn(&mut self, shards: impl Iterator<Item = (u8, Shard)>) {
        for (cell, shard) in shards {
            self.shards.learn(cell, shard);
        }
        let stretches = self.shards.stretches();
        let mut lanes = std::mem::take(&mut self.lanes);
        for mut lane in lanes.drain(..) {
            let stretch = stretches
                .iter()
                .find(|stretch| stretch.overlaps(Interval::of(usize::from(lane.cells.first))));
            lane.cells = *stretch.unwrap_or(&lane.cells);
            match self
                .lanes
                .iter_mut()
                .find(|other| other.cells.overlaps(lane.cells))
            {
                Some(other) => other.join(other.cells, &lane),
                None => self.lanes.push(lane),
            }
        }
    }

    /// Learns from one call's results: each record's cell, and whether it was accepted (true) or throttled (false). Records with another outcome
    /// are left out. While there are lanes every call is told here, with refusals or without.
    pub fn answered(&mut self, now: Duration, results: impl Iterator<Item = (u8, bool)>) {
        let mut cells = [Results::default(); CELLS as usize];
        for (cell, accepted) in results {
            cells[usize::from(cell)].add(accepted);
        }
        if let Some(taken) = self.taken.take() {
            self.trip = now.saturating_sub(taken).min(LONGEST_TRIP);
        }
        let before = self.accepted.rate(now, WINDOW);
        let all: Results = cells.iter().sum();
        self.accepted.add(now, WINDOW, all.accepted);
        for lane in &mut self.lanes {
            lane.answered(now, self.trip, lane.cells.sum(&cells));
            for cell in lane.cells.range() {
                self.evidence[cell] = [self.evidence[cell], cells[cell]].iter().sum();
            }
        }
        let stretches = self.shards.stretches();
        if stretches.is_empty() {
            self.split(now);
        }
        if all.refused > 0.0 {
            self.throttle(now, &cells, before, all, stretches);
        }
        self.forget_idle(now);
    }

    /// Removes the lanes that no longer limit anything.
    pub fn forget_idle(&mut self, now: Duration) {
        self.lanes.retain(|lane| {
            now.saturating_sub(lane.refused_at) < UNREFUSED
                || now.saturating_sub(lane.bound_at) < UNBOUND
        });
    }

    fn index_of(&self, cell: u8) -> Option<usize> {
        let holds_cell = |lane: &Lane| lane.cells.range().contains(&usize::from(cell));
        self.lanes.iter().position(holds_cell)
    }

    /// Parts the lanes in which the halves fare differently; a part without refusals is free.
    fn split(&mut self, now: Duration) {
        for index in (0..self.lanes.len()).rev() {
            let lane = &self.lanes[index];
            let all = lane.cells.sum(&self.evidence);
            if all.total() < EVIDENCE && all.refused < REFUSALS {
                continue;
            }
            let cells = lane.cells;
            let parts = cells.unlike_parts(&self.evidence);
            if parts != [cells] {
                let whole = self.lanes.remove(index);
                for part in parts {
                    let results = part.sum(&self.evidence);
                    if results.refused > 0.0 {
                        let share = results.accepted.max(1.0) / all.accepted.max(1.0);
                        let random = self.random.fraction();
                        let mut lane = Lane::new(part, whole.rate * share, now, random);
                        lane.accepted = whole.accepted.times(share);
                        self.lanes.push(lane);
                    }
                }
            }
            // Later results are another matter: the rates have changed.
            self.evidence[cells.range()].fill(Results::default());
        }
    }

    /// Makes lanes where records were refused outside of those there are. `before` is what the stream accepted a second before this call.
    fn throttle(
        &mut self,
        now: Duration,
        cells: &[Results],
        before: f64,
        all: Results,
        stretches: Vec<Interval>,
    ) {
        let mut free = [Results::default(); CELLS as usize];
        free.copy_from_slice(cells);
        for lane in &self.lanes {
            free[lane.cells.range()].fill(Results::default());
        }
        if free.iter().all(|results| results.refused == 0.0) {
            return;
        }
        let known = !stretches.is_empty();
        let parts = match known {
            true => stretches,
            false => Interval::ALL.unlike_parts(cells),
        };
        for part in parts {
            let refused = part.range().filter(|cell| free[*cell].refused > 0.0);
            // A call of a few records tells where its shard begins and ends only by those that were refused.
            let Some(refused) = refused.map(Interval::of).reduce(Interval::cover) else {
                continue;
            };
            let new = if known { part } else { refused };
            let results = new.sum(&free);
            let share = results.total() / all.total();
            let accepted = before * share + results.accepted;
            let rate = accepted.max(GUESS * results.refused).clamp(1.0, MOST_RATE);
            let mut lane = Lane::new(new, rate, now, self.random.fraction());
            lane.accepted.add(now, WINDOW, accepted);
            // Lanes within it, and lanes beside it as fast as it with nothing accepted in between, are of the same shard as far as anyone
            // can tell.
            let mut index = 0;
            while let Some(other) = self.lanes.get(index).filter(|_| !known) {
                let span = lane.cells.cover(other.cells);
                let between = span.sum(&free).accepted - lane.cells.sum(&free).accepted;
                let beside = part.covers(span) && between < FREE && lane.is_like(other);
                if beside || lane.cells.overlaps(other.cells) {
                    let other = self.lanes.remove(index);
                    lane.join(span, &other);
                    index = 0;
                } else {
                    index += 1;
                }
            }
            self.evidence[lane.cells.range()].fill(Results::default());
            self.lanes.push(lane);
        }
    }
}

/// An interval of cells with a rate of its own.
#[derive(Debug)]
struct Lane {
    cells: Interval,
    /// Records a second.
    rate: f64,
    tokens: f64,
    /// When the tokens were last counted.
    counted_at: Duration,
    /// Tokens are given out until there are none, then none until there is a group of them.
    open: bool,
    /// How many are a group this time.
    group: f64,
    /// It has held a record back since that was last asked.
    holds: bool,
    /// When it last held one back.
    bound_at: Duration,
    /// When a record of it was last refused.
    refused_at: Duration,
    answered_at: Duration,
    /// When the rate began to fall, this second, and from where.
    falls_since: Duration,
    falls_from: f64,
    /// What is accepted in it.
    accepted: Meter,
}

impl Lane {
    /// Whether `other` takes about as many records a cell.
    fn is_like(&self, other: &Self) -> bool {
        let here = self.rate / f64::from(self.cells.len);
        let there = other.rate / f64::from(other.cells.len);
        here < ALIKE * there && there < ALIKE * here
    }

    /// Takes in `other`, which is of the same shard.
    fn join(&mut self, cells: Interval, other: &Self) {
        self.cells = cells;
        self.rate = (self.rate + other.rate).min(MOST_RATE);
        self.tokens += other.tokens;
        self.accepted.weight += other.accepted.weight;
        self.bound_at = self.bound_at.max(other.bound_at);
        self.refused_at = self.refused_at.max(other.refused_at);
    }

    /// `random` lets boards that begin together not march in step.
    fn new(cells: Interval, rate: f64, now: Duration, random: f64) -> Self {
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

    fn take(&mut self, now: Duration, trip: Duration, random: &mut Random) -> bool {
        let passed = now.saturating_sub(self.counted_at).as_secs_f64();
        self.counted_at = self.counted_at.max(now);
        let at_most = self.rate * 1.5 * (GROUP + trip).as_secs_f64();
        self.tokens = (self.tokens + passed * self.rate).min(at_most.max(self.group));
        self.open |= self.tokens >= self.group;
        if self.open && self.tokens >= 1.0 {
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

    fn opens_at(&self, now: Duration) -> Duration {
        let wanted = if self.open { 1.0 } else { self.group };
        let missing = wanted - self.tokens;
        if missing <= 0.0 {
            return now;
        }
        let wait = Duration::from_secs_f64(missing / self.rate) + Duration::from_millis(1);
        (self.counted_at + wait).max(now)
    }

    fn answered(&mut self, now: Duration, trip: Duration, results: Results) {
        let passed = now.saturating_sub(self.answered_at);
        let window = WINDOW.max(trip * 2);
        self.answered_at = now;
        self.accepted.add(now, window, results.accepted);
        if now.saturating_sub(self.bound_at) <= WINDOW {
            let seconds = passed.min(window).as_secs_f64();
            self.rate = (self.rate * (self.growth(now) * seconds).exp()).min(MOST_RATE);
        }
        if results.refused == 0.0 {
            return;
        }
        self.refused_at = now;
        let each = (BACKING_OFF / self.rate.sqrt()).min(MOST_EACH);
        let lower = (1.0 - each).powf(results.refused).max(MOST_AT_ONCE) * self.rate;
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

    /// By how much the rate grows in a second, while the lane holds records back.
    fn growth(&self, now: Duration) -> f64 {
        let root = self.rate.sqrt();
        let calm = now.saturating_sub(self.refused_at).div_duration_f64(CALM);
        GROWTH * root / (root + CAUTION) * (1.0 + calm).min(4.0)
    }
}

/// A rate, measured: what was counted longer ago weighs exponentially less.
#[derive(Clone, Copy, Debug, Default)]
struct Meter {
    weight: f64,
    at: Duration,
}

impl Meter {
    fn add(&mut self, now: Duration, window: Duration, count: f64) {
        self.weight = self.weight * self.fade(now, window) + count;
        self.at = now;
    }

    /// Counts a second, over about a `window`.
    fn rate(self, now: Duration, window: Duration) -> f64 {
        self.weight * self.fade(now, window) / window.as_secs_f64()
    }

    fn fade(self, now: Duration, window: Duration) -> f64 {
        (-now.saturating_sub(self.at).div_duration_f64(window)).exp()
    }

    fn times(self, share: f64) -> Self {
        Self {
            weight: self.weight * share,
            ..self
        }
    }
}

/// Random numbers for nothing that must be secret (SplitMix64).
#[derive(Debug)]
struct Random(u64);

impl Random {
    /// At least 0, below 1.
    fn fraction(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        f64::from(u32::try_from((mixed ^ (mixed >> 31)) >> 32).unwrap_or_default())
            / 4_294_967_296.0
    }
}

fn to_f64(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests;
