//! A call of two halves: fresh posts and the backlog.

use std::time::Duration;

use crate::spool::{Run, Seq};
use crate::uplink::flight::Flight;
use crate::uplink::queue::Queue;

impl Flight {
    /// Fills the batch with fresh posts and backlog. Returns false, and does nothing, if fresh posts do not go first now.
    pub(super) fn fill_fresh_first(
        &mut self,
        queue: &impl Queue,
        now: Duration,
        ordered: bool,
    ) -> bool {
        let Some(run) = self.fresh.turn(queue) else {
            return false;
        };
        self.passing = true;
        self.fresh.is_half = true;
        self.take_fresh(queue, run, now, ordered);
        self.fresh.is_half = false;
        if !self.compares_alone() {
            self.take_backlog(queue, now, ordered);
            self.take_fresh(queue, run, now, ordered);
        }
        true
    }

    /// Takes fresh posts that may go now, oldest first.
    fn take_fresh(&mut self, queue: &impl Queue, run: Run, now: Duration, ordered: bool) {
        self.take_parked(queue, now, run.from..Seq::MAX);
        if self.is_full(0) || self.compares_alone() || self.is_blocked(now) {
            return;
        }
        let end = self.fresh.window.end();
        self.read(queue, now, ordered, end..run.reach);
    }
}
