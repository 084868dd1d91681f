//! Letting go of records.

use crate::spool::format::block::Seq;
use crate::spool::queue::runs::Run;
use crate::spool::queue::state::{Spool, State};

impl Spool {
    /// Lets go of every record below `below`: delivered, or set aside. One dropped meanwhile counts as delivered after all.
    pub fn ack(&self, below: Seq) {
        self.let_go(|state| state.ledger.ack(below));
    }

    /// Lets go of each of these records, and of no other, whatever waits before them: none of them is shown again, also after a restart. Each
    /// was shown, and is acknowledged once. One too far above the oldest that waits (see [`WINDOW`](crate::spool::WINDOW)) and beyond the newest
    /// run stays.
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

    /// From record `at` on, records may be acknowledged each by itself, however far they are above the oldest that waits, but nearly in order:
    /// up to [`Run::reach`]. Begins a *run*, unless the newest one goes up to `at` already. The next one may begin whenever; most at once are
    /// 12. False if this one cannot begin: there are too many, or nothing waits before `at`.
    pub fn begin_run(&self, at: Seq) -> bool {
        self.lock().ledger.begin_run(at)
    }

    /// The newest run, while something waits before it.
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
