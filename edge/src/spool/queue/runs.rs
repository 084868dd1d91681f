//! Rows of numbers that are delivered, however far above the head: posts that were read after an outage go before the backlog. No I/O.
//!
//! - At most [`MAX_RUNS`], which follow each other. The newest one grows at its end as its records are delivered in order.
//! - Those delivered out of order lie *ahead* of the newest run, at most [`AHEAD`] above its end: the run takes them in once it has come to them.
//! - A run goes when the head has come to it and jumps to its end.

use std::ops::Range;

use crate::spool::format::acked::{MAX_AHEAD, MAX_RUNS, MAX_RUNS_BYTES, RunBits};
use crate::spool::format::block::Seq;
use crate::spool::queue::bitmap::{BITS, Bitmap};

/// How far above the end of the newest run a record may be acknowledged.
pub const AHEAD: u64 = Ahead::SPAN;

type Ahead = Bitmap<{ MAX_AHEAD / (BITS as usize / 8) }>;

/// The newest row of records that are acknowledged however far above the head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// Its first record.
    pub from: Seq,
    /// The record after its last: the oldest one from `from` on that waits.
    pub to: Seq,
    /// Records below this can be acknowledged.
    pub reach: Seq,
}

/// The runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Runs {
    /// Oldest first. Only the last may be empty.
    list: Vec<Range<Seq>>,
    /// All above the end of the last.
    ahead: Ahead,
}

impl Runs {
    /// These, as far as they lie in `known`.
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

    /// The newest.
    pub fn newest(&self) -> Option<Run> {
        self.list.last().map(|run| Run {
            from: run.start,
            to: run.end,
            reach: run.end + AHEAD,
        })
    }

    /// How many numbers they hold.
    pub fn count(&self) -> u64 {
        let runs: u64 = self.list.iter().map(|run| run.end - run.start).sum();
        runs + self.ahead.count()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Whether `seq` is one of theirs.
    pub fn contains(&self, seq: Seq) -> bool {
        let Some(newest) = self.list.last() else {
            return false;
        };
        match seq >= newest.end {
            true => self.ahead.contains(seq),
            false => self.list.iter().any(|run| run.contains(&seq)),
        }
    }

    /// Whether `seq`, which is none of theirs, belongs to the newest run.
    pub fn covers(&self, seq: Seq) -> bool {
        self.newest()
            .is_some_and(|run| (run.to..run.reach).contains(&seq))
    }

    /// Adds `seq`, which the newest run [covers](Self::covers).
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

    /// Begins a run with record `at`: it is the newest from now on. False, and nothing is changed, where there are too many: [`MAX_RUNS`],
    /// or that many with the rows that lie ahead of the newest one below `at`, each of which becomes a run of its own.
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

    /// The head is at `to`, which is none of theirs: all below is forgotten. Of the newest run, if the head has come to it, those ahead are
    /// `left`: near to the head now.
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

    /// How many there are in `range`.
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

    /// The first number from `seq` on that is in no run.
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

    /// Those of `range` as the payload of a RUNS fragment; empty if there is none.
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
