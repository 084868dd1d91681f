//! Letting go of records.

use crate::spool::format::block::Seq;
use crate::spool::queue::state::{Spool, State};

impl Spool {
    /// Lets go of every record below `below`: delivered, or set aside. One dropped meanwhile counts as delivered after all.
    pub fn ack(&self, below: Seq) {
        self.let_go(|state| state.ledger.ack(below));
    }

    /// Lets go of each of these records, and of no other, whatever waits before them: none of them is shown again, also after a restart. Each
    /// was shown, and is acknowledged once. One too far above the oldest that waits (see [`WINDOW`](crate::spool::WINDOW)) stays.
    pub fn ack_each(&self, seqs: impl IntoIterator<Item = Seq>) {
        self.let_go(|state| {
            let low = state.stage.low();
            let ledger = &mut state.ledger;
            for seq in seqs {
                ledger.ack_one(seq, low);
            }
            let (base, bitmap) = ledger.acked.encode(ledger.head..ledger.next);
            state.stage.note_acked((base, &bitmap));
        });
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
