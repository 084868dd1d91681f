//! The card's file while the program runs: made, left alone after it failed, opened again.

use std::fs;
use std::io;
use std::time::Duration;

use log::{info, warn};

use crate::spool::format::block::Seq;
use crate::spool::format::superblock::Super;
use crate::spool::media::card::{Card, locate};
use crate::spool::media::ring::{NotARing, Ring};
use crate::spool::media::storage::OpenError;
use crate::spool::queue::committer::{Committer, Disk, RETRY};
use crate::spool::queue::schedule::Known;
use crate::spool::queue::state::{CardView, Spool};
use crate::spool::recover::{self, Recovered};
use crate::spool::stats::Destination;

/// The longest pause before a card that failed is tried again.
const MAX_RETRY: Duration = Duration::from_secs(320);

/// How long making the card's file may delay the end of the program.
const MAKING_AT_END: Duration = Duration::from_secs(5);

impl Spool {
    /// Continues without the card, which failed twice, until it can be opened again.
    pub(in crate::spool) fn give_up(&self, committer: &mut Committer, error: &io::Error) {
        let path = self.options.card.display();
        warn!(
            "{path} cannot be written ({error}): records are kept in memory, where a power cut loses them; trying again in {} s",
            committer.pause.as_secs()
        );
        committer.card = Disk::Reopen;
        let mut state = self.lock();
        state.writing_since = None;
        state.place = Destination::Memory(format!("{path} cannot be written: {error}"));
        state.schedule.not_before = self.clock.elapsed() + committer.pause;
        committer.pause = (committer.pause * 2).min(MAX_RETRY);
    }

    /// Checks whether the file of the card or the stage was removed or truncated: what is written to it would be lost. If so, continues without
    /// it. A new card is made when all records of the old one are delivered.
    pub(in crate::spool) fn look_after_files(&self, committer: &mut Committer) {
        self.lock().stage.look_after_file();
        let Disk::Ready(card) = &committer.card else {
            return;
        };
        // A card that hangs may block even this.
        self.lock().writing_since = Some(self.clock.elapsed());
        let gone = card.ring.gone();
        self.lock().writing_since = None;
        let Some(why) = gone else { return };
        let path = self.options.card.display();
        warn!(
            "{path}: {why} while the program runs; records are kept in memory, where a power cut loses them, until what the old file has is delivered and a new one is made"
        );
        let spec = Super {
            blocks: Ring::blocks_in(self.options.size_bytes),
            ..card.ring.spec()
        };
        committer.card = Disk::Make(spec, false);
        let mut state = self.lock();
        state.place = Destination::Memory(format!("{path}: {why}"));
        state.schedule.full_at = None;
        state.schedule.not_before = self.clock.elapsed();
    }

    /// Whether the open file has records to deliver, so that the new one must wait.
    fn old_file_is_needed(&self) -> bool {
        let mut state = self.lock();
        let ledger = &state.ledger;
        let needed = state.card.is_some() && ledger.head < ledger.cursor.card_next;
        if needed {
            state.schedule.not_before = self.clock.elapsed() + RETRY;
        }
        needed
    }

    /// Whether there is a card to write to. Makes or opens it if that is due, or `asked`.
    pub(in crate::spool) fn ready(&self, committer: &mut Committer, asked: bool) -> bool {
        self.look_after_files(committer);
        if matches!(committer.card, Disk::Ready(_)) {
            return true;
        }
        if matches!(committer.card, Disk::Make(..)) && self.old_file_is_needed() {
            return false;
        }
        let early = self.clock.elapsed() < self.lock().schedule.not_before;
        if matches!(committer.card, Disk::Never) || (early && !asked) {
            return false;
        }
        let result = match &committer.card {
            Disk::Make(spec, set_aside) => self.make_card(committer, *spec, *set_aside),
            _ => self.reopen_card(committer),
        };
        match result {
            Ok(()) => {
                committer.pause = RETRY;
                let mut state = self.lock();
                state.place = Destination::Card;
                self.wake_sleepers(state);
                info!("{} is in use", self.options.card.display());
                true
            }
            Err(error) => {
                let making = matches!(committer.card, Disk::Make(..));
                let kept = std::mem::replace(&mut committer.card, Disk::Reopen);
                self.give_up(committer, &error);
                if making {
                    committer.card = kept;
                }
                false
            }
        }
    }

