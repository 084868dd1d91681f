//! Which records wait, and what happened to the others. No I/O.
//!
//! - `head <= next`, and both only grow. Records below `head` are done: each was counted once, as delivered, dropped or lost, when `head` passed it.
//! - So always `appended = delivered + waiting + dropped + lost`. `delivered` is the rest of this sum: it has no counter of its own.
//! - Records above `head` may be delivered before those below: they are in `acked` until `head` has passed them.
//! - Records dropped from the stage while older ones wait on the card leave a gap above `head`: they count as dropped at once, and as `skipped`
//!   until `head` has passed them.

use std::ops::Range;

use crate::spool::format::acked::AckedBits;
use crate::spool::format::block::{Cursor, Seq, Tally};
use crate::spool::queue::acked::Acked;
use crate::spool::queue::runs::Run;

/// Which records wait, by their numbers, and the counters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    /// The oldest record that waits.
    pub head: Seq,
    /// The number of the next record to be appended.
    pub next: Seq,
    /// The counters, the newest record's position, and how far the card holds the waiting records.
    pub cursor: Cursor,
    /// The records above `head` that are delivered.
    pub acked: Acked,
    /// How many records of the card were acknowledged above `head`, since the start: the card has to note them.
    pub acked_on_card: u64,
    /// The records that were last shown and are not acknowledged.
    in_flight: Range<Seq>,
}

/// Why numbers from `head` on have no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gap {
    /// The records were dropped, and were counted then.
    Skipped,
    /// A block that had been synced is damaged.
    Media,
    /// A power cut came before their block was synced.
    Unsynced,
}

impl Ledger {
    /// Continues with what was found at opening.
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

    /// How many records wait.
    pub fn waiting(&self) -> u64 {
        (self.next - self.head)
            .saturating_sub(self.acked.count())
            .saturating_sub(self.tally().skipped)
    }

    /// How many records were delivered over the spool's whole life.
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

    /// How many numbers of `range` are not noted as delivered.
    pub fn unacked_in(&self, range: Range<Seq>) -> u64 {
        let all = range.end.saturating_sub(range.start);
        all - self.acked.count_in(range)
    }

    /// Notes that the records of `shown`, from `head` on, were shown.
    pub fn show(&mut self, shown: Range<Seq>) {
        self.in_flight = shown;
    }

    /// Acknowledges all records below `below`. Those that were dropped while in flight were delivered after all.
    pub fn ack(&mut self, below: Seq) {
        let below = below.min(self.next);
        let back = below.min(self.head).min(self.in_flight.end);
        let regained = back.saturating_sub(self.in_flight.start);
        self.cursor.tally.dropped = self.tally().dropped.saturating_sub(regained);
        self.in_flight.start = self.in_flight.start.max(below);
        self.advance(below);
        self.settle();
    }

    /// Acknowledges record `seq`, even if older ones wait. `low` is the oldest record in the stage. False if it is too far above the head to be
    /// noted: such a record is sent again after a restart.
    pub fn ack_one(&mut self, seq: Seq, low: Seq) -> bool {
        if seq >= self.next || self.acked.contains(seq) {
            return true;
        }
        let tally = &mut self.cursor.tally;
        if seq < self.head {
            // It was dropped while in flight, and delivered after all.
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

    /// Begins a run at record `at`; see [`Runs::begin`](crate::spool::queue::runs::Runs::begin). False if that is not possible: then the records
    /// from `at` on wait for their turn.
    pub fn begin_run(&mut self, at: Seq) -> bool {
        at > self.head && at <= self.next && self.acked.begin_run(at)
    }

    /// The newest run above the head.
    pub fn newest_run(&self) -> Option<Run> {
        self.acked.runs().newest()
    }

    /// Moves the head to `to`, and past the records from there on that are delivered.
    fn advance(&mut self, to: Seq) {
        let head = self.head;
        let to = self.acked.next_unacked(self.head.max(to));
        self.acked.remove(head..to);
        self.head = to;
    }

    /// Moves the head to `to`, over numbers without records, and counts them by their cause.
    pub fn pass(&mut self, to: Seq, gap: Gap) {
        let to = to.min(self.next);
        let count = self.unacked_in(self.head..to);
        let tally = &mut self.cursor.tally;
        match gap {
            Gap::Skipped => {
                let known = count.min(tally.skipped);
                tally.skipped -= known;
                // A power cut tore both copies of a batch, and the torn blocks were overwritten since.
                tally.unsynced_lost += count - known;
            }
            Gap::Media => tally.media_lost += count,
            Gap::Unsynced => tally.unsynced_lost += count,
        }
        self.advance(to);
        self.settle();
    }

    /// Drops the oldest records, all below `to`. Of these, `skipped` were dropped before.
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

    /// Drops the records that wait only in the stage, from `low` to `to`: new ones are about to overwrite them.
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

    /// Counts `count` records that were only in the stage as lost by damage.
    pub fn lose_staged(&mut self, count: u64) {
        let tally = &mut self.cursor.tally;
        tally.media_lost += count;
        tally.skipped += count;
        self.settle();
    }

    /// Notes that the records from `from` to `to` are on the card. Those below `low`, which were dropped from the stage meanwhile, are saved after
    /// all.
    pub fn saved(&mut self, from: Seq, to: Seq, low: Seq) {
        let back = self.unacked_in(from.max(self.head)..low.min(to));
        let tally = &mut self.cursor.tally;
        let back = back.min(tally.skipped);
        tally.dropped = tally.dropped.saturating_sub(back);
        tally.skipped -= back;
        self.cursor.card_next = self.cursor.card_next.max(to);
        self.settle();
    }

    /// If nothing waits, no gap can be ahead: skipped numbers that were not met were on the card after all, in the blocks of a failed batch, or
    /// were counted with a damaged block beside them.
    fn settle(&mut self) {
        if self.head == self.next {
            let tally = &mut self.cursor.tally;
            tally.dropped = tally.dropped.saturating_sub(tally.skipped);
            tally.skipped = 0;
        }
    }
}
