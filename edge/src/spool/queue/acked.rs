//! The records above the head that are delivered already, so that the uplink can pass records that have to wait. No I/O.
//!
//! - Records are noted by their numbers, not relative to the head: a set that is older or newer than the head it is read with is still right.
//! - Each of the [`WINDOW`] numbers from the head on can be noted, and above them those in [`Runs`]. Both take a fixed amount of memory, from the
//!   first record noted on.

use std::ops::Range;

use crate::spool::format::acked::{AckedBits, AckedBytes, MAX_ACKED, RunBits};
use crate::spool::format::block::Seq;
use crate::spool::queue::bitmap::{BITS, Bitmap};
use crate::spool::queue::runs::Runs;

/// How far above the head a record may be acknowledged.
pub const WINDOW: u64 = Near::SPAN;

type Near = Bitmap<{ MAX_ACKED / (BITS as usize / 8) }>;

/// A set of numbers, all at least `head`, and either below `head + WINDOW` or within reach of the newest run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Acked {
    /// The numbers that are in no run.
    near: Near,
    runs: Runs,
}

impl Acked {
    /// How many numbers are in the set.
    pub fn count(&self) -> u64 {
        self.near.count() + self.runs.count()
    }

    /// Whether the set is empty, as it normally is.
    fn is_empty(&self) -> bool {
        self.near.is_empty() && self.runs.is_empty()
    }

    /// Whether `seq` is in the set.
    pub fn contains(&self, seq: Seq) -> bool {
        self.near.contains(seq) || self.runs.contains(seq)
    }

    /// Whether `seq`, which is not in the set, can be added while the head is `head`.
    pub fn reaches(&self, seq: Seq, head: Seq) -> bool {
        seq < head + WINDOW || self.runs.covers(seq)
    }

    /// Adds `seq`, which must be [within reach](Self::reaches). False if it was in the set before.
    pub fn insert(&mut self, seq: Seq) -> bool {
        if self.contains(seq) {
            return false;
        }
        match self.runs.covers(seq) {
            true => self.runs.insert(seq),
            false => _ = self.near.insert(seq),
        }
        true
    }

    /// The numbers far above the head.
    pub fn runs(&self) -> &Runs {
        &self.runs
    }

    /// See [`Runs::begin`].
    pub fn begin_run(&mut self, at: Seq) -> bool {
        self.runs.begin(at)
    }

    /// Removes `range`, whose end is the new head.
    pub fn remove(&mut self, range: Range<Seq>) {
        self.near.remove(range.clone());
        let near = &mut self.near;
        self.runs.pass(range.end, |left| {
            near.insert(left);
        });
    }

    /// How many numbers of `range` are in the set.
    pub fn count_in(&self, range: Range<Seq>) -> u64 {
        self.near.count_in(range.clone()) + self.runs.count_in(range)
    }

    /// The first number from `seq` on that is not in the set.
    pub fn next_unacked(&self, seq: Seq) -> Seq {
        if self.is_empty() {
            return seq;
        }
        let mut seq = self.near.next_unacked(seq);
        while self.runs.contains(seq) {
            seq = self.near.next_unacked(self.runs.next_unacked(seq));
        }
        seq
    }

    /// Encodes the numbers that are in `range`.
    pub fn encode(&self, range: Range<Seq>) -> AckedBytes {
        if self.is_empty() {
            return AckedBytes::default();
        }
        let (base, bitmap) = self.near.encode(range.clone());
        AckedBytes {
            base,
            bitmap,
            runs: self.runs.encode(range),
        }
    }

    /// Decodes a set. Numbers outside of `head..next`, or out of reach, are left out.
    pub fn decode(bits: AckedBits<'_>, head: Seq, next: Seq) -> Self {
        let mut acked = Self::default();
        let mut ahead = (0, &[][..]);
        if let Some(RunBits {
            runs,
            base,
            ahead: bits,
        }) = RunBits::decode(bits.runs)
        {
            acked.runs = Runs::of(runs, head..next);
            ahead = (base, bits);
        }
        for (base, bitmap) in [ahead, (bits.base, bits.bitmap)] {
            for seq in numbers(base, bitmap) {
                if (head..next).contains(&seq) && acked.reaches(seq, head) {
                    acked.insert(seq);
                }
            }
        }
        acked
    }
}

/// The numbers whose bits are 1 in a bitmap that begins with `base`.
fn numbers(base: Seq, bitmap: &[u8]) -> impl Iterator<Item = Seq> {
    bitmap.iter().enumerate().flat_map(move |(i, byte)| {
        let ones = (0..8).filter(move |bit| byte >> bit & 1 == 1);
        ones.map(move |bit| base.saturating_add(i as u64 * 8 + bit))
    })
}

#[cfg(test)]
mod tests;
