//! Reading the waiting records in order, from the medium that has them.
//!
//! - The stage is preferred: what it still has need not be read from flash.
//! - Records that are delivered already are skipped.
//! - A peek from the head shows consecutive numbers and ends before a gap. A gap is passed, and counted, only when it is at the head: so an
//!   acknowledgement never covers a number that was not shown.

use std::ops::ControlFlow;
use std::sync::PoisonError;
use std::time::Duration;

use crate::post::record::Record;
use crate::spool::format::block::{BLOCK, Seq};
use crate::spool::media::card::{locate, starts_around, was_synced};
use crate::spool::media::ring::Ring;
use crate::spool::queue::acked::Acked;
use crate::spool::queue::ledger::Gap;
use crate::spool::queue::reader::{Reader, Source};
use crate::spool::queue::state::{CardView, Spool, State};
use crate::spool::walk::{Damage, Point, Stored, Unreadable, Walk};

/// After this many unreadable blocks in a row, the rest of the card counts as lost for this run.
const MAX_UNREADABLE: u64 = 16;

/// Blocks of the card that are read at once.
const READ_AHEAD: usize = 8;

/// What to do about the next number.
enum Plan {
    Read,
    Passed(Seq),
    /// Continue at this number; the gap before it is passed when the head comes to it.
    Beyond(Seq),
    End,
}

type Visit<'v> = dyn FnMut(Stored<'_>) -> ControlFlow<()> + 'v;

impl Spool {
    /// Waits, `at_most` long, until a record waits or the spool is closed. True if a record waits.
    pub fn wait(&self, at_most: Duration) -> bool {
        let mut state = self.lock();
        let until = self.clock.elapsed() + at_most;
        loop {
            let left = until.saturating_sub(self.clock.elapsed());
            if state.ledger.waiting() > 0 || state.closed.is_some() || left.is_zero() {
                return state.ledger.waiting() > 0;
            }
            state = self.sleep(state, Some(left));
        }
    }

    /// The number of the oldest record that waits; if none does, that of the next record.
    pub fn head(&self) -> Seq {
        self.lock().ledger.head
    }

    /// The number of the next record to be appended.
    pub fn next(&self) -> Seq {
        self.lock().ledger.next
    }