    /// Makes the card's file and starts to use it.
    fn make_card(&self, committer: &mut Committer, spec: Super, set_aside: bool) -> io::Result<()> {
        let len = Ring::len_bytes(spec.blocks);
        info!(
            "making {} of {} MiB: until it is done, what is not delivered is in RAM alone",
            self.options.card.display(),
            len >> 20
        );
        self.lock().place = Destination::Making;
        let go_on = || {
            let state = self.lock();
            let unsaved = state.ledger.unsaved() < state.ledger.next;
            state
                .closed
                .is_none_or(|at| unsaved && self.clock.elapsed() < at + MAKING_AT_END)
        };
        let storage = committer.slot.create(len, &go_on).map_err(io_error)?;
        let ring = Ring::format(storage.clone(), spec)?;
        let mut card = Card::new(ring, committer.stamp);
        let (known, acked) = {
            let state = self.lock();
            let mut cursor = state.ledger.cursor.clone();
            if state.ledger.unsaved() < state.ledger.next {
                cursor.position = state.schedule.known.cursor.position.clone();
            }
            cursor.card_next = state.ledger.unsaved();
            let acked = &state.ledger.acked;
            let acked = acked.encode(state.ledger.head..cursor.card_next);
            let known = Known {
                head: state.ledger.head,
                acked: state.ledger.acked_on_card,
                cursor,
                oldest: 1,
                at: self.clock.elapsed(),
            };
            (known, acked)
        };
        card.begin(known.head, known.cursor.card_next);
        card.commit(&known.cursor, acked.bits())?;
        committer.slot.publish(&*storage, set_aside)?;
        let view = CardView {
            ring: card.ring.clone(),
            generation: 0,
            oldest: card.tail,
            tail: card.tail,
            unsynced: 0..0,
            untangled_at: 0,
        };
        self.install(committer, card, view, known);
        Ok(())
    }

    /// Removes the stage's file at the end of a run, if nothing waits in it and all it knows is on the card.
    pub fn retire(&self) {
        let state = self.lock();
        let needed = state.ledger.waiting() > 0
            || state.place != Destination::Card
            || state.cursor_wanted(true, self.clock.elapsed());
        if let (false, Some(path)) = (needed, &self.options.stage) {
            // If it cannot be removed, the next run finds it empty.
            let _ = fs::remove_file(path);
        }
    }

    /// Opens the card's file again after it failed, if it is the same file and no other program wrote to it.
    fn reopen_card(&self, committer: &mut Committer) -> io::Result<()> {
        let storage = committer.slot.open().map_err(io_error)?;
        let ring = Ring::open(storage).map_err(|not| match not {
            NotARing::Unreadable(error) => error,
            _ => io::Error::other("it is not the same file any more"),
        })?;
        let other = || io::Error::other("it is not the same file any more");
        if ring.is_cut_short() {
            return Err(io::Error::other("it was cut short"));
        }
        let before = self.lock().card.as_ref().map(|card| card.ring.spec());
        let found = recover::find(&ring).ok_or_else(other)?;
        let ours = committer.stamp;
        let not_after_us =
            found.epoch < ours.epoch || (found.epoch, found.run) == (ours.epoch, ours.run);
        if before.is_some_and(|before| !before.is_same_file(&ring.spec())) || !not_after_us {
            return Err(other());
        }
        let (head, card_next, mut known) = {
            let state = self.lock();
            let ledger = &state.ledger;
            (
                ledger.head,
                ledger.cursor.card_next,
                state.schedule.known.clone(),
            )
        };
        let oldest = oldest_needed(&ring, &found, head, card_next);
        known.oldest = known.oldest.min(oldest);
        let floor = floor_of(&ring, found.tail, oldest);
        let card = Card::resume(ring, ours, &found, floor);
        let view = CardView {
            ring: card.ring.clone(),
            generation: 0,
            oldest,
            tail: card.tail,
            unsynced: found.durable_vblk..found.tail,
            untangled_at: found.untangled_at(),
        };
        self.install(committer, card, view, known);
        Ok(())
    }

    fn install(&self, committer: &mut Committer, mut card: Card, view: CardView, known: Known) {
        let mut state = self.lock();
        card.written_bytes = state.written.flash_bytes;
        let generation = state.card.as_ref().map_or(0, |card| card.generation) + 1;
        state.card = Some(CardView { generation, ..view });
        state.schedule.known = known;
        state.ledger.cursor.card_tail = card.tail;
        state.note();
        committer.card = Disk::Ready(Box::new(card));
    }
}

fn io_error(error: OpenError) -> io::Error {
    match error {
        OpenError::Locked(locked) => io::Error::other(locked.to_string()),
        OpenError::Io(error) => error,
    }
}

/// The block below which no waiting record begins.
pub(in crate::spool) fn oldest_needed(
    ring: &Ring,
    found: &Recovered,
    head: Seq,
    card_next: Seq,
) -> u64 {
    if head >= card_next {
        return found.tail;
    }
    let window = found.tail.saturating_sub(ring.blocks());
    let oldest = locate(ring, window, found.tail, head);
    match head < found.untangled_at() {
        true => oldest.min(found.durable_vblk.max(window)),
        false => oldest,
    }
}

/// The floor of a card that was just opened. Which blocks a synced CURSOR released is unknown, so a ring that was filled once releases none.
pub(in crate::spool) fn floor_of(ring: &Ring, tail: u64, oldest: u64) -> u64 {
    (tail + 1).saturating_sub(ring.blocks()).min(oldest)
}
