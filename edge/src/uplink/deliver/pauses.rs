//! When the loop waits: after a failure, while there is nothing to send, and while the link's limits allow no call.

use std::time::Duration;

use log::Level;

use super::{Eagerness, Uplink};
use crate::uplink::explain;
use crate::uplink::flight::{CALL_BYTES, Flight};

/// How long to wait for a record before checking whether the program is to end.
const IDLE: Duration = Duration::from_secs(1);

/// While records wait for their shard, new ones are looked for this often: they may belong to another shard.
const LOOK: Duration = Duration::from_millis(20);

/// The longest pause before the next attempt while the program is ending.
const ENDING_PAUSE: Duration = Duration::from_millis(250);

/// While the day's limit is spent, the clock is looked at this often: it may be set meanwhile.
const CLOCK_LOOK: Duration = Duration::from_secs(60);

impl Uplink {
    pub(super) fn pause_after(&self, flight: &mut Flight, eagerness: Eagerness) {
        let pause = flight.backoff.next(eagerness == Eagerness::Slow);
        self.pause(pause);
    }

    pub(super) fn pause(&self, pause: Duration) {
        self.alive(pause);
        if self.stop.asked() {
            self.clock.sleep(pause.min(ENDING_PAUSE), &self.abort);
        } else {
            self.clock.sleep(pause, &self.stop);
        }
    }

    /// Waits until there may be something to send.
    pub(super) fn wait(&self, flight: &mut Flight) {
        self.alive(IDLE);
        if !flight.holds_none() {
            let now = self.clock.elapsed();
            let opens = flight.lanes.next_at(now).unwrap_or(now + LOOK);
            let opens = opens.min(now + IDLE);
            let newest = self.spool.next();
            // Before that only a record that comes meanwhile may go: those that wait are not looked through for nothing.
            loop {
                let left = opens.saturating_sub(self.clock.elapsed());
                self.pause(left.min(LOOK));
                if left <= LOOK || self.spool.next() != newest || self.stop.asked() {
                    return;
                }
            }
        } else if self.spool.wait(IDLE) && !self.flow.linger.is_zero() && !self.stop.asked() {
            // A post that comes while nothing waits may wait for others.
            self.pause(self.flow.linger);
        }
    }

    /// Whether the limits of the link allow the call now. Waits a while if they do not.
    pub(super) fn may_spend(&self, flight: &mut Flight) -> bool {
        let (now, wall) = (self.clock.elapsed(), self.clock.wall());
        let bytes = flight.batch.text_bytes() + CALL_BYTES;
        let bytes = bytes.min(flight.flow.call_bytes(self.client.life()));
        let wait = flight.pace.wait(now, wall, bytes);
        if wait.is_zero() {
            return true;
        }
        if wait > IDLE {
            let waiting = self.spool.stats().waiting_records;
            let text = explain::of_pace(waiting, wait);
            self.counters.uplink.trouble(Level::Warn, true, &text, now);
        }
        self.pause(wait.min(CLOCK_LOOK));
        false
    }
}
