//! Reading in order what waits, from whichever medium has it.
//!
//! - The stage is preferred: what is still there need not be read from flash.
//! - A walk shows an unbroken row of numbers and ends before a gap. Only when the gap is at the head is it passed, and counted:
//!   so an acknowledgement can never cover a number that was not shown.

use std::ops::ControlFlow;

use super::card::{locate, second_copy};
use super::ledger::Gap;
use super::walk::{Damage, Place, Unreadable, Walk};
use super::{CardView, Seq, Spool, State};
use crate::record::Record;

/// After this many blocks in a row that give errors, the rest of the card counts as lost for this run.
const MAX_UNREADABLE: u64 = 16;

/// Blocks read at once from the card.
const READ_AHEAD: usize = 16;

/// Who peeks holds this.
#[derive(Debug)]
pub struct Reader {
    walk: Walk,
    source: Source,
    /// Where the record after the last shown one begins.
    resume: Option<(Source, Seq, Place)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Stage,
    /// A card, and which opening of it.
    Card(u32),
}

/// What is to be done about the next number.
enum Next {
    Read,
    Passed(Seq),
    End,
}

type Visit<'v> = dyn FnMut(Seq, Record<'_>) -> ControlFlow<()> + 'v;

impl Reader {
    pub(super) fn new(state: &State) -> Self {
        Self {
            walk: Walk::new(state.stage.ring().clone(), READ_AHEAD),
            source: Source::Stage,
            resume: None,
        }
    }

    /// See [`Spool::peek`].
    pub(super) fn show(&mut self, spool: &Spool, visit: &mut Visit<'_>) {
        let (mut from, end) = {
            let state = spool.lock();
            (state.ledger.head, state.ledger.next)
        };
        let mut seq = from;
        while seq < end {
            match self.plan(spool, seq, seq == from) {
                Next::Read => {}
                Next::Passed(to) => {
                    (from, seq) = (to, to);
                    continue;
                }
                Next::End => break,
            }
            let flow = self.run(spool, &mut from, &mut seq, end, visit);
            if flow.is_break() {
                break;
            }
        }
        let mut state = spool.lock();
        state.ledger.show(from..seq);
        if let Some((Source::Card(generation), seq, place)) = self.resume {
            state.shown_end = match &state.card {
                Some(card) if card.generation == generation => (seq, place.vblk),
                _ => (0, 0),
            };
        }
    }

    /// Turns the walk to where `seq` is. At a gap that begins with the head (`at_head`), passes it.
    fn plan(&mut self, spool: &Spool, seq: Seq, at_head: bool) -> Next {
        let mut state = spool.lock();
        let ledger = &state.ledger;
        if at_head && ledger.head > seq {
            return Next::Passed(ledger.head);
        }
        if seq >= ledger.next {
            return Next::End;
        }
        if seq >= state.stage.low() {
            let resumed = self.resumed(Source::Stage, seq);
            let place = resumed.unwrap_or_else(|| Place::start_of(state.stage.block_of(seq)));
            self.turn(Source::Stage, state.stage.ring(), place);
            return Next::Read;
        }
        let on_card = seq < ledger.cursor.card_next;
        if let (true, Some(card)) = (on_card, state.card.clone()) {
            drop(state);
            self.turn_to_card(&card, seq);
            return Next::Read;
        }
        if !at_head {
            return Next::End;
        }
        // Neither medium has it: dropped from the stage, or lost with a card that is gone.
        let low = state.stage.low();
        let (to, gap) = match on_card {
            true => (ledger.cursor.card_next.min(low), Gap::Media),
            false => (low, Gap::Skipped),
        };
        state.pass(to, gap);
        Next::Passed(to)
    }

    fn resumed(&self, source: Source, seq: Seq) -> Option<Place> {
        let (last, next, place) = self.resume?;
        (last == source && next == seq).then_some(place)
    }

    fn turn(&mut self, source: Source, ring: &super::ring::Ring, place: Place) {
        if self.source != source || source == Source::Stage {
            self.walk.switch(ring);
        }
        self.source = source;
        self.walk.seek(place);
    }

    fn turn_to_card(&mut self, card: &CardView, seq: Seq) {
        let source = Source::Card(card.generation);
        let place = self
            .resumed(source, seq)
            .filter(|place| place.vblk >= card.oldest)
            .unwrap_or_else(|| Place::start_of(locate(&card.ring, card.oldest, card.tail, seq)));
        self.turn(source, &card.ring, place);
    }

