//! Runs: ranges of delivered records, however far above the head, so that posts read after an outage can go before the backlog. No I/O.
//!
//! - There are at most [`MAX_RUNS`], in order. The newest one grows at its end as its records are delivered in order.
//! - Records delivered out of order are *ahead* of the newest run, at most [`AHEAD`] above its end. They join the run when it reaches them.
//! - When the head reaches a run, it moves to the run's end, and the run is removed.

use std::ops::Range;

use crate::spool::format::acked::{MAX_AHEAD, MAX_RUNS, MAX_RUNS_BYTES, RunBits};
use crate::spool::format::block::Seq;
use crate::spool::queue::bitmap::{BITS, Bitmap};

/// How far above the end of the newest run a record may be acknowledged.
pub const AHEAD: u64 = Ahead::SPAN;

type Ahead = Bitmap<{ MAX_AHEAD / (BITS as usize / 8) }>;

/// The newest run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// Its first record.
    pub from: Seq,
    /// The oldest record from `from` on that waits.
    pub to: Seq,
    /// Records below this can be acknowledged.
    pub reach: Seq,
}

/// All runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Runs {
    /// Oldest first. Only the last may be empty.
    list: Vec<Range<Seq>>,
    /// Records above the end of the last run.
    ahead: Ahead,
}

impl Runs {
    /// The parts of `runs` that are within `known`.
    pub fn of(runs: impl IntoIterator<Item = Range<Seq>>, known: Range<Seq>) -> Self {
        let mut list = Vec::new();
        for run in runs {
            let run = run.start.max(known.start)..run.end.min(known.end);
            if run.start < run.end || run.start == run.end && run.start > known.start {
                list.push(run);
            }
        }
        Self {
            list,
            ahead: Ahead::default(),
        }
    }

    /// The last run; it may be empty.
    pub fn newest(&self) -> Option<Run> {
        self.list.last().map(|run| Run {
            from: run.start,
            to: run.end,
            reach: run.end + AHEAD,
        })
    }

    /// How many records they cover.
    pub fn count(&self) -> u64 {
        let runs: u64 = self.list.iter().map(|run| run.end - run.start).sum();
        runs + self.ahead.count()
    }

    /// Whether there is no run.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Whether record `seq` is delivered.
    pub fn contains(&self, seq: Seq) -> bool {
        let Some(newest) = self.list.last() else {
            return false;
        };
        match seq >= newest.end {
            true => self.ahead.contains(seq),
            false => self.list.iter().any(|run| run.contains(&seq)),
        }
    }

    /// Whether record `seq`, which is not delivered, can be noted with the newest run.
    pub fn covers(&self, seq: Seq) -> bool {
        self.newest()
            .is_some_and(|run| (run.to..run.reach).contains(&seq))
    }

    /// Adds record `seq`, which the newest run must [cover](Self::covers).
    pub fn insert(&mut self, seq: Seq) {
        let Some(newest) = self.list.last_mut() else {
            return;
        };
        if seq > newest.end {
            self.ahead.insert(seq);
            return;
        }
        newest.end = self.ahead.next_unacked(seq + 1);
        self.ahead.remove(seq + 1..newest.end);
    }

    /// Begins a run with record `at`, which becomes the newest. The rows of delivered records ahead of the last run, below `at`, become runs of
    /// their own. False, and nothing is changed, if that makes more than [`MAX_RUNS`].
    pub fn begin(&mut self, at: Seq) -> bool {
        let mut list = self.list.clone();
        let low = list.pop_if(|run| run.is_empty()).map(|run| run.end);
        let low = low.or(list.last().map(|run| run.end)).unwrap_or(at);
        if at <= low && !list.is_empty() {
            return true;
        }
        let mut ahead = self.ahead.clone();
        let mut seq = low;
        while seq < at && ahead.count_in(seq..at) > 0 {
            let end = ahead.next_unacked(seq).min(at);
            if end > seq {
                list.push(seq..end);
            }
            seq = end + 1;
        }
        ahead.remove(low..at);
        let end = ahead.next_unacked(at);
        ahead.remove(at..end);
        match list.last_mut().filter(|last| last.end == at) {
            Some(last) => last.end = end,
            None => list.push(at..end),
        }
        if list.len() > MAX_RUNS {
            return false;
        }
        *self = Self { list, ahead };
        true
    }

    /// Removes all below the head, which is now `to` and not delivered. If the head has reached the newest run, calls `left` with each record
    /// ahead of it: these are near the head now.
    pub fn pass(&mut self, to: Seq, mut left: impl FnMut(Seq)) {
        let Some(newest) = self.list.last().cloned() else {
            return;
        };
        self.list.retain(|run| run.end > to);
        if !self.list.is_empty() {
            return;
        }
        if self.ahead.count() > 0 {
            (to.max(newest.end)..newest.end + AHEAD)
                .filter(|seq| self.ahead.contains(*seq))
                .for_each(&mut left);
        }
        *self = Self::default();
    }

    /// How many records of `range` are delivered.
    pub fn count_in(&self, range: Range<Seq>) -> u64 {
        let Some(newest) = self.list.last() else {
            return 0;
        };
        let overlap = |run: &Range<Seq>| {
            let (start, end) = (run.start.max(range.start), run.end.min(range.end));
            end.saturating_sub(start)
        };
        let runs: u64 = self.list.iter().map(overlap).sum();
        runs + self.ahead.count_in(range.start.max(newest.end)..range.end)
    }

    /// The first number from `seq` on that is not delivered.
    pub fn next_unacked(&self, seq: Seq) -> Seq {
        let mut seq = seq;
        for run in self.list.iter().filter(|run| !run.is_empty()) {
            if run.contains(&seq) {
                seq = run.end;
            }
        }
        match self.list.last() {
            Some(newest) if seq >= newest.end => self.ahead.next_unacked(seq),
            _ => seq,
        }
    }

    /// The records of `range` as the payload of a RUNS fragment; empty if there is no run.
    pub fn encode(&self, range: Range<Seq>) -> heapless::Vec<u8, MAX_RUNS_BYTES> {
        let inside = |run: &Range<Seq>| run.start.max(range.start)..run.end.min(range.end);
        let runs = self.list.iter().filter(|run| run.start < range.end);
        let mut bits = RunBits {
            runs: runs.map(inside).collect(),
            ..RunBits::default()
        };
        let low = self.list.last().map_or(range.end, |newest| newest.end);
        let (base, ahead) = self.ahead.encode(low.min(range.end)..range.end);
        if !ahead.is_empty() {
            (bits.base, bits.ahead) = (base, &ahead);
        }
        bits.encode()
    }
}

#[cfg(test)]
mod tests;