    /// Shows the waiting records in order, from the oldest on, until `visit` breaks. They stay in the spool. Ends early at a gap: a later call,
    /// with the gap at the head, continues after it.
    pub fn peek(&self, mut visit: impl FnMut(Seq, Record<'_>) -> ControlFlow<()>) {
        self.show(|found| visit(found.seq, found.record));
    }

    /// Does as [`Self::peek`], from record `from` on, and continues after gaps above the head: for a caller that acknowledges each record by its
    /// number ([`Spool::ack_each`]).
    pub fn peek_from(&self, from: Seq, mut visit: impl FnMut(Seq, Record<'_>) -> ControlFlow<()>) {
        let mut reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        reader.show(self, Some(from), &mut |found| {
            visit(found.seq, found.record)
        });
    }

    /// Does as [`Self::peek`], and gives the number, time and CRC of each record.
    pub(crate) fn show(&self, mut visit: impl FnMut(Stored<'_>) -> ControlFlow<()>) {
        let mut reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        reader.show(self, None, &mut visit);
    }
}

impl Reader {
    pub(in crate::spool) fn new(state: &State) -> Self {
        Self {
            walk: Walk::new(state.stage.ring().clone(), READ_AHEAD),
            source: Source::Stage,
            resume: None,
            acked: Acked::default(),
            passes_gaps: false,
        }
    }

    /// See [`Spool::peek`].
    pub(in crate::spool) fn show(
        &mut self,
        spool: &Spool,
        start: Option<Seq>,
        visit: &mut Visit<'_>,
    ) {
        let (mut from, end) = {
            let mut state = spool.lock();
            state.reading_since = Some(spool.clock.elapsed());
            self.acked = state.ledger.acked.clone();
            (state.ledger.head, state.ledger.next)
        };
        self.passes_gaps = start.is_some();
        let mut seq = start.map_or(from, |start| start.max(from));
        while seq < end {
            seq = self.acked.next_unacked(seq);
            match self.plan(spool, seq, seq == from) {
                Plan::Read => {}
                Plan::Passed(to) => {
                    (from, seq) = (to, to);
                    continue;
                }
                Plan::Beyond(to) => {
                    seq = to;
                    continue;
                }
                Plan::End => break,
            }
            let flow = self.run(spool, &mut from, &mut seq, end, visit);
            if flow.is_break() {
                break;
            }
        }
        let mut state = spool.lock();
        state.reading_since = None;
        if !self.passes_gaps {
            state.ledger.show(from..seq);
        }
        if let Some((Source::Card(generation), seq, place)) = self.resume {
            state.shown_end = match &state.card {
                Some(card) if card.generation == generation => (seq, place.vblk),
                _ => (0, 0),
            };
        }
    }

    /// Moves the walk to record `seq`. If a gap begins at the head (`at_head`), passes it.
    fn plan(&mut self, spool: &Spool, seq: Seq, at_head: bool) -> Plan {
        let mut state = spool.lock();
        let ledger = &state.ledger;
        if at_head && ledger.head > seq {
            return Plan::Passed(ledger.head);
        }
        if seq >= ledger.next {
            return Plan::End;
        }
        if seq >= state.stage.low() {
            let resumed = self.resumed(Source::Stage, seq);
            let place = resumed.unwrap_or_else(|| Point::start_of(state.stage.block_of(seq)));
            self.turn(Source::Stage, state.stage.ring(), place);
            return Plan::Read;
        }
        let on_card = seq < ledger.cursor.card_next;
        if let (true, Some(card)) = (on_card, state.card.clone()) {
            drop(state);
            self.turn_to_card(&card, seq);
            return Plan::Read;
        }
        // Neither medium has it: it was dropped from the stage, or lost with a card that is gone.
        let low = state.stage.low();
        let (to, gap) = match on_card {
            true => (ledger.cursor.card_next.min(low), Gap::Media),
            false => (low, Gap::Skipped),
        };
        if !at_head {
            return match self.passes_gaps && to > seq {
                true => Plan::Beyond(to),
                false => Plan::End,
            };
        }
        state.pass(to, gap);
        Plan::Passed(state.ledger.head)
    }

    fn resumed(&self, source: Source, seq: Seq) -> Option<Point> {
        let (last, next, place) = self.resume?;
        (last == source && next == seq).then_some(place)
    }

    fn turn(&mut self, source: Source, ring: &Ring, place: Point) {
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
            .unwrap_or_else(|| Point::start_of(locate(&card.ring, card.oldest, card.tail, seq)));
        self.turn(source, &card.ring, place);
    }

    /// Moves the walk to another copy of record `seq`, which is damaged, or missing without a reason. If no copy is whole, returns the next number,
    /// at most `end`, to look for.
    fn turn_to_copy(&mut self, spool: &Spool, seq: Seq, end: Seq) -> Result<(), Seq> {
        let card = spool.lock().card.clone();
        let reading = |card: &CardView| self.source == Source::Card(card.generation);
        let Some(card) = card.filter(reading) else {
            return Err(end);
        };
        if self.walk.unreadable() >= MAX_UNREADABLE {
            return Err(end);
        }
        let mut load = |vblk, to: &mut [u8]| read_card(spool, vblk, to);
        let mut next = end;
        for (vblk, starts) in starts_around(&card.ring, self.walk.place().vblk, card.tail) {
            if starts.contains(&seq) && self.walk.reaches(seq, vblk, &mut load) {
                self.walk.seek(Point::start_of(vblk));
                return Ok(());
            }
            if starts.end > seq + 1 {
                next = next.min(starts.start.max(seq + 1));
            }
        }
        Err(next)
    }

    /// Shows records from the walk's place on. Breaks if the peek ends here; otherwise [`Self::plan`] comes next.
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
            Source::Stage => Ok(spool.lock().read_stage(vblk, to)),
            Source::Card(_) => read_card(spool, vblk, to),
        };
        while *seq < end {
            *seq = self.acked.next_unacked(*seq);
            if *seq >= end {
                break;
            }
            let unreadable = self.walk.unreadable();
            let found = match unreadable {
                MAX_UNREADABLE.. => None,
                _ => self.walk.next(&mut load),
            };
            let Some(found) = found else {
                let damage = self.walk.damage();
                if self.has_more(&spool.lock(), *seq) {
                    self.resume = None;
                    return ControlFlow::Continue(());
                }
                let missing = self.missing_at_end(&spool.lock());
                if *seq > *from {
                    if !self.passes_gaps || missing <= *seq {
                        return ControlFlow::Break(());
                    }
                    self.resume = None;
                    *seq = missing;
                    return ControlFlow::Continue(());
                }
                match self.turn_to_copy(spool, *seq, missing) {
                    Ok(()) => continue,
                    Err(to) => return self.pass(spool, to, damage),
                }
            };
            if found.seq < *seq {
                continue;
            }
            if found.seq > *seq && *seq > *from && !self.passes_gaps {
                return ControlFlow::Break(());
            }
            if found.seq > *seq && *seq > *from {
                *seq = found.seq;
                if self.acked.contains(*seq) {
                    continue;
                }
            }
            if found.seq > *seq {
                let found = found.seq;
                let damage = self.walk.damage();
                let missing = found - *seq - self.acked.count_in(*seq..found);
                let unexplained = spool.lock().ledger.tally().skipped < missing;
                if damage.is_none() && !unexplained {
                    return self.pass(spool, found, None);
                }
                match self.turn_to_copy(spool, *seq, found) {
                    Ok(()) => continue,
                    Err(to) => return self.pass(spool, to, damage),
                }
            }
            let when = found.when;
            let flow = visit(found);
            if *seq == *from {
                spool.lock().oldest = (*seq, when);
            }
            *seq += 1;
            self.walk.damage();
            self.resume = Some((source, *seq, self.walk.place()));
            flow?;
        }
        ControlFlow::Break(())
    }

    /// Whether `seq` may have come, here or in the other medium, since the walk ended.
    fn has_more(&self, state: &State, seq: Seq) -> bool {
        let Source::Card(generation) = self.source else {
            return state.stage.low() > seq;
        };
        let grown = |card: &CardView| {
            card.generation != generation
                || (self.walk.unreadable() == 0 && self.walk.place().vblk < card.tail)
        };
        seq >= state.ledger.cursor.card_next
            || seq >= state.stage.low()
            || state.card.as_ref().is_none_or(grown)
    }

    /// The end of the numbers that are missing at the end of this medium.
    fn missing_at_end(&self, state: &State) -> Seq {
        match self.source {
            Source::Stage => state.ledger.next,
            Source::Card(_) => state.ledger.cursor.card_next.min(state.stage.low()),
        }
    }

    /// Passes the numbers from the head to `to`. [`Self::plan`] comes next.
    fn pass(&mut self, spool: &Spool, to: Seq, damage: Option<Damage>) -> ControlFlow<()> {
        self.resume = None;
        let gap = match self.source {
            Source::Stage => Gap::Media,
            Source::Card(_) => cause(spool.lock().card.clone(), damage),
        };
        spool.lock().pass(to, gap);
        ControlFlow::Continue(())
    }
}

fn read_card(spool: &Spool, vblk: u64, to: &mut [u8]) -> Result<u64, Unreadable> {
    let Some(card) = spool.lock().card.clone() else {
        return Ok(0);
    };
    let left = card.tail.saturating_sub(vblk);
    let len = to.len().min(left as usize * BLOCK);
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

/// Why numbers are missing on the card.
fn cause(card: Option<CardView>, damage: Option<Damage>) -> Gap {
    let Some(Damage { vblk, durable_vblk }) = damage else {
        // The blocks are whole: the gap was written.
        return Gap::Skipped;
    };
    let synced = match (durable_vblk, card) {
        (Some(durable), _) if vblk < durable => true,
        (Some(_), Some(card)) => was_synced(&card.ring, vblk, card.tail),
        (None, Some(card)) => !card.unsynced.contains(&vblk),
        (durable, None) => durable.is_none(),
    };
    if synced { Gap::Media } else { Gap::Unsynced }
}

impl State {
    /// Moves the head to `to`: the numbers before it have no record.
    fn pass(&mut self, to: Seq, gap: Gap) {
        let lost = |state: &Self| {
            let tally = state.ledger.tally();
            (tally.media_lost, tally.unsynced_lost)
        };
        let before = lost(self);
        self.ledger.pass(to, gap);
        let after = lost(self);
        // The same words as in `headwater status`.
        for (count, by) in [
            (after.0 - before.0, "by a damaged card"),
            (after.1 - before.1, "by a power cut before they were synced"),
        ] {
            if count > 0 {
                log::error!("{count} records were lost {by}; those after them are intact");
            }
        }
        self.unmark();
        self.note();
    }
}
