//! What the loop remembers from call to call: the next call's records, and what it learned of the way and of the stream. No I/O.

use std::ops::ControlFlow;
use std::time::{Duration, SystemTime};

use crate::aws::clock::ServerClock;
use crate::aws::kinesis::request::{Batch, Entry, REPORT};
use crate::aws::kinesis::{Class, MAX_RECORDS};
use crate::net::meter::Life;
use crate::post::record::Record;
use crate::spool::Seq;
use crate::uplink::flow::Flow;
use crate::uplink::lanes::{Lanes, Shard, cell_of};
use crate::uplink::order::Order;
use crate::uplink::pace::Pace;
use crate::uplink::pause::Backoff;
use crate::uplink::suspects::Suspects;
use crate::uplink::window::{READY, SUSPECT, Window};

/// Bytes of a call beside its records: the head with its signature, and TLS around it.
pub const CALL_BYTES: usize = 1000;

/// What the loop remembers from call to call.
pub struct Flight {
    /// The next call's records; those of a call that broke stay in it.
    pub batch: Batch,
    /// How many of the batch's first records were sent before, and may have arrived.
    pub maybe_arrived: usize,
    /// The number of the board's report that was taken last.
    pub report: u64,
    /// Those that were read and wait.
    pub window: Window,
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
    pub fn new(batch: Batch, pace: Pace, time: ServerClock) -> Self {
        Self {
            batch,
            maybe_arrived: 0,
            report: 0,
            window: Window::default(),
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

    /// Offers a record that is read for the first time: it goes, is parked, or ends the reading.
    pub fn take(
        &mut self,
        seq: Seq,
        record: Record<'_>,
        now: Duration,
        ordered: bool,
    ) -> ControlFlow<()> {
        if self.is_full(record.len_bytes()) {
            return ControlFlow::Break(());
        }
        let mut lane = 0;
        if !self.lanes.is_empty() && !ordered {
            let cell = cell_of(record.partition_key);
            if !self.may_go(cell, record, now) {
                self.window.read_to(seq + 1);
                self.window.park(seq, cell);
                self.passing = true;
                return match self.is_blocked(now) {
                    true => ControlFlow::Break(()),
                    false => ControlFlow::Continue(()),
                };
            }
            lane = self.lanes.lane_of(cell);
            // Packs of several lanes are not in the spool's order.
            self.passing |= self.batch.packs();
        }
        if !self.batch.push_in_lane(lane, seq, record) {
            return ControlFlow::Break(());
        }
        self.window.read_to(seq + 1);
        if ordered {
            self.order.follow(record.partition_key);
        }
        match ordered || self.suspects.compares() {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    }

    /// Offers the board's report, for an empty batch. It stays out of what is found out about other records.
    pub fn take_report(&mut self, number: u64, record: Record<'_>, now: Duration) {
        let cell = cell_of(record.partition_key);
        if self.suspects.any() || !self.lanes.is_empty() && !self.lanes.take(cell, now) {
            return;
        }
        let lane = match self.lanes.is_empty() {
            true => 0,
            false => self.lanes.lane_of(cell),
        };
        if self.batch.push_in_lane(lane, REPORT, record) {
            self.report = number;
            self.order.stand_aside();
        }
    }

    /// Whether nothing is in the batch but the board's report.
    pub fn has_report_alone(&self) -> bool {
        let records = self.batch.entries().len();
        self.batch.report_in(records).is_some() && self.batch.posts(records) == 0
    }

    /// Offers a parked record whose time has come.
    pub fn take_again(&mut self, seq: Seq, record: Record<'_>, now: Duration) {
        let reason = self.window.reason(seq);
        let packs = self.batch.packs();
        if self.is_full(record.len_bytes()) {
            if reason < READY && !packs {
                self.lanes.give_back(reason);
            }
            return;
        }
        let mut lane = 0;
        if packs && !self.lanes.is_empty() {
            let cell = cell_of(record.partition_key);
            if reason < READY && !self.may_go(cell, record, now) {
                return self.window.park(seq, cell);
            }
            lane = self.lanes.lane_of(cell);
        }
        if self.batch.push_in_lane(lane, seq, record) {
            self.window.unpark(seq);
        }
    }

    /// Whether no record may go now, of any cell.
    pub fn is_blocked(&self, now: Duration) -> bool {
        self.lanes.blocks_all(now) && !self.batch.is_filling()
    }

    /// Whether a record of this cell may go now: into a pack that goes anyway, or by a token of its lane.
    fn may_go(&mut self, cell: u8, record: Record<'_>, now: Duration) -> bool {
        let lane = self.lanes.lane_of(cell);
        self.batch.joins(lane, record.len_bytes()) || self.lanes.take(cell, now)
    }

    /// Whether a record of so many bytes more would make the batch larger than a call is to be now.
    pub fn is_full(&self, record_bytes: usize) -> bool {
        let posts = self.batch.len();
        let bytes = self.batch.text_bytes() + record_bytes / 3 * 4;
        posts > 0 && (posts >= self.limit || bytes > self.flow.aim())
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

    /// What is in the batch is read again, into a batch that may be written in another way. How many posts of it may have arrived.
    pub fn put_all_back(&mut self) -> usize {
        // Where none is passed, they are the first that wait.
        if self.passing {
            for index in 0..self.batch.entries().len() {
                for seq in self.batch.seqs(index) {
                    self.window.park(*seq, READY);
                }
            }
        }
        let maybe_arrived = self.batch.posts(self.maybe_arrived);
        self.maybe_arrived = 0;
        self.batch.clear();
        maybe_arrived
    }

    /// Tells the lanes what became of the batch's first records.
    pub fn learn(&mut self, now: Duration, classes: &[Class]) {
        let Self {
            batch,
            lanes,
            shards,
            ..
        } = self;
        if lanes.is_empty() && !classes.contains(&Class::Throttled) {
            return;
        }
        let results = classes.iter().enumerate().filter_map(|(index, class)| {
            let accepted = match class {
                Class::Delivered => true,
                Class::Throttled => false,
                _ => return None,
            };
            Some((cell_of(&batch.partition_key(index)), accepted))
        });
        let shards = shards.iter().take(classes.len()).zip(0..);
        let shards = shards.filter(|(shard, _)| **shard != 0);
        lanes.learn(shards.map(|(shard, index)| (cell_of(&batch.partition_key(index)), *shard)));
        lanes.answered(now, results);
    }

    /// Parks those of the batch's first records that did not arrive.
    pub fn park_undelivered(&mut self, classes: &[Class]) {
        for (index, class) in classes.iter().enumerate() {
            let reason = match class {
                Class::Delivered => continue,
                Class::Throttled => cell_of(&self.batch.partition_key(index)),
                _ => READY,
            };
            for seq in self.batch.seqs(index) {
                self.window.park(*seq, reason);
            }
        }
    }

    /// Whether nothing else waits than records that were refused, and the others to compare them with are through.
    pub fn suspects_wait_alone(&self) -> bool {
        self.suspects.any() && self.window.parked().all(|(_, reason)| reason == SUSPECT)
    }

    /// Another record was accepted, or none is: the suspects may be tried again.
    pub fn release_suspects(&mut self) {
        let suspects: heapless::Vec<Seq, 8> = self
            .window
            .parked()
            .filter(|(_, reason)| *reason == SUSPECT)
            .map(|(seq, _)| seq)
            .take(8)
            .collect();
        for seq in suspects {
            self.window.park(seq, READY);
        }
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
