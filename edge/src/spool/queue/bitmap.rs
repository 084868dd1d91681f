//! A set of numbers that lie near each other: a bit for each, in a ring of words. No I/O.

use std::ops::Range;

use crate::spool::format::acked::MAX_ACKED;
use crate::spool::format::block::Seq;

/// Numbers in a word.
pub const BITS: u64 = 64;

/// A set of numbers, the highest less than [`Self::SPAN`] above the lowest that may be in it. That one is the user's to know: a lower number is
/// taken for another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bitmap<const WORDS: usize> {
    /// A bit for each number; that of `seq` in word `seq / 64 mod WORDS`. Empty until there is one.
    words: Vec<u64>,
    count: u64,
    /// None is here or after: so no other number is taken for one whose bit it shares.
    end: Seq,
}

impl<const WORDS: usize> Bitmap<WORDS> {
    /// How far a number may lie above the lowest.
    pub const SPAN: u64 = (WORDS as u64 - 1) * BITS;

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Whether `seq` is one.
    pub fn contains(&self, seq: Seq) -> bool {
        self.count > 0 && seq < self.end && self.words[word::<WORDS>(seq)] & bit(seq) != 0
    }

    /// Adds `seq`; false if it was one before.
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

    /// Takes away those of `range`, and says how many there were.
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

    /// How many there are in `range`.
    pub fn count_in(&self, range: Range<Seq>) -> u64 {
        if self.count == 0 {
            return 0;
        }
        pieces::<WORDS>(range.start..range.end.min(self.end))
            .map(|(word, mask)| u64::from((self.words[word] & mask).count_ones()))
            .sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The first number from `seq` on that is none.
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

    /// Those of `range` as the bytes of a bitmap that begins with its start's multiple of 64 (the first number returned), without zeros at
    /// its end.
    pub fn encode(&self, range: Range<Seq>) -> (Seq, heapless::Vec<u8, MAX_ACKED>) {
        let base = range.start / BITS * BITS;
        let mut bytes = heapless::Vec::new();
        if self.count > 0 {
            let range = range.start..range.end.min(self.end);
            for (word, mask) in pieces::<WORDS>(range) {
                // Cannot fail: it has room for every word.
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

/// The words of `range`, each once at most, with a mask of the bits that are in it.
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
