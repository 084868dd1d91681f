//! Which records may go while a part of the stream is throttled.
//!
//! Kinesis assigns records to shards by the MD5 of their partition key: each shard owns a contiguous range of the 128-bit hashes (Kinesis API
//! reference, "PutRecord", and "HashKeyRange"). Here that space is cut into 64 equal *cells*. A *lane* is a row of cells whose records were
//! throttled, with a rate of its own. Records outside the lanes are not limited; while nothing is throttled there is no lane.
//!
//! A lane covers the cells of one shard, as the responses name it. If a server names no shards, a lane is halved while its halves differ.

mod cells;
mod lane;
mod random;
mod shards;

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

pub use cells::CELLS;
use cells::{Interval, Results};
use lane::{LEAST_RATE, Lane, MOST_RATE, Meter, WINDOW};
use md5::{Digest, Md5};
pub use random::Random;
pub use shards::Shard;
use shards::Shards;

/// A lane begins with the rate at which its records were accepted, or with this share of what was refused, if that is more: other boards may have
/// used up the shard.
const GUESS: f64 = 0.25;

/// The longest call for which a lane keeps its tokens; in a longer one, tokens are lost.
const LONGEST_TRIP: Duration = Duration::from_secs(2);

/// This many results suffice to compare a lane's halves.
const EVIDENCE: f64 = 400.0;

/// This many records accepted between two lanes show that they belong to two shards.
const FREE: f64 = 8.0;

/// This many refusals suffice, too.
const REFUSALS: f64 = 20.0;

/// A lane is removed when none of its records was refused for this time, and none held back for [`UNBOUND`].
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
    /// No two overlap.
    lanes: Vec<Lane>,
    /// The rate at which the whole stream accepts records.
    accepted: Meter,
    shards: Shards,
    /// The cells, a bit each, in which records were refused since they belong to a lane.
    refused: u64,
    /// The results in each cell of a lane since the lane's halves were last compared.
    evidence: [Results; CELLS as usize],
    /// When the first token since the last response was taken: the time from then to the response is a trip.
    taken: Option<Duration>,
    trip: Duration,
    /// When the next lane opens that holds records back: then the others' tokens may go along with its own.
    opens: Option<Duration>,
    random: Random,
}

impl Default for Lanes {
    fn default() -> Self {
        // Each board, and each start, gets other random numbers.
        Self::with_seed(RandomState::new().build_hasher().finish())
    }
}

