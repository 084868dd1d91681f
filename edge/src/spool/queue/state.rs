//! What the threads of a spool share, and the locks around it.
//!
//! Locks are taken in the order `turn`, `committer`, `reader`, `state`; see [`crate::spool`] for who holds which.

use std::ops::Range;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use crate::platform::time::Clock;
use crate::spool::format::block::{BLOCK, Seq, Vblk};
use crate::spool::media::ring::Ring;
use crate::spool::media::stage::Stage;
use crate::spool::options::Options;
use crate::spool::queue::committer::Committer;
use crate::spool::queue::ledger::Ledger;
use crate::spool::queue::reader::Reader;
use crate::spool::queue::schedule::Schedule;
use crate::spool::stats::{Destination, Stats};

/// The queue: one thread appends, one peeks and acknowledges, one commits.
#[derive(Debug)]
pub struct Spool {
    pub(in crate::spool) options: Options,
    pub(in crate::spool) clock: Arc<dyn Clock>,
    /// Held during each append, so that a large record, which goes to the card, keeps its place in the order.
    pub(in crate::spool) turn: Mutex<()>,
    pub(in crate::spool) committer: Mutex<Committer>,
    pub(in crate::spool) reader: Mutex<Reader>,
    pub(in crate::spool) state: Mutex<State>,
    /// Signals that a record was added, room became free, or the spool was closed.
    pub(in crate::spool) changed: Condvar,
    /// Signals that the committer has something to do.
    pub(in crate::spool) due: Condvar,
}

#[derive(Debug)]
pub(in crate::spool) struct State {
    pub(in crate::spool) ledger: Ledger,
    pub(in crate::spool) stage: Stage,
    pub(in crate::spool) card: Option<CardView>,
    pub(in crate::spool) place: Destination,
    /// When staged records came, oldest first: one note for each sixteenth of the deadline.
    pub(in crate::spool) marks: heapless::Deque<(Seq, Duration), 32>,
    /// The first record that was written since the waiting threads were last woken.
    pub(in crate::spool) unannounced: Option<Seq>,
    /// The record at the head, and when the source read it. Right only if it was appended to an empty spool, or was shown.
    pub(in crate::spool) oldest: (Seq, u32),
    /// The record after the last shown one, and its block on the card.
    pub(in crate::spool) shown_end: (Seq, Vblk),
    pub(in crate::spool) schedule: Schedule,
    /// How many threads sleep on `changed`.
    pub(in crate::spool) sleepers: u32,
    pub(in crate::spool) closed: Option<Duration>,
    pub(in crate::spool) written: Written,
    /// When the batch that is being written was begun.
    pub(in crate::spool) writing_since: Option<Duration>,
    /// When the current peek began.
    pub(in crate::spool) reading_since: Option<Duration>,
}

/// The synced part of the card.
#[derive(Clone, Debug)]
pub(in crate::spool) struct CardView {
    pub(in crate::spool) ring: Ring,
    /// Counts the openings of the file.
    pub(in crate::spool) generation: u32,
    /// No waiting record begins below this block.
    pub(in crate::spool) oldest: Vblk,
    /// The block after the last synced one.
    pub(in crate::spool) tail: Vblk,
    /// The blocks found at opening that may not have been synced.
    pub(in crate::spool) unsynced: Range<Vblk>,
    /// See [`Recovered::untangled_at`](crate::spool::recover::Recovered::untangled_at).
    pub(in crate::spool) untangled_at: Seq,
}

#[derive(Clone, Copy, Debug, Default)]
pub(in crate::spool) struct Written {
    pub(in crate::spool) flash_bytes: u64,
    pub(in crate::spool) syncs: u64,
}

impl Spool {
    /// Where the source continues: the position that came with the newest record; empty if none did.
    pub fn position(&self) -> Vec<u8> {
        self.lock().ledger.cursor.position.to_vec()
    }

