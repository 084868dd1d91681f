//! The records that were read and have to wait while others pass them. No I/O.
//!
//! The window takes one byte for each of [`WINDOW`] numbers. The records themselves stay in the spool, and are read again when they may go.

use crate::spool::{Seq, WINDOW};

/// Why a record waits: the cell of a throttled lane (below 64), [`READY`] or [`SUSPECT`].
pub type Reason = u8;

/// The record may go at once.
pub const READY: Reason = 64;

/// The record goes again after another record was accepted; see [`Suspects`](crate::uplink::suspects::Suspects).
pub const SUSPECT: Reason = 65;

const NOT_PARKED: Reason = u8::MAX;

/// Which records are parked, and how far the spool was read.
#[derive(Debug, Default)]
pub struct Window {
    /// The reason of record `seq` is at `seq mod WINDOW`. Empty until the first record is parked.
    reasons: Vec<Reason>,
    parked: u64,
    /// No record below this is parked.
    low: Seq,
    /// All records below this were read.
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

    /// The next record to read.
    pub fn end(&self) -> Seq {
        self.end
    }

    /// Notes that all records below `end` were read: each is parked, in a call, or gone.
    pub fn read_to(&mut self, end: Seq) {
        self.end = end;
        if self.is_empty() {
            self.low = end;
        }
    }

    /// Only records below this may be read while the spool's oldest record is `head`.
    pub fn reach(&self, head: Seq) -> Seq {
        match self.is_empty() {
            true => head + WINDOW,
            false => head.min(self.low) + WINDOW,
        }
    }

    /// Parks record `seq`, which was read, or changes its reason.
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

    /// Removes record `seq` from the window: it goes, or is gone.
    pub fn unpark(&mut self, seq: Seq) {
        let in_reach = !self.is_empty() && (self.low..self.end).contains(&seq);
        if in_reach && self.reasons[index(seq)] != NOT_PARKED {
            self.reasons[index(seq)] = NOT_PARKED;
            self.parked -= 1;
        }
    }

    /// Why record `seq` waits. It must be parked.
    pub fn reason(&self, seq: Seq) -> Reason {
        self.reasons[index(seq)]
    }

    /// Removes all records below `head`: they have left the spool.
    pub fn forget_below(&mut self, head: Seq) {
        while self.low < head && !self.is_empty() {
            self.unpark(self.low);
            self.low += 1;
        }
        self.low = self.low.max(head.min(self.end));
        self.end = self.end.max(head);
    }

    /// The parked records with their reasons, oldest first.
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
