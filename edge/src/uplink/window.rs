//! The records that were read and have to wait while others pass them: pure, no I/O.
//!
//! It costs a byte for each record between the oldest that waits and the newest that was read; the bytes of a record that waits stay in the
//! spool, and are read again when its turn comes.

use crate::spool::{Seq, WINDOW};

/// Why a record waits, in one byte: the cell of a throttled lane (below 64), or one of these.
pub type Reason = u8;

/// It may go at once.
pub const READY: Reason = 64;

/// It goes again once another record was accepted: see [`Suspects`](crate::uplink::suspects::Suspects).
pub const SUSPECT: Reason = 65;

const NOT_PARKED: Reason = u8::MAX;

/// Which records are parked, and how far the spool was read.
#[derive(Debug, Default)]
pub struct Window {
    /// That of record `seq` at `seq mod WINDOW`. Empty until the first is parked.
    reasons: Vec<Reason>,
    parked: u64,
    /// None is parked below.
    low: Seq,
    /// The next record to be read.
    end: Seq,
}

impl Window {
    /// Whether no record is parked.
    pub fn is_empty(&self) -> bool {
        self.parked == 0
    }

    /// The oldest parked record.
    pub fn lowest(&self) -> Option<Seq> {
        self.parked().next().map(|(seq, _)| seq)
    }

    /// The next record to be read.
    pub fn end(&self) -> Seq {
        self.end
    }

    /// All below `end` was read: it is parked, in a call, or gone.
    pub fn read_to(&mut self, end: Seq) {
        self.end = end;
        if self.is_empty() {
            self.low = end;
        }
    }

    /// Records below this may be read while the oldest that waits in the spool is `head`.
    pub fn reach(&self, head: Seq) -> Seq {
        match self.is_empty() {
            true => head + WINDOW,
            false => head.min(self.low) + WINDOW,
        }
    }

    /// Has record `seq`, which was read, wait; or wait for another reason than before.
    pub fn park(&mut self, seq: Seq, reason: Reason) {
        if self.reasons.is_empty() {
            self.reasons = vec![NOT_PARKED; WINDOW as usize];
        }
        if self.is_empty() {
            self.low = seq;
        }
        self.low = self.low.min(seq);
        let before = std::mem::replace(&mut self.reasons[index(seq)], reason);
        self.parked += u64::from(before == NOT_PARKED);
    }

    /// Record `seq` no longer waits: it goes, or is gone.
    pub fn unpark(&mut self, seq: Seq) {
        let in_reach = !self.is_empty() && (self.low..self.end).contains(&seq);
        if in_reach && self.reasons[index(seq)] != NOT_PARKED {
            self.reasons[index(seq)] = NOT_PARKED;
            self.parked -= 1;
        }
    }

    /// Why record `seq`, which is parked, waits.
    pub fn reason(&self, seq: Seq) -> Reason {
        self.reasons[index(seq)]
    }

    /// All below `head` have left the spool.
    pub fn forget_below(&mut self, head: Seq) {
        while self.low < head && !self.is_empty() {
            self.unpark(self.low);
            self.low += 1;
        }
        self.low = self.low.max(head.min(self.end));
        self.end = self.end.max(head);
    }

    /// The parked records and why they wait, oldest first.
    pub fn parked(&self) -> impl Iterator<Item = (Seq, Reason)> {
        let range = if self.is_empty() {
            0..0
        } else {
            self.low..self.end
        };
        let reasons = range.map(|seq| (seq, self.reasons[index(seq)]));
        reasons.filter(|(_, reason)| *reason != NOT_PARKED)
    }
}

fn index(seq: Seq) -> usize {
    (seq % WINDOW) as usize
}

#[cfg(test)]
mod tests;
