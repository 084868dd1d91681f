//! Copying records from the stage to the card.
//!
//! A save is a series of batches. Each takes one [`Snapshot`] of the state, does its I/O without the state's lock, and updates the state only
//! after a successful sync: until then the records belong to the stage.

use std::io;
use std::sync::PoisonError;

use log::warn;

use crate::spool::format::block::{Cursor, Position, Seq, Vblk};
use crate::spool::format::pack::{CARRIES_CRCS, Encoded, RecordCrc};
use crate::spool::format::superblock::BATCH;
use crate::spool::media::card::{self, Card};
use crate::spool::options::WhenFull;
use crate::spool::queue::acked::Acked;
use crate::spool::queue::committer::{Committer, Disk};
use crate::spool::queue::schedule::{CLOSING, Known};
use crate::spool::queue::state::{Spool, State};
use crate::spool::stats::Appended;
use crate::spool::walk::{Point, Walk};

/// The state that one batch works from, all of one moment.
#[derive(Debug)]
struct Snapshot {
    head: Seq,
    from: Seq,
    to: Seq,
    cursor: Cursor,
    acked: Acked,
    acked_on_card: u64,
    oldest: Vblk,
}

/// A batch ends before this many delivered records in a row: leaving them out is worth one more sync.
const LONG_ROW: u64 = 256;

#[derive(Debug, PartialEq, Eq)]
enum Progress {
    Done,
    More,
    Full,
}

impl Spool {
    /// Writes all that waits, and the acknowledgements, to the card now.
    pub fn commit(&self) {
        self.save(true);
    }

    /// Saves what is due; if `asked`, also what could wait longer.
    pub(in crate::spool) fn save(&self, asked: bool) {
        let mut committer = self
            .committer
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        self.save_with(&mut committer, asked);
    }

    fn save_with(&self, committer: &mut Committer, asked: bool) {
        if !self.ready(committer, asked) {
            return;
        }
        let began = self.clock.elapsed();
        let goal = self.lock().ledger.next;
        self.attempt(committer, |spool, committer| {
            loop {
                match spool.save_batch(committer, goal, asked)? {
                    Progress::More => {}
                    progress => return Ok(progress),
                }
            }
        });
        let took = self.clock.elapsed() - began;
        let mut state = self.lock();
        let lead = &mut state.schedule.lead;
        *lead = (took * 2).max(*lead - *lead / 8);
    }

    /// Does `work`, and repeats it once in new blocks if it fails. If that fails too, stops using the card for a while and returns `None`.
    fn attempt(
        &self,
        committer: &mut Committer,
        work: impl Fn(&Self, &mut Committer) -> io::Result<Progress>,
    ) -> Option<Progress> {
        self.lock().writing_since = Some(self.clock.elapsed());
        let first = match work(self, committer) {
            Ok(progress) => return self.finish(progress),
            Err(error) => error,
        };
        warn!(
            "the newest records could not be written to the card ({first}): trying again in other blocks"
        );
        self.lock().writing_since = Some(self.clock.elapsed());
        match work(self, committer) {
            Ok(progress) => self.finish(progress),
            Err(error) => {
                self.give_up(committer, &error);
                None
            }
        }
    }

    fn finish(&self, progress: Progress) -> Option<Progress> {
        let mut state = self.lock();
        state.writing_since = None;
        state.schedule.full_at = (progress == Progress::Full).then_some(state.ledger.head);
        if progress == Progress::Full {
            state.schedule.not_before = self.clock.elapsed() + CLOSING;
        }
        Some(progress)
    }

    /// Writes one batch: the records from the first unsaved one on, as far as there is room. Done if all below `goal` are saved.
    fn save_batch(
        &self,
        committer: &mut Committer,
        goal: Seq,
        asked: bool,
    ) -> io::Result<Progress> {
        let Disk::Ready(card) = &mut committer.card else {
            return Ok(Progress::Done);
        };
        let (staged, wanted, oldest) = {
            let state = self.lock();
            let staged = state.stage.blocks_from(state.unsaved_here());
            let wanted = state.cursor_wanted(asked, self.clock.elapsed());
            (staged, wanted, state.card_oldest(card.tail))
        };
        if staged == 0 && !wanted {
            return Ok(Progress::Done);
        }
        if staged == 0 && !card.can_note(oldest) && !card.can_note(self.find_oldest(card)) {
            return Ok(Progress::Full);
        }
        let want = (staged + 2).min(BATCH).min(card.ring.blocks() / 2);
        if staged > 0 && !self.make_room(card, want)? {
            return Ok(Progress::Full);
        }
        let mut snapshot = self.lock().snapshot();
        card.begin(snapshot.head, snapshot.from);
        let end = (card.floor + card.ring.blocks() - 1).min(card.tail + BATCH);
        let saved = self.copy(card, &mut committer.walk, &snapshot, end)?;
        if saved < snapshot.to {
            snapshot.cursor.position = self.position_before(&committer.walk, saved);
        }
        if saved == snapshot.from && staged > 0 && !wanted {
            return Ok(Progress::Full);
        }
        snapshot.cursor.card_next = saved;
        snapshot.commit(card)?;
        self.publish(card, &snapshot, None);
        match (saved >= goal, saved > snapshot.from) {
            (true, _) => Ok(Progress::Done),
            (false, true) => Ok(Progress::More),
            (false, false) => Ok(Progress::Full),
        }
    }

