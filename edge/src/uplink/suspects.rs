//! Whether a refusal is caused by the record itself. No I/O.
//!
//! Kinesis refuses a call with a `ValidationException`, whose message names what is invalid: the partition key, the stream's name. If it does not
//! name a part of the record, only a comparison can tell: the record is refused, *then* another is accepted, *then* the first is refused again.
//! Until then a refused record stays in the spool: if every record is refused, the cause is the configuration.

use heapless::Vec;

use crate::spool::Seq;

/// If this many different records are refused and none is accepted, no record is the cause.
const ENOUGH: usize = 3;

/// Records that were refused, perhaps not because of themselves.
#[derive(Debug, Default)]
pub struct Suspects {
    refused: Vec<Seq, ENOUGH>,
    /// Whether another record was accepted since the first of them was refused.
    accepted: bool,
}

/// What to do about a refused record that was sent alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Set it aside: others are accepted, so it can never be.
    Impossible,
    /// Try another record, to compare.
    TryAnother,
    /// Keep all records and try again slowly: no record is the cause.
    Hold,
}

impl Suspects {
    /// Whether there is any suspect.
    pub fn any(&self) -> bool {
        !self.refused.is_empty()
    }

    /// Whether no other record was accepted yet: the next one is sent alone, to compare.
    pub fn compares(&self) -> bool {
        self.any() && !self.accepted
    }

    /// Notes that record `seq`, sent alone, was refused. `has_other` says whether another record waits that could be tried.
    pub fn refused(&mut self, seq: Seq, has_other: bool) -> Verdict {
        let known = self.refused.iter().position(|refused| *refused == seq);
        match known {
            Some(index) if self.accepted => {
                self.refused.remove(index);
                self.accepted = !self.refused.is_empty();
                return Verdict::Impossible;
            }
            Some(_) => {}
            // Cannot fail: it is emptied when it is full.
            None => drop(self.refused.push(seq)),
        }
        if self.refused.is_full() || !has_other {
            self.refused.clear();
            self.accepted = false;
            return Verdict::Hold;
        }
        Verdict::TryAnother
    }

    /// Notes that record `seq` was accepted, or several others (`None`): the suspects may be tried again.
    pub fn accepted(&mut self, seq: Option<Seq>) {
        self.refused.retain(|refused| Some(*refused) != seq);
        self.accepted = self.any();
    }
}

#[cfg(test)]
mod tests;