    /// Takes no more records, and wakes every thread that waits here. Waiting records can still be peeked and acknowledged.
    pub fn close(&self) {
        let mut state = self.lock();
        state.closed.get_or_insert(self.clock.elapsed());
        self.due.notify_all();
        self.wake_sleepers(state);
    }

    /// Whether [`Self::close`] was called.
    pub fn is_closed(&self) -> bool {
        self.lock().closed.is_some()
    }

    /// What the spool holds and has counted.
    pub fn stats(&self) -> Stats {
        let state = self.lock();
        let ledger = &state.ledger;
        let waiting = ledger.waiting();
        let staged = state.stage.blocks_from(ledger.unsaved());
        let on_card = state
            .card
            .as_ref()
            .map_or(0, |card| card.tail - card.oldest);
        // If all records are acknowledged, their blocks are free, although they have not been overwritten yet.
        let blocks = if waiting == 0 { 0 } else { staged + on_card };
        let known = waiting > 0 && state.oldest.0 == ledger.head;
        let now = self.clock.elapsed();
        let lasts = |since: Option<Duration>| Some(now.saturating_sub(since?));
        Stats {
            waiting_records: waiting,
            waiting_bytes: blocks * BLOCK as u64,
            dropped: ledger.tally().dropped + ledger.tally().refused,
            appended: ledger.next + ledger.tally().refused,
            delivered: ledger.delivered(),
            media_lost: ledger.tally().media_lost,
            unsynced_lost: ledger.tally().unsynced_lost,
            capacity_bytes: state.capacity_bytes(),
            oldest: known.then(|| UNIX_EPOCH + Duration::from_secs(state.oldest.1.into())),
            flash_bytes: state.written.flash_bytes,
            syncs: state.written.syncs,
            place: state.place.clone(),
            writing_for: lasts(state.writing_since),
            reading_for: lasts(state.reading_since),
        }
    }

    pub(in crate::spool) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(in crate::spool) fn sleep<'a>(
        &self,
        mut state: MutexGuard<'a, State>,
        at_most: Option<Duration>,
    ) -> MutexGuard<'a, State> {
        state.sleepers += 1;
        let mut state = match at_most {
            None => self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner),
            Some(time) => {
                let woken = self.changed.wait_timeout(state, time);
                woken.unwrap_or_else(PoisonError::into_inner).0
            }
        };
        state.sleepers = state.sleepers.saturating_sub(1);
        state
    }

    /// Wakes the threads that sleep. To wake is a system call: it is made only if a thread sleeps, and after the lock is released.
    pub(in crate::spool) fn wake_sleepers(&self, state: MutexGuard<'_, State>) {
        let sleepers = state.sleepers;
        drop(state);
        if sleepers > 0 {
            self.changed.notify_all();
        }
    }
}

impl State {
    /// Fills `to` with blocks of the stage, including the newest records; see [`Stage::read`].
    pub(in crate::spool) fn read_stage(&mut self, vblk: Vblk, to: &mut [u8]) -> u64 {
        self.stage.flush(&self.ledger.cursor);
        self.stage.read(vblk, to)
    }

    /// Notes that no waiting record begins below block `vblk` of the card.
    pub(in crate::spool) fn release_below(&mut self, vblk: Vblk) {
        let head = self.ledger.head;
        let drained = head >= self.ledger.cursor.card_next;
        let Some(card) = &mut self.card else { return };
        let oldest = match () {
            () if drained => card.tail,
            () if head < card.untangled_at => vblk.min(card.unsynced.start),
            () => vblk.min(card.tail),
        };
        card.oldest = card.oldest.max(oldest);
    }

    /// Writes the ledger to the stage.
    pub(in crate::spool) fn note(&mut self) {
        self.stage.note(self.ledger.head, &self.ledger.cursor);
    }

    pub(in crate::spool) fn capacity_bytes(&self) -> u64 {
        let card = self.card.as_ref().map(|card| card.ring.blocks());
        card.map_or(self.stage.capacity_bytes(), |blocks| blocks * BLOCK as u64)
    }
}