    /// Copies staged records into the batch, up to block `end`. Returns the first record that was not copied.
    fn copy(
        &self,
        card: &mut Card,
        walk: &mut Walk,
        snapshot: &Snapshot,
        end: Vblk,
    ) -> io::Result<Seq> {
        if snapshot.from == snapshot.to {
            return Ok(snapshot.to);
        }
        {
            let state = self.lock();
            walk.switch(state.stage.ring());
            if CARRIES_CRCS {
                walk.carry_crcs();
            }
            walk.seek(Point::start_of(state.stage.block_of(snapshot.from)));
        }
        let mut load = |vblk, to: &mut [u8]| Ok(self.lock().read_stage(vblk, to));
        let mut expected = snapshot.from;
        while expected < snapshot.to {
            let Some(found) = walk.next(&mut load) else {
                break;
            };
            if found.seq < expected {
                continue;
            }
            // Records were dropped from the stage during the copy: the next batch begins after the gap.
            if found.seq > expected {
                break;
            }
            if snapshot.acked.next_unacked(expected) >= expected + LONG_ROW {
                break;
            }
            let record = Encoded::new(found.record, found.when);
            if card.tail + record.blocks(0) + 1 > end {
                break;
            }
            card.put(expected, &record, found.crc)?;
            expected += 1;
        }
        Ok(expected)
    }

    /// The nearest known position at or before record `saved`.
    fn position_before(&self, walk: &Walk, saved: Seq) -> Position {
        match walk.cursor() {
            Some((seq, cursor)) if *seq <= saved => cursor.position.clone(),
            _ => self.lock().schedule.known.cursor.position.clone(),
        }
    }

    /// Updates the state after a successful sync: the batch's records are on the card. `large` is its only record, if it was never in the stage.
    fn publish(&self, card: &mut Card, snapshot: &Snapshot, large: Option<Seq>) {
        card.floor = card.floor.max(snapshot.oldest);
        let mut state = self.lock();
        if let Some(seq) = large {
            let State { stage, ledger, .. } = &mut *state;
            ledger.next = seq + 1;
            ledger.cursor.position = snapshot.cursor.position.clone();
            stage.jump_over(seq, &ledger.cursor);
        }
        let low = state.stage.low();
        state
            .ledger
            .saved(snapshot.from, snapshot.cursor.card_next, low);
        state.settle_card(card.tail);
        state.unmark();
        state.schedule.known = Known {
            head: snapshot.head,
            acked: snapshot.acked_on_card,
            cursor: snapshot.cursor.clone(),
            oldest: snapshot.oldest,
            at: self.clock.elapsed(),
        };
        state.writing_since = Some(state.schedule.known.at);
        state.written.flash_bytes = card.written_bytes;
        state.written.syncs += 1;
        state.note();
        self.wake_sleepers(state);
    }

    /// Makes room for `want` blocks, or at least some, and with [`WhenFull::DropOldest`] for the next batch too. False if there is no room.
    fn make_room(&self, card: &mut Card, want: u64) -> io::Result<bool> {
        let ahead = (card.ring.blocks() / 8).min(BATCH);
        if self.options.when_full == WhenFull::DropOldest {
            let oldest = self.lock().card_oldest(card.tail);
            let short = (want + ahead).saturating_sub(card.room(oldest));
            if short > 0 {
                self.drop_oldest(card, oldest + short);
            }
        }
        if card.room(card.floor) >= want {
            return Ok(true);
        }
        // Blocks that were acknowledged since may be overwritten only after a cursor on the card says so.
        self.find_oldest(card);
        let mut snapshot = self.lock().snapshot();
        if snapshot.oldest > card.floor && card.can_note(snapshot.oldest) {
            let known = self.lock().schedule.known.cursor.position.clone();
            snapshot.to = snapshot.from;
            snapshot.cursor.card_next = snapshot.from;
            snapshot.cursor.position = known;
            card.begin(snapshot.head, snapshot.from);
            snapshot.commit(card)?;
            self.publish(card, &snapshot, None);
        }
        Ok(card.room(card.floor) >= 2)
    }

    /// Finds the first block that is needed. Before, it is only roughly known if records were acknowledged in the middle of what was shown.
    fn find_oldest(&self, card: &Card) -> Vblk {
        let (head, view) = {
            let state = self.lock();
            (state.ledger.head, state.card.clone())
        };
        let Some(view) = view else { return card.tail };
        let oldest = card::locate(&card.ring, view.oldest, view.tail, head);
        let mut state = self.lock();
        state.release_below(oldest);
        state.card_oldest(card.tail)
    }

