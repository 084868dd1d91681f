//! The loop's state between calls: the records of the next call, and what was learned about the link and the stream. No I/O.

mod fill;
mod halves;
mod settle;

use std::time::SystemTime;

use crate::aws::clock::ServerClock;
use crate::aws::kinesis::MAX_RECORDS;
use crate::aws::kinesis::request::{Batch, Entry};
use crate::net::meter::Life;
use crate::spool::Seq;
use crate::uplink::backoff::Backoff;
use crate::uplink::flow::Flow;
use crate::uplink::fresh::Fresh;
use crate::uplink::lanes::{Lanes, Shard};
use crate::uplink::order::Order;
use crate::uplink::pace::Pace;
use crate::uplink::suspects::Suspects;
use crate::uplink::window::{Reason, SUSPECT, Window};

/// Bytes of a call besides its records: the HTTP head with its signature, and TLS framing.
pub const CALL_BYTES: usize = 1000;

/// The loop's state between calls.
pub struct Flight {
    /// The records of the next call; those of a call that the network broke stay in it.
    pub batch: Batch,
    /// How many of the batch's first records were sent before, and may have arrived.
    pub maybe_arrived: usize,
    /// The number of the board's report that was last put into a batch.
    pub report: u64,
    /// Records of the backlog that were read and have to wait.
    pub window: Window,
    /// Which records go before the backlog.
    pub fresh: Fresh,
    /// Whether some record waits while others pass it: then each record is acknowledged by its own number.
    pub passing: bool,
    /// The throttled parts of the stream.
    pub lanes: Lanes,
    /// The shard of each record of the last call; empty if the response was not searched for them.
    pub shards: heapless::Vec<Shard, MAX_RECORDS>,
    /// Records that were refused for a reason that may not be theirs.
    pub suspects: Suspects,
    /// How many bytes a call carries.
    pub flow: Flow,
    /// The user's limits for the link.
    pub pace: Pace,
    /// Most posts of a call: fewer than [`MAX_RECORDS`] after a call was refused as a whole.
    pub limit: usize,
    /// The sequence numbers for strict order.
    pub order: Order,
    /// The pauses after failures in a row.
    pub backoff: Backoff,
    /// How far the board's clock is from the server's.
    pub time: ServerClock,
    /// Attempts in a row that were repeated at once after the clock or the credentials were renewed.
    pub mended: u32,
}

impl Flight {
    /// The state before the first call.
    pub fn new(batch: Batch, pace: Pace, fresh: Fresh, time: ServerClock) -> Self {
        Self {
            batch,
            maybe_arrived: 0,
            report: 0,
            window: Window::default(),
            fresh,
            passing: false,
            lanes: Lanes::default(),
            shards: heapless::Vec::new(),
            suspects: Suspects::default(),
            flow: Flow::default(),
            pace,
            limit: MAX_RECORDS,
            order: Order::default(),
            backoff: Backoff::default(),
            time,
            mended: 0,
        }
    }

    /// Lets record `seq` wait, for this `reason`.
    pub fn park(&mut self, seq: Seq, reason: Reason) {
        self.window_of(seq).park(seq, reason);
    }

    /// The window where record `seq` may wait.
    pub fn window_of(&mut self, seq: Seq) -> &mut Window {
        self.fresh.window_of(seq, &mut self.window)
    }

    /// The records that were read and wait, each with its reason.
    pub fn parked(&self) -> impl Iterator<Item = (Seq, Reason)> {
        self.window.parked().chain(self.fresh.window.parked())
    }

    /// Whether no record that was read has to wait.
    pub fn holds_none(&self) -> bool {
        self.window.is_empty() && self.fresh.window.is_empty()
    }

    /// Whether the record in the batch goes alone, to compare it with a suspect.
    pub fn compares_alone(&self) -> bool {
        self.suspects.any() && !self.batch.is_empty()
    }

    /// Whether the batch begins with a pack that is larger than the next call may be, and can be split.
    pub fn begins_too_large(&self, life: Life) -> bool {
        let first = self.batch.entries().first().map_or(0, Entry::text_bytes);
        self.batch.posts(1) > 1 && first + CALL_BYTES > self.flow.call_bytes(life)
    }

    /// How many of the batch's first records the next call carries.
    pub fn count(&mut self, life: Life, wall: SystemTime) -> usize {
        if self.suspects.compares() {
            return 1;
        }
        let room = self
            .flow
            .call_bytes(life)
            .min(self.pace.room(wall))
            .saturating_sub(CALL_BYTES);
        let mut bytes = 0;
        let fits = |entry: &&Entry| {
            bytes += entry.text_bytes();
            bytes <= room
        };
        let count = self.batch.entries().iter().take_while(fits).count();
        count.clamp(1, self.limit.min(self.batch.entries().len()))
    }

    /// Whether only suspects wait: no other record is left to compare them with.
    pub fn suspects_wait_alone(&self) -> bool {
        self.suspects.any() && self.parked().all(|(_, reason)| reason == SUSPECT)
    }

    /// Whether the call named the previous record's sequence number. If so, the next call leaves it out.
    pub fn drops_order(&mut self) -> bool {
        let named = !self.order.after().is_empty();
        if named {
            self.order.forget();
        }
        named
    }
}

#[cfg(test)]
mod tests;
