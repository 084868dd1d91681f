//! Which records wait, and what became of the others. No I/O.
//!
//! - `head <= next`. Numbers below `head` are let go; each was given one cause at the moment `head` passed it: delivered, dropped,
//!   or lost. Only `head` and `next` move, and only forward.
//! - So `appended = delivered + waiting + dropped + lost`, always. `delivered` is what remains: it has no counter of its own.
//! - Records above `head` may be delivered before those below: they are in `acked` until `head` has passed them.
//! - Records dropped from the stage while older ones wait on the card leave a gap ahead of `head`: they count as dropped at once,
//!   and as `skipped` until `head` has passed them.

use std::ops::Range;

use crate::spool::format::acked::AckedBits;
use crate::spool::format::block::{Cursor, Seq, Tally};
use crate::spool::queue::acked::Acked;
use crate::spool::queue::runs::Run;

/// The numbers of the records, and the counters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    /// The oldest record that waits.
    pub head: Seq,
    /// The number the next record gets.
    pub next: Seq,
    /// What rides along: the counters, the newest record's position, and up to where the card holds what waits.
    pub cursor: Cursor,
    /// Of the records above `head`, those that are delivered.
    pub acked: Acked,
    /// How many of them were on the card when they were acknowledged, over the life of the program: what the card has to be told of.
    pub acked_on_card: u64,
    /// What the uplink was shown last and has not acknowledged.
    in_flight: Range<Seq>,
}

/// Why numbers ahead of `head` have no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gap {
    /// They were dropped, and counted then.
    Skipped,
    /// A block that had been synced is damaged.
    Media,
    /// A block was cut off before it was synced.
    Unsynced,
}

impl Ledger {
    /// Goes on from what was found.
    pub fn new(head: Seq, next: Seq, cursor: Cursor, acked: AckedBits<'_>) -> Self {
        let next = next.max(head);
        let mut ledger = Self {
            head,
            next,
            cursor,
            acked: Acked::decode(acked, head, next),
            ..Self::default()
        };
        ledger.advance(head);
        ledger.settle();
        ledger
    }

    /// Records that wait.
    pub fn waiting(&self) -> u64 {
        (self.next - self.head)
            .saturating_sub(self.acked.count())
            .saturating_sub(self.tally().skipped)
    }

    /// Records that went through the spool and out.
    pub fn delivered(&self) -> u64 {
        let Tally {
            dropped,
            media_lost,
            unsynced_lost,
            ..
        } = *self.tally();
        let gone = dropped
            .saturating_add(media_lost)
            .saturating_add(unsynced_lost);
        self.next
            .saturating_sub(self.waiting())
            .saturating_sub(gone)
    }

    /// The counters.
    pub fn tally(&self) -> &Tally {
        &self.cursor.tally
    }

    /// The oldest record that waits and is not on the card.
    pub fn unsaved(&self) -> Seq {
        self.acked
            .next_unacked(self.cursor.card_next.max(self.head))
    }

    /// Numbers of `range` that are not known to be delivered.
    pub fn unacked_in(&self, range: Range<Seq>) -> u64 {
        let all = range.end.saturating_sub(range.start);
        all - self.acked.count_in(range)
    }

    /// The uplink was shown `shown`, from `head` on.
    pub fn show(&mut self, shown: Range<Seq>) {
        self.in_flight = shown;
    }

    /// All below `below` are delivered, or set aside. Those dropped while in flight were delivered after all.
    pub fn ack(&mut self, below: Seq) {
        let below = below.min(self.next);
        let back = below.min(self.head).min(self.in_flight.end);
        let regained = back.saturating_sub(self.in_flight.start);
        self.cursor.tally.dropped = self.tally().dropped.saturating_sub(regained);
        self.in_flight.start = self.in_flight.start.max(below);
        self.advance(below);
        self.settle();
    }