    /// Drops the oldest records: all that begin below block `target`.
    fn drop_oldest(&self, card: &Card, target: Vblk) {
        let (head, oldest, card_next, skipped, acked) = {
            let state = self.lock();
            let ledger = &state.ledger;
            let oldest = state.card_oldest(card.tail);
            (
                ledger.head,
                oldest,
                ledger.cursor.card_next,
                ledger.tally().skipped,
                ledger.acked.clone(),
            )
        };
        let (vblk, to) =
            card::first_live(&card.ring, target, card.tail).unwrap_or((card.tail, card_next));
        let to = to.min(card_next);
        let skipped = match skipped {
            0 => 0,
            _ => card::skipped_between(&card.ring, oldest, vblk, head, to, &|range| {
                range.end.saturating_sub(range.start) - acked.count_in(range)
            }),
        };
        let mut state = self.lock();
        state.ledger.drop_below(to, skipped);
        if let Some(view) = &mut state.card {
            view.oldest = view.oldest.max(vblk.min(view.tail));
        }
        state.note();
    }

    /// Adds a record that is too large for the stage: saves all others, then writes it to the card and syncs.
    pub(in crate::spool) fn append_to_card(
        &self,
        record: &Encoded<'_>,
        position: Position,
    ) -> Appended {
        self.flush();
        loop {
            let mut committer = self
                .committer
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            if self.lock().closed.is_some() {
                return Appended::Closed;
            }
            let mut fits = true;
            if self.ready(&mut committer, true) {
                self.save_with(&mut committer, true);
                if let Disk::Ready(card) = &committer.card {
                    fits = record.blocks(0) + 3 <= card.ring.blocks() / 2;
                }
                let put = |spool: &Self, committer: &mut Committer| {
                    spool.put_large(committer, record, &position)
                };
                if fits && self.attempt(&mut committer, put) == Some(Progress::Done) {
                    return Appended::Kept(self.lock().ledger.next - 1);
                }
            }
            drop(committer);
            let mut state = self.lock();
            if !fits || self.options.when_full != WhenFull::Block {
                state.ledger.cursor.tally.refused += 1;
                state.note();
                warn!(
                    "a record of {} bytes was dropped: it is too large for the stage, and {}",
                    record.len(),
                    if fits {
                        "the card cannot take it now"
                    } else {
                        "for half the card: choose a larger --spool-size"
                    }
                );
                return Appended::Dropped;
            }
            drop(self.sleep(state, Some(CLOSING)));
        }
    }

    fn put_large(
        &self,
        committer: &mut Committer,
        record: &Encoded<'_>,
        position: &Position,
    ) -> io::Result<Progress> {
        let Disk::Ready(card) = &mut committer.card else {
            return Ok(Progress::Full);
        };
        let want = record.blocks(0) + 2;
        let unsaved = {
            let state = self.lock();
            state.ledger.unsaved() < state.ledger.next
        };
        if unsaved || !self.make_room(card, want)? || card.room(card.floor) < want {
            return Ok(Progress::Full);
        }
        if want > card.ring.spec().batch() {
            card.ring.enlarge()?;
            if let Some(view) = &mut self.lock().card {
                view.ring = card.ring.clone();
            }
        }
        let mut snapshot = self.lock().snapshot();
        let seq = snapshot.to;
        card.begin(snapshot.head, seq);
        card.put(seq, record, RecordCrc::of(seq, record))?;
        snapshot.cursor.position = position.clone();
        snapshot.cursor.card_next = seq + 1;
        snapshot.commit(card)?;
        self.publish(card, &snapshot, Some(seq));
        Ok(Progress::Done)
    }
}

impl Snapshot {
    /// Ends the batch with a sync. Records acknowledged above the head are noted as far as they are on the card, with this batch.
    fn commit(&self, card: &mut Card) -> io::Result<()> {
        let acked = self.acked.encode(self.head..self.cursor.card_next);
        card.commit(&self.cursor, acked.bits())
    }
}

impl State {
    /// The oldest record that waits only in the stage.
    fn unsaved_here(&self) -> Seq {
        self.ledger.unsaved().max(self.stage.low())
    }

    fn card_oldest(&self, tail: Vblk) -> Vblk {
        self.card.as_ref().map_or(tail, |card| card.oldest)
    }

    fn snapshot(&self) -> Snapshot {
        Snapshot {
            head: self.ledger.head,
            from: self.unsaved_here().min(self.ledger.next),
            to: self.ledger.next,
            cursor: self.ledger.cursor.clone(),
            acked: self.ledger.acked.clone(),
            acked_on_card: self.ledger.acked_on_card,
            oldest: self.card.as_ref().map_or(0, |card| card.oldest),
        }
    }

    /// Notes that all blocks below `tail` are synced.
    fn settle_card(&mut self, tail: Vblk) {
        self.ledger.cursor.card_tail = tail;
        if let Some(card) = &mut self.card {
            card.tail = tail;
        }
        self.release_below(0);
    }
}