    /// Where the card's blocks with `seq` are damaged: turns to where they were written again, if they were.
    fn turn_to_copy(&mut self, spool: &Spool, seq: Seq) -> bool {
        let card = spool.lock().card.clone();
        let Some(card) = card.filter(|card| self.source == Source::Card(card.generation)) else {
            return false;
        };
        let from = self.walk.place().vblk + 1;
        let copy = second_copy(&card.ring, from, card.tail, seq);
        if let Some(vblk) = copy {
            self.walk.seek(Place::start_of(vblk));
        }
        copy.is_some()
    }

    /// Shows records from where the walk stands. Breaks where the whole reading ends; otherwise it is to be planned anew.
    fn run(
        &mut self,
        spool: &Spool,
        from: &mut Seq,
        seq: &mut Seq,
        end: Seq,
        visit: &mut Visit<'_>,
    ) -> ControlFlow<()> {
        let source = self.source;
        let mut load = |vblk, to: &mut [u8]| match source {
            Source::Stage => Ok(spool.lock().stage.read(vblk, to)),
            Source::Card(_) => read_card(spool, vblk, to),
        };
        while *seq < end {
            let found = match self.walk.unreadable() {
                MAX_UNREADABLE.. => None,
                _ => self.walk.next(&mut load),
            };
            let Some(found) = found else {
                return self.at_end(spool, *from, *seq);
            };
            if found.seq < *seq {
                continue;
            }
            if found.seq > *seq {
                if *seq > *from {
                    return ControlFlow::Break(());
                }
                let found = found.seq;
                let damage = self.walk.damage();
                if damage.is_some() && self.turn_to_copy(spool, *seq) {
                    continue;
                }
                let mut state = spool.lock();
                let gap = state.cause(damage);
                state.pass(found, gap);
                // read again from there: what was found is the next to show
                (*from, *seq) = (state.ledger.head, state.ledger.head);
                self.resume = None;
                return ControlFlow::Continue(());
            }
            let when = found.when;
            let flow = visit(*seq, found.record);
            if *seq == *from {
                spool.lock().oldest = (*seq, when);
            }
            *seq += 1;
            self.resume = Some((source, *seq, self.walk.place()));
            flow?;
        }
        ControlFlow::Break(())
    }

    /// The walk ended before record `seq`.
    fn at_end(&mut self, spool: &Spool, from: Seq, seq: Seq) -> ControlFlow<()> {
        let mut state = spool.lock();
        self.resume = None;
        let low = state.stage.low();
        let card_next = state.ledger.cursor.card_next;
        let look_again = match self.source {
            Source::Stage => low > seq,
            Source::Card(generation) => {
                let grown = |card: &CardView| {
                    card.generation != generation
                        || (self.walk.unreadable() == 0 && self.walk.place().vblk < card.tail)
                };
                seq >= card_next || seq >= low || state.card.as_ref().is_none_or(grown)
            }
        };
        if look_again {
            return ControlFlow::Continue(());
        }
        if seq > from {
            return ControlFlow::Break(());
        }
        // What should be here is not.
        let (to, gap) = match self.source {
            Source::Stage => (state.ledger.next, Gap::Media),
            Source::Card(_) => (card_next.min(low), state.cause(self.walk.damage())),
        };
        state.pass(to, gap);
        ControlFlow::Continue(())
    }
}

fn read_card(spool: &Spool, vblk: u64, to: &mut [u8]) -> Result<u64, Unreadable> {
    let Some(card) = spool.lock().card.clone() else {
        return Ok(0);
    };
    let left = card.tail.saturating_sub(vblk);
    let len = to.len().min(left as usize * super::BLOCK);
    if len == 0 {
        return Ok(0);
    }
    let count = card
        .ring
        .read(vblk, &mut to[..len])
        .map_err(|_| Unreadable)?;
    card.ring.forget(vblk, count);
    Ok(count)
}

impl State {
    /// Why numbers are missing on the card.
    fn cause(&self, damage: Option<Damage>) -> Gap {
        let Some(Damage { vblk, durable_vblk }) = damage else {
            // the blocks are whole: it was written so
            return Gap::Skipped;
        };
        let unsynced = self.card.as_ref().map(|card| &card.unsynced);
        let synced = match durable_vblk {
            Some(durable) => vblk < durable,
            None => !unsynced.is_some_and(|unsynced| unsynced.contains(&vblk)),
        };
        if synced { Gap::Media } else { Gap::Unsynced }
    }

    /// Passes the numbers from the head to `to`: no record has them.
    fn pass(&mut self, to: Seq, gap: Gap) {
        let waited = self.ledger.head..to;
        self.ledger.pass(to, gap);
        if gap != Gap::Skipped && !waited.is_empty() {
            log::error!(
                "{} records were lost with damaged blocks of the card; those after them are intact",
                waited.end - waited.start
            );
        }
        self.unmark();
        self.note();
    }
}