    /// Record `seq` is delivered, whatever waits before it. `low` is the oldest record in the stage. False if that is too far above the
    /// head to be noted: such a record is sent again after a restart.
    pub fn ack_one(&mut self, seq: Seq, low: Seq) -> bool {
        if seq >= self.next || self.acked.contains(seq) {
            return true;
        }
        let tally = &mut self.cursor.tally;
        if seq < self.head {
            // Dropped while in flight, and delivered after all.
            tally.dropped = tally.dropped.saturating_sub(1);
            return true;
        }
        if !self.acked.reaches(seq, self.head) {
            return false;
        }
        if seq >= self.cursor.card_next && seq < low {
            tally.dropped = tally.dropped.saturating_sub(1);
            tally.skipped = tally.skipped.saturating_sub(1);
        }
        if seq < self.cursor.card_next {
            self.acked_on_card += 1;
        }
        if seq > self.head {
            self.acked.insert(seq);
        } else {
            self.advance(seq + 1);
        }
        self.settle();
        true
    }

    /// From record `at` on, any may be acknowledged, in order or nearly so; see [`Runs::begin`](crate::spool::queue::runs::Runs::begin). False
    /// if it cannot be noted: such a record waits for its turn.
    pub fn begin_run(&mut self, at: Seq) -> bool {
        at > self.head && at <= self.next && self.acked.begin_run(at)
    }

    /// The newest run that the head has not come to.
    pub fn newest_run(&self) -> Option<Run> {
        self.acked.runs().newest()
    }

    /// The head moves up to `to`, and past what is delivered from there on.
    fn advance(&mut self, to: Seq) {
        let head = self.head;
        let to = self.acked.next_unacked(self.head.max(to));
        self.acked.remove(head..to);
        self.head = to;
    }

    /// The numbers from `head` to `to` hold no record.
    pub fn pass(&mut self, to: Seq, gap: Gap) {
        let to = to.min(self.next);
        let count = self.unacked_in(self.head..to);
        let tally = &mut self.cursor.tally;
        match gap {
            Gap::Skipped => {
                let known = count.min(tally.skipped);
                tally.skipped -= known;
                // both copies of a batch cut, and the cut blocks written over since
                tally.unsynced_lost += count - known;
            }
            Gap::Media => tally.media_lost += count,
            Gap::Unsynced => tally.unsynced_lost += count,
        }
        self.advance(to);
        self.settle();
    }

    /// Drops the oldest, all below `to`, of which `skipped` were dropped before.
    pub fn drop_below(&mut self, to: Seq, skipped: u64) {
        let to = to.min(self.next);
        let count = self.unacked_in(self.head..to);
        let tally = &mut self.cursor.tally;
        let skipped = skipped.min(tally.skipped).min(count);
        tally.dropped += count - skipped;
        tally.skipped -= skipped;
        self.advance(to);
        self.settle();
    }

    /// The stage, which reached down to `low`, is about to lose all below `to`: what waits there alone is dropped.
    pub fn drop_staged(&mut self, low: Seq, to: Seq) {
        let from = low.max(self.unsaved());
        let count = self.unacked_in(from..to.min(self.next));
        if count == 0 {
            return;
        }
        self.cursor.tally.dropped += count;
        if from == self.head {
            self.advance(to.min(self.next));
        } else {
            self.cursor.tally.skipped += count;
        }
        self.settle();
    }

    /// Of the records in the stage alone, `count` are gone by damage.
    pub fn lose_staged(&mut self, count: u64) {
        let tally = &mut self.cursor.tally;
        tally.media_lost += count;
        tally.skipped += count;
        self.settle();
    }

    /// The records from `from` to `to` are on the card; those of them below `low` were dropped from the stage meanwhile, and are
    /// saved after all.
    pub fn saved(&mut self, from: Seq, to: Seq, low: Seq) {
        let back = self.unacked_in(from.max(self.head)..low.min(to));
        let tally = &mut self.cursor.tally;
        let back = back.min(tally.skipped);
        tally.dropped = tally.dropped.saturating_sub(back);
        tally.skipped -= back;
        self.cursor.card_next = self.cursor.card_next.max(to);
        self.settle();
    }

    /// Where nothing waits, nothing can be ahead: skipped numbers that never came turned up on the card after all, in the blocks of a
    /// failed batch, or were counted with a damaged block beside them.
    fn settle(&mut self) {
        if self.head == self.next {
            let tally = &mut self.cursor.tally;
            tally.dropped = tally.dropped.saturating_sub(tally.skipped);
            tally.skipped = 0;
        }
    }
}
