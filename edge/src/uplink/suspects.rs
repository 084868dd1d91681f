//! Whether a refusal is a record's own fault: pure, no I/O.
//!
//! Kinesis refuses a call with a `ValidationException`, and says what of it is not as it should be: the partition key, the stream's name.
//! Where the answer does not say that it is the record, only a comparison tells: the record is refused, *then* another is accepted, *then* the
//! first is refused again. Until that was seen a record that is refused stays: what refuses every record is a matter of the set-up.

use heapless::Vec;

use crate::spool::Seq;

/// If so many different records are refused and none is accepted, it is none of theirs.
const ENOUGH: usize = 3;

/// Records that were refused for a reason that may not be theirs.
#[derive(Debug, Default)]
pub struct Suspects {
    refused: Vec<Seq, ENOUGH>,
    /// Another record was accepted since the first of them was refused.
    accepted: bool,
}

/// What follows from one more refusal of a record that was sent alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Others are accepted, and it alone is not: it can never be.
    Impossible,
    /// Another record is to be tried meanwhile.
    TryAnother,
    /// The refusal is not about a record: all of them are kept, and tried again slowly.
    Hold,
}

impl Suspects {
    /// Whether some record is under suspicion.
    pub fn any(&self) -> bool {
        !self.refused.is_empty()
    }

    /// Whether it is still to be seen that another record is accepted: the next one is sent alone.
    pub fn compares(&self) -> bool {
        self.any() && !self.accepted
    }

    /// Record `seq`, sent alone, was refused. `has_other` says whether another record waits that could be tried.
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

    /// Record `seq` was accepted, or some others were (`None`): the suspects may be tried again.
    pub fn accepted(&mut self, seq: Option<Seq>) {
        self.refused.retain(|refused| Some(*refused) != seq);
        self.accepted = self.any();
    }
}

#[cfg(test)]
mod tests;