impl Lanes {
    /// Lanes with the random numbers of this seed.
    pub fn with_seed(seed: u64) -> Self {
        Self {
            lanes: Vec::new(),
            shards: Shards::default(),
            accepted: Meter::default(),
            refused: 0,
            evidence: [Results::default(); CELLS as usize],
            taken: None,
            trip: Duration::ZERO,
            opens: None,
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

    /// Whether a record of this cell may go now; takes a token of the cell's lane. A cell without a lane has no limit.
    pub fn take(&mut self, cell: u8, now: Duration) -> bool {
        let Some(index) = self.index_of(cell) else {
            return true;
        };
        let joins = self.opens.is_some_and(|opens| opens <= now);
        let may_go = self.lanes[index].take(now, self.trip, joins, &mut self.random);
        if may_go {
            self.taken.get_or_insert(now);
        }
        may_go
    }

    /// The number of the cell's lane, from 1; 0 if it has none. Valid until the next call's results are learned.
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

    /// Returns a token that was taken for a record of this cell and not used.
    pub fn give_back(&mut self, cell: u8) {
        if let Some(index) = self.index_of(cell) {
            self.lanes[index].tokens += 1.0;
        }
    }

    /// When the first of the lanes that held a record back lets one go; `None` if none did. Ask after all that waits was tried with
    /// [`Lanes::take`]: the answer forgets which lanes held records back.
    pub fn next_at(&mut self, now: Duration) -> Option<Duration> {
        let held = self.lanes.iter_mut();
        self.opens = held
            .filter_map(|lane| std::mem::take(&mut lane.holds).then(|| lane.opens_at(now)))
            .min();
        self.opens
    }

    /// Counts a call of `count` records that were all accepted. This suffices while there is no lane.
    pub fn accepted(&mut self, now: Duration, count: usize) {
        self.accepted.add(now, WINDOW, to_f64(count));
    }

    /// Learns which shards accepted records of which cells, and fits the lanes to them: a lane of several shards becomes one for each that refused
    /// something.
    pub fn learn(&mut self, shards: impl Iterator<Item = (u8, Shard)>) {
        for (cell, shard) in shards {
            self.shards.learn(cell, shard);
        }
        let stretches = self.shards.stretches();
        for lane in std::mem::take(&mut self.lanes) {
            let parts = lane.cells.parts(&stretches);
            let bits = lane.cells.bits() & self.refused;
            let refused = |part: &Interval| (part.bits() & bits).count_ones();
            let all: u32 = parts.iter().map(refused).sum();
            for part in parts.iter().filter(|part| refused(part) > 0) {
                let share = f64::from(refused(part)) / f64::from(all);
                let new = lane.part(*part, share);
                let mut others = self.lanes.iter_mut();
                match others.find(|other| other.cells.overlaps(*part)) {
                    Some(other) => other.join(*part, &new),
                    None => self.lanes.push(new),
                }
            }
        }
    }

    /// Learns from one call's results: each record's cell, and whether it was accepted (true) or throttled (false). Records with another class
    /// are left out. While there are lanes, every call must be reported here.
    pub fn answered(&mut self, now: Duration, results: impl Iterator<Item = (u8, bool)>) {
        let mut cells = [Results::default(); CELLS as usize];
        for (cell, accepted) in results {
            cells[usize::from(cell)].add(accepted);
        }
        self.opens = None;
        for (cell, _) in cells
            .iter()
            .enumerate()
            .filter(|(_, results)| results.refused > 0.0)
        {
            self.refused |= Interval::of(cell).bits();
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
        self.refused &= self
            .lanes
            .iter()
            .fold(0, |bits, lane| bits | lane.cells.bits());
    }

    fn index_of(&self, cell: u8) -> Option<usize> {
        let holds_cell = |lane: &Lane| lane.cells.range().contains(&usize::from(cell));
        self.lanes.iter().position(holds_cell)
    }

    /// Splits the lanes whose halves differ; a part without refusals needs no lane.
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
            // The rates have changed: later results are compared anew.
            self.evidence[cells.range()].fill(Results::default());
        }
    }

    /// Makes lanes where records outside of all lanes were refused. `before` is the rate at which the stream accepted records before this call.
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
            true => self.with_gaps(stretches, &free),
            false => Interval::ALL.unlike_parts(cells),
        };
        for part in parts {
            let refused = part.range().filter(|cell| free[*cell].refused > 0.0);
            // In a call of a few records, only the refused ones show where the shard begins and ends.
            let Some(refused) = refused.map(Interval::of).reduce(Interval::cover) else {
                continue;
            };
            let new = if known { part } else { refused };
            let results = new.sum(&free);
            let share = results.total() / all.total();
            let accepted = before * share + results.accepted;
            // All that a call begins takes a record a second together, however little is known of the shards.
            let least = (results.refused / all.refused).max(LEAST_RATE);
            let rate = accepted
                .max(GUESS * results.refused)
                .clamp(least, MOST_RATE);
            let mut lane = Lane::new(new, rate, now, self.random.fraction());
            lane.accepted.add(now, WINDOW, accepted);
            // Lanes within it belong to the same shard as far as can be told; so do lanes beside it with a similar rate and nothing accepted in
            // between.
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

    /// The stretches, and each gap between two of them or two lanes in which a record was refused: its shard is unknown until one of its records is
    /// accepted. Beyond the outermost, a gap reaches only as far as records were refused.
    fn with_gaps(&self, stretches: Vec<Interval>, cells: &[Results]) -> Vec<Interval> {
        let lanes = self.lanes.iter().map(|lane| lane.cells);
        let taken = lanes.chain(stretches.iter().copied());
        let taken = taken.fold(0, |bits, part| bits | part.bits());
        let is_refused = |cell: usize| cells[cell].refused > 0.0;
        let is_known = |cell: &usize| taken & Interval::of(*cell).bits() != 0 || is_refused(*cell);
        let mut all = 0..usize::from(CELLS);
        let (first, last) = (all.find(is_known), all.rfind(is_known));
        let (first, last) = (
            first.unwrap_or_default(),
            last.or(first).unwrap_or_default(),
        );
        let free = (first..=last).map(Interval::of);
        let free = free.filter(|cell| taken & cell.bits() == 0);
        let mut parts = stretches;
        let known = parts.len();
        for cell in free {
            match parts[known..].last_mut() {
                Some(gap) if gap.first + gap.len == cell.first => gap.len += 1,
                _ => parts.push(cell),
            }
        }
        parts.retain(|part| part.range().any(is_refused));
        parts
    }
}

fn to_f64(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests;
