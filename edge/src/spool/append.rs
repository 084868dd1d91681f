//! Adding a record: to the stage, or to the card if it is too large for the stage.

use std::sync::PoisonError;

use crate::platform::time::since_1970;
use crate::post::record::Record;
use crate::spool::format::block::{MAX_POSITION, Position, Seq};
use crate::spool::format::pack::Encoded;
use crate::spool::options::WhenFull;
use crate::spool::queue::state::{Spool, State};
use crate::spool::stats::Appended;

impl Spool {
    /// Keeps `record`, and the source's `position` right after it, in the source's own format: at most [`MAX_POSITION`] bytes; a longer one is
    /// ignored. Waits for room only with [`WhenFull::Block`], and for the card only if the record is too large for the stage.
    pub fn append(&self, record: Record<'_>, position: &[u8]) -> Appended {
        let appended = self.write(record, position);
        self.flush();
        appended
    }

    /// Does as [`Self::append`], but the record is kept only from the next [`Self::flush`] on: for a source that has more records ready.
    pub fn write(&self, record: Record<'_>, position: &[u8]) -> Appended {
        let when = since_1970(self.clock.wall()).as_secs();
        let when = u32::try_from(when).unwrap_or(u32::MAX);
        let encoded = Encoded::new(record, when);
        let position = Some(position).filter(|position| position.len() <= MAX_POSITION);
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let mut state = self.lock();
        if state.is_large(&encoded) {
            let before = &state.ledger.cursor.position;
            let position = position.unwrap_or(before);
            let position = Position::from_slice(position).unwrap_or_default();
            drop(state);
            return self.append_to_card(&encoded, position);
        }
        let position_len = position.map_or(0, <[u8]>::len);
        let blocks = state
            .stage
            .blocks_for(&encoded, &state.ledger.cursor, position_len);
        while !state.has_room(blocks, self.options.when_full) {
            match self.options.when_full {
                _ if state.closed.is_some() => break,
                WhenFull::DropOldest => {
                    let (low, to) = (state.stage.low(), state.stage.low_after(blocks));
                    state.ledger.drop_staged(low, to);
                    break;
                }
                WhenFull::DropNewest => {
                    state.ledger.cursor.tally.refused += 1;
                    state.note();
                    return Appended::Dropped;
                }
                WhenFull::Block if state.unannounced.is_some() => {
                    // The uplink, which makes room, must be told of the new records first.
                    drop(state);
                    self.flush();
                    state = self.lock();
                }
                WhenFull::Block => state = self.sleep(state, None),
            }
        }
        if state.closed.is_some() {
            return Appended::Closed;
        }
        let seq = state.push(&encoded, position);
        if state.ledger.waiting() == 1 {
            state.oldest = (seq, when);
        }
        state.unannounced.get_or_insert(seq);
        Appended::Kept(seq)
    }

    /// Makes all written records survive a crash of the program.
    pub fn flush(&self) {
        let mut state = self.lock();
        let State { stage, ledger, .. } = &mut *state;
        stage.flush(&ledger.cursor);
        if state.unannounced.is_some() {
            self.announce(state);
        }
    }
}

impl State {
    pub(in crate::spool) fn push(&mut self, record: &Encoded<'_>, position: Option<&[u8]>) -> Seq {
        let Self { stage, ledger, .. } = self;
        let seq = stage.next();
        let position_len = position.map_or(0, <[u8]>::len);
        stage.append(record, ledger.head, &ledger.cursor, position_len);
        if let Some(position) = position {
            ledger.cursor.position.clear();
            // Cannot fail: its length was checked.
            let _ = ledger.cursor.position.extend_from_slice(position);
        }
        ledger.next = stage.next();
        seq
    }
}
