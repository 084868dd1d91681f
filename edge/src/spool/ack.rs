//! Letting go of records.

use crate::spool::format::block::Seq;
use crate::spool::queue::state::Spool;

impl Spool {
    /// Lets go of every record below `below`: delivered, or set aside. One dropped meanwhile counts as delivered after all.
    pub fn ack(&self, below: Seq) {
        let mut state = self.lock();
        state.ledger.ack(below);
        let (shown, vblk) = state.shown_end;
        let begins_at = if state.ledger.head == shown { vblk } else { 0 };
        state.release_below(begins_at);
        state.unmark();
        state.note();
        self.wake_committer_for_acks(&mut state);
        self.wake_sleepers(state);
    }
}
