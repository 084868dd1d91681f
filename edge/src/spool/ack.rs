//! Acknowledging records.

use crate::spool::format::block::Seq;
use crate::spool::queue::runs::Run;
use crate::spool::queue::state::{Spool, State};

impl Spool {
    /// Acknowledges every record below `below`: it was delivered, or written to the dead-letter file. A record that was dropped meanwhile counts as
    /// delivered after all.
    pub fn ack(&self, below: Seq) {
        self.let_go(|state| state.ledger.ack(below));
    }

    /// Acknowledges these records and no others, even if older ones wait. None of them is shown again, not even after a restart. Each must have
    /// been shown, and may be given once. A record too far above the oldest that waits (see [`WINDOW`](crate::spool::WINDOW)) and beyond the
    /// newest run is not acknowledged.
    pub fn ack_each(&self, seqs: impl IntoIterator<Item = Seq>) {
        self.let_go(|state| {
            let low = state.stage.low();
            let ledger = &mut state.ledger;
            for seq in seqs {
                ledger.ack_one(seq, low);
            }
            let acked = ledger.acked.encode(ledger.head..ledger.next);
            state.stage.note_acked(acked.bits());
        });
    }

    /// Begins a *run* at record `at`: from there on records may be acknowledged by number, however far above the oldest that waits, but nearly in
    /// order: up to [`Run::reach`]. Does nothing if the newest run already ends at `at`. False if the run cannot begin: there are 12, or
    /// nothing waits before `at`.
    pub fn begin_run(&self, at: Seq) -> bool {
        self.lock().ledger.begin_run(at)
    }

    /// The newest run; `None` if nothing waits before it.
    pub fn newest_run(&self) -> Option<Run> {
        self.lock().ledger.newest_run()
    }

    fn let_go(&self, note: impl FnOnce(&mut State)) {
        let mut state = self.lock();
        note(&mut state);
        let (shown, vblk) = state.shown_end;
        let begins_at = if state.ledger.head == shown { vblk } else { 0 };
        state.release_below(begins_at);
        state.unmark();
        state.note();
        self.wake_committer_for_acks(&mut state);
        self.wake_sleepers(state);
    }
}
