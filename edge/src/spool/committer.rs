//! The committer thread, and when it writes to the card.
//!
//! - A staged record must be on the card `durable_within` after it came: a save begins earlier, by the time that recent saves took.
//! - When records fill half the stage, a save begins at once.
//! - While acknowledgements are not yet recorded on the card, a cursor is written every [`CURSOR_EVERY`], or after 1/[`CURSOR_PART`] of the card.
//! - Otherwise nothing is written: that is a healthy run.

use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;

use crate::spool::format::block::{Cursor, Seq};
use crate::spool::queue::schedule::{Asleep, CLOSING, Due};
use crate::spool::queue::state::{Spool, State};
use crate::spool::stats::Destination;

/// While only acknowledgements come, they are recorded on the card this often.
const CURSOR_EVERY: Duration = Duration::from_secs(5);
/// Acknowledgements are recorded at the latest after this part of the card: 1/16.
const CURSOR_PART: u64 = 16;
/// While nothing is to be written, the files are checked for removal this often.
const LOOK_EVERY: Duration = Duration::from_secs(60);

impl Spool {
    /// Copies records to the card as they reach their deadline, until the spool is closed and no record waits only in the stage.
    pub fn run_committer(&self) {
        loop {
            let mut state = self.lock();
            let now = self.clock.elapsed();
            let time = match state.due(now, self.options.durable_within) {
                Due::End => return,
                Due::Save => {
                    drop(state);
                    self.save(false);
                    continue;
                }
                Due::Sleep(asleep) => {
                    state.schedule.asleep = Some(asleep);
                    match asleep {
                        Asleep::Forever => None,
                        Asleep::Until(time) => Some(time.saturating_sub(now)),
                    }
                }
            };
            let mut state = match time {
                None => {
                    let woken = self.due.wait_timeout(state, LOOK_EVERY);
                    let (mut state, wait) = woken.unwrap_or_else(PoisonError::into_inner);
                    if wait.timed_out() {
                        state.schedule.asleep = None;
                        drop(state);
                        self.look_after();
                        continue;
                    }
                    state
                }
                Some(time) => {
                    let woken = self.due.wait_timeout(state, time);
                    woken.unwrap_or_else(PoisonError::into_inner).0
                }
            };
            state.schedule.asleep = None;
        }
    }

    fn look_after(&self) {
        let committer = self.committer.lock();
        self.look_after_files(&mut committer.unwrap_or_else(PoisonError::into_inner));
    }

    /// Wakes the threads that wait for records written since the last call.
    pub(in crate::spool) fn announce(&self, mut state: MutexGuard<'_, State>) {
        if let Some(seq) = state.unannounced.take() {
            state.mark(seq, self.clock.elapsed(), self.options.durable_within);
        }
        let wake = match state.schedule.asleep {
            None => false,
            Some(Asleep::Forever) => true,
            Some(Asleep::Until(_)) => state.half_full(),
        };
        if wake {
            self.wake_committer(&mut state);
        }
        self.wake_sleepers(state);
    }

    pub(in crate::spool) fn wake_committer_for_acks(&self, state: &mut State) {
        let wake = state.schedule.full_at.is_some()
            || (state.schedule.asleep == Some(Asleep::Forever) && state.cursor_owed());
        if wake && state.schedule.asleep.is_some() {
            self.wake_committer(state);
        }
    }

    fn wake_committer(&self, state: &mut State) {
        state.schedule.asleep = None;
        self.due.notify_all();
    }
}

impl State {
    /// What the committer has to do at `now`, with deadlines of `within`.
    pub(in crate::spool) fn due(&self, now: Duration, within: Duration) -> Due {
        let unsaved = self.ledger.unsaved() < self.ledger.next;
        if self.place != Destination::Card {
            return match self.place {
                _ if self.closed.is_some() && now < self.schedule.not_before => Due::End,
                _ if now >= self.schedule.not_before => Due::Save,
                _ if self.schedule.not_before == Duration::MAX => Due::Sleep(Asleep::Forever),
                _ => Due::Sleep(Asleep::Until(self.schedule.not_before)),
            };
        }
        if self.closed.is_some() && !unsaved {
            return Due::End;
        }
        let mut times: heapless::Vec<Duration, 3> = heapless::Vec::new();
        if let (true, Some((_, came))) = (unsaved, self.marks.front()) {
            let lead = self.schedule.lead.clamp(within / 64, within / 2);
            let deadline = *came + within - lead;
            let closing = self.closed.map_or(Duration::MAX, |at| at + CLOSING);
            let time = if self.half_full() {
                now
            } else {
                deadline.min(closing)
            };
            let _ = times.push(time);
        }
        if self.cursor_owed() {
            let time = if self.cursor_wanted(false, now) {
                now
            } else {
                self.schedule.known.at + CURSOR_EVERY
            };
            let _ = times.push(time);
        }
        let Some(time) = times.iter().min() else {
            return Due::Sleep(Asleep::Forever);
        };
        let full = self.schedule.full_at == Some(self.ledger.head);
        let time = if full {
            (*time).max(self.schedule.not_before)
        } else {
            *time
        };
        if time <= now {
            Due::Save
        } else {
            Due::Sleep(Asleep::Until(time))
        }
    }

    fn half_full(&self) -> bool {
        self.stage.blocks_from(self.ledger.unsaved()) >= self.stage.ring().blocks() / 2
    }

    /// Whether some acknowledgements are not yet recorded on the card.
    fn cursor_owed(&self) -> bool {
        let known = &self.schedule.known;
        let passed = known.head < self.ledger.head && known.head < known.cursor.card_next;
        passed || known.acked < self.ledger.acked_on_card
    }

    pub(in crate::spool) fn cursor_wanted(&self, asked: bool, now: Duration) -> bool {
        let known = &self.schedule.known;
        if asked {
            let current = Cursor {
                card_next: known.cursor.card_next,
                card_tail: known.cursor.card_tail,
                ..self.ledger.cursor.clone()
            };
            return known.head < self.ledger.head
                || known.acked < self.ledger.acked_on_card
                || known.cursor != current;
        }
        let part = self.card.as_ref().is_some_and(|card| {
            card.oldest.saturating_sub(known.oldest) >= card.ring.blocks() / CURSOR_PART
        });
        self.cursor_owed() && (part || now >= known.at + CURSOR_EVERY)
    }

    /// Notes the time at which record `seq` came, unless the last note is less than a sixteenth of the deadline old.
    fn mark(&mut self, seq: Seq, now: Duration, within: Duration) {
        if self.ledger.unsaved() == self.ledger.next {
            return;
        }
        let fresh = self
            .marks
            .back()
            .is_some_and(|(_, at)| now < *at + within / 16);
        if !fresh && !self.marks.is_full() {
            let _ = self.marks.push_back((seq, now));
        }
    }

    /// Removes the notes of records that no longer wait in the stage.
    pub(in crate::spool) fn unmark(&mut self) {
        let unsaved = self.ledger.unsaved();
        if unsaved == self.ledger.next {
            self.marks.clear();
        }
        while self
            .marks
            .iter()
            .nth(1)
            .is_some_and(|(seq, _)| *seq <= unsaved)
        {
            self.marks.pop_front();
        }
    }
}
