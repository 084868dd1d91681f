//! A call of two halves: fresh posts, and the backlog.

use std::time::Duration;

use crate::spool::{Run, Seq};
use crate::uplink::deliver::Uplink;
use crate::uplink::flight::Flight;

impl Uplink {
    /// Fills the batch with fresh posts and backlog, if fresh posts go first now. False if they do not.
    pub(super) fn fill_fresh_first(&self, flight: &mut Flight, now: Duration) -> bool {
        let Some(run) = flight.fresh.turn(&self.spool) else {
            return false;
        };
        flight.passing = true;
        flight.fresh.is_half = true;
        self.take_fresh(flight, run, now);
        flight.fresh.is_half = false;
        if !flight.compares_alone() {
            self.take_backlog(flight, now);
            self.take_fresh(flight, run, now);
        }
        true
    }

    /// Takes fresh records that may go now, oldest first.
    fn take_fresh(&self, flight: &mut Flight, run: Run, now: Duration) {
        self.take_parked(flight, now, run.from..Seq::MAX);
        if flight.is_full(0) || flight.compares_alone() || flight.is_blocked(now) {
            return;
        }
        let end = flight.fresh.window.end();
        self.read(flight, now, end, run.reach);
    }
}
