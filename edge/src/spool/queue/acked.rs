//! The numbers above the head that are delivered already: what lets the uplink pass by records that have to wait. No I/O.
//!
//! - Numbers count from the record's own, never from the head: a set that is older or newer than the head it is read with is still true.
//! - At most [`WINDOW`] numbers from the head's on: a fixed amount of memory, taken when the first one is needed.

use std::ops::Range;

use crate::spool::format::block::{MAX_ACKED, Seq};

/// How far above the head a record may be acknowledged.
pub const WINDOW: u64 = (WORDS as u64 - 1) * BITS;

const BITS: u64 = 64;
const WORDS: usize = MAX_ACKED / 8;

/// A set of numbers, all at least `head` and less than `head + WINDOW`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Acked {
    /// A bit for each number; that of `seq` in word `seq / 64 mod WORDS`. Empty until there is one.
    words: Vec<u64>,
    count: u64,
    /// None is here or after: so no other number is taken for one whose bit it shares.
    end: Seq,
}

impl Acked {
    /// How many there are.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Whether `seq` is one.
    pub fn contains(&self, seq: Seq) -> bool {
        self.count > 0 && seq < self.end && self.words[word(seq)] & bit(seq) != 0
    }

    /// Adds `seq`; false if it was one before.
    pub fn insert(&mut self, seq: Seq) -> bool {
        if self.words.is_empty() {
            self.words = vec![0; WORDS];
        }
        let is_new = self.words[word(seq)] & bit(seq) == 0;
        self.words[word(seq)] |= bit(seq);
        self.count += u64::from(is_new);
        self.end = self.end.max(seq + 1);
        is_new
    }

    /// Takes away those of `range`, and says how many there were.
    pub fn remove(&mut self, range: Range<Seq>) -> u64 {
        let count = self.count_in(range.clone());
        if count > 0 {
            for (word, mask) in pieces(range.start..range.end.min(self.end)) {
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
        pieces(range.start..range.end.min(self.end))
            .map(|(word, mask)| u64::from((self.words[word] & mask).count_ones()))
            .sum()
    }

    /// The first number from `seq` on that is none.
    pub fn next_unacked(&self, mut seq: Seq) -> Seq {
        while self.count > 0 && seq < self.end {
            let ones = u64::from((self.words[word(seq)] >> (seq % BITS)).trailing_ones());
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
            for (word, mask) in pieces(range) {
                // Cannot fail: it has room for every word.
                let _ = bytes.extend_from_slice(&(self.words[word] & mask).to_le_bytes());
            }
        }
        while bytes.last() == Some(&0) {
            bytes.pop();
        }
        (base, bytes)
    }

    /// The numbers of a bitmap that begins with `base`, as far as they lie in `head..next` and within the window.
    pub fn decode(base: Seq, bitmap: &[u8], head: Seq, next: Seq) -> Self {
        let mut acked = Self::default();
        let end = next.min(head.saturating_add(WINDOW));
        for (i, byte) in bitmap.iter().enumerate() {
            for bit in (0..8).filter(|bit| byte >> bit & 1 == 1) {
                let seq = base.saturating_add(i as u64 * 8 + bit);
                if (head..end).contains(&seq) {
                    acked.insert(seq);
                }
            }
        }
        acked
    }
}

fn word(seq: Seq) -> usize {
    (seq / BITS % WORDS as u64) as usize
}

fn bit(seq: Seq) -> u64 {
    1 << (seq % BITS)
}

/// The words of `range`, each once at most, with a mask of the bits that are in it.
fn pieces(range: Range<Seq>) -> impl Iterator<Item = (usize, u64)> {
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

#[cfg(test)]
mod tests;
