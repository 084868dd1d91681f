//! A set of numbers that are close together: one bit a number, in a ring of words. No I/O.

use std::ops::Range;

use crate::spool::format::acked::MAX_ACKED;
use crate::spool::format::block::Seq;

/// Numbers of one word.
pub const BITS: u64 = 64;

/// A set of numbers that are all within [`Self::SPAN`] of the lowest number that may be in it. The caller knows that number, and must not ask for
/// a lower one: it would be mistaken for another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bitmap<const WORDS: usize> {
    /// The bit of `seq` is in word `seq / 64 mod WORDS`. Empty until the first number is added.
    words: Vec<u64>,
    count: u64,
    /// No number from here on is in the set: so a number that shares another's bit is not mistaken for it.
    end: Seq,
}

impl<const WORDS: usize> Bitmap<WORDS> {
    /// How far a number may be above the lowest.
    pub const SPAN: u64 = (WORDS as u64 - 1) * BITS;

    /// How many numbers are in the set.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Whether `seq` is in the set.
    pub fn contains(&self, seq: Seq) -> bool {
        self.count > 0 && seq < self.end && self.words[word::<WORDS>(seq)] & bit(seq) != 0
    }

    /// Adds `seq`. False if it was in the set before.
    pub fn insert(&mut self, seq: Seq) -> bool {
        if self.words.is_empty() {
            self.words = vec![0; WORDS];
        }
        let is_new = self.words[word::<WORDS>(seq)] & bit(seq) == 0;
        self.words[word::<WORDS>(seq)] |= bit(seq);
        self.count += u64::from(is_new);
        self.end = self.end.max(seq + 1);
        is_new
    }

    /// Removes the numbers of `range`, and returns how many were in the set.
    pub fn remove(&mut self, range: Range<Seq>) -> u64 {
        let count = self.count_in(range.clone());
        if count > 0 {
            for (word, mask) in pieces::<WORDS>(range.start..range.end.min(self.end)) {
                self.words[word] &= !mask;
            }
            self.count -= count;
        }
        count
    }

    /// How many numbers of `range` are in the set.
    pub fn count_in(&self, range: Range<Seq>) -> u64 {
        if self.count == 0 {
            return 0;
        }
        pieces::<WORDS>(range.start..range.end.min(self.end))
            .map(|(word, mask)| u64::from((self.words[word] & mask).count_ones()))
            .sum()
    }

    /// Whether the set is empty.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The first number from `seq` on that is not in the set.
    pub fn next_unacked(&self, mut seq: Seq) -> Seq {
        while self.count > 0 && seq < self.end {
            let ones = u64::from((self.words[word::<WORDS>(seq)] >> (seq % BITS)).trailing_ones());
            seq += ones;
            if ones == 0 || !seq.is_multiple_of(BITS) {
                break;
            }
        }
        seq
    }

    /// The numbers of `range` as the bytes of a bitmap without zeros at its end, and the number of its first bit: the start of `range`, rounded
    /// down to a multiple of 64.
    pub fn encode(&self, range: Range<Seq>) -> (Seq, heapless::Vec<u8, MAX_ACKED>) {
        let base = range.start / BITS * BITS;
        let mut bytes = heapless::Vec::new();
        if self.count > 0 {
            let range = range.start..range.end.min(self.end);
            for (word, mask) in pieces::<WORDS>(range) {
                // Cannot fail: there is room for every word.
                let _ = bytes.extend_from_slice(&(self.words[word] & mask).to_le_bytes());
            }
        }
        while bytes.last() == Some(&0) {
            bytes.pop();
        }
        (base, bytes)
    }
}

fn word<const WORDS: usize>(seq: Seq) -> usize {
    (seq / BITS % WORDS as u64) as usize
}

fn bit(seq: Seq) -> u64 {
    1 << (seq % BITS)
}

/// The words that have bits of `range`, each at most once, with a mask of these bits.
fn pieces<const WORDS: usize>(range: Range<Seq>) -> impl Iterator<Item = (usize, u64)> {
    let first = range.start / BITS;
    let last = range.end.div_ceil(BITS).min(first + WORDS as u64);
    (first..last.max(first)).map(move |word| {
        let low = range.start.saturating_sub(word * BITS);
        let high = (range.end - word * BITS).min(BITS);
        let below = |count: u64| {
            if count >= BITS {
                u64::MAX
            } else {
                (1 << count) - 1
            }
        };
        ((word % WORDS as u64) as usize, below(high) & !below(low))
    })
}
