//! What the loop remembers from call to call: the next call's records, and what it learned of the way and of the stream. No I/O.

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

/// Bytes of a call beside its records: the head with its signature, and TLS around it.
pub const CALL_BYTES: usize = 1000;

/// What the loop remembers from call to call.
pub struct Flight {
    /// The next call's records; those of a call that broke stay in it.
    pub batch: Batch,
    /// How many of the batch's first records were sent before, and may have arrived.
    pub maybe_arrived: usize,
    /// Number of the board's report that was taken last.
    pub report: u64,
    /// Those that were read and wait.
    pub window: Window,
    /// What goes before the backlog.
    pub fresh: Fresh,
    /// Some record waits while others pass it: each is let go of by itself.
    pub passing: bool,
    /// The throttled parts of the stream.
    pub lanes: Lanes,
    /// Which shards took the records of the last call, where that was looked at.
    pub shards: heapless::Vec<Shard, MAX_RECORDS>,
    /// Records that were refused for a reason that may not be theirs.
    pub suspects: Suspects,
    /// How much a call carries.
    pub flow: Flow,
    /// What the user allows the link.
    pub pace: Pace,
    /// Most records in a call: fewer where a call was refused as it is.
    pub limit: usize,
    /// Strict order.
    pub order: Order,
    /// The failures in a row.
    pub backoff: Backoff,
    /// The server's time.
    pub time: ServerClock,
    /// Attempts in a row that mended something.
    pub mended: u32,
}

impl Flight {
    /// Before the first call.
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

    /// Has record `seq` wait.
    pub fn park(&mut self, seq: Seq, reason: Reason) {
        self.window_of(seq).park(seq, reason);
    }

    /// The window where record `seq` may wait.
    pub fn window_of(&mut self, seq: Seq) -> &mut Window {
        self.fresh.window_of(seq, &mut self.window)
    }

    /// The records that wait, and why.
    pub fn parked(&self) -> impl Iterator<Item = (Seq, Reason)> {
        self.window.parked().chain(self.fresh.window.parked())
    }

    /// Whether no record waits while others pass it.
    pub fn holds_none(&self) -> bool {
        self.window.is_empty() && self.fresh.window.is_empty()
    }

    /// Whether what is in the batch goes alone, to be compared with a record under suspicion.
    pub fn compares_alone(&self) -> bool {
        self.suspects.any() && !self.batch.is_empty()
    }

    /// Whether the batch begins with a pack that is larger than a call is to be now. It can be made smaller.
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

    /// Whether nothing else waits than records that were refused, and the others to compare them with are through.
    pub fn suspects_wait_alone(&self) -> bool {
        self.suspects.any() && self.parked().all(|(_, reason)| reason == SUSPECT)
    }

    /// Whether the call named the sequence number of the record before, which the next one then leaves out.
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
