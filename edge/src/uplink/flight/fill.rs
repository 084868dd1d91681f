//! Which records the next call carries.

use std::ops::{ControlFlow, Range};
use std::time::Duration;

use crate::aws::kinesis::MAX_RECORDS;
use crate::aws::kinesis::request::REPORT;
use crate::post::record::Record;
use crate::spool::Seq;
use crate::uplink::flight::Flight;
use crate::uplink::lanes::{CELLS, cell_of};
use crate::uplink::queue::Queue;
use crate::uplink::window::{READY, SUSPECT};

/// Parked records further apart than this are looked up separately, not read through.
const FAR: Seq = 256;

impl Flight {
    /// Fills the batch with records that may go now: the backlog, oldest first, and fresh ones before it if the user wants that.
    pub fn fill(&mut self, queue: &impl Queue, now: Duration, ordered: bool) {
        if self.fill_fresh_first(queue, now, ordered) {
            return;
        }
        self.window.forget_below(queue.head());
        self.passing &= !self.window.is_empty();
        self.take_backlog(queue, now, ordered);
    }

    /// Takes records of the backlog that may go now, oldest first. Without fresh ones the backlog is all that waits.
    pub(super) fn take_backlog(&mut self, queue: &impl Queue, now: Duration, ordered: bool) {
        let head = queue.head();
        self.window.forget_below(head);
        let reach = self.window.reach(head).min(self.fresh.from());
        if self.window.is_empty() {
            self.window.read_to(head);
            queue.peek(|seq, record| match seq < reach {
                true => self.take(seq, record, now, ordered),
                false => ControlFlow::Break(()),
            });
            return;
        }
        if self.window.lowest().is_some_and(|lowest| head < lowest) {
            // The record at the head is gone: peeking counts it and passes it.
            queue.peek(|_, _| ControlFlow::Break(()));
        }
        self.take_parked(queue, now, 0..reach);
        if self.is_full(0) || self.compares_alone() || self.is_blocked(now) {
            return;
        }
        let end = self.window.end();
        self.read(queue, now, ordered, end..reach);
    }

    /// Offers the records of `range`, which are read for the first time.
    pub(super) fn read(
        &mut self,
        queue: &impl Queue,
        now: Duration,
        ordered: bool,
        range: Range<Seq>,
    ) {
        if !range.is_empty() {
            queue.peek_from(range.start, |seq, record| match seq < range.end {
                true => self.take(seq, record, now, ordered),
                false => ControlFlow::Break(()),
            });
        }
    }

    /// Takes the parked records of `range` that may go now.
    pub(super) fn take_parked(&mut self, queue: &impl Queue, now: Duration, range: Range<Seq>) {
        let mut wanted: heapless::Vec<Seq, MAX_RECORDS> = heapless::Vec::new();
        let alone = self.suspects.any();
        let room = if alone {
            1
        } else {
            self.limit.min(MAX_RECORDS)
        };
        let packs = self.batch.packs();
        // For each lane, by its number, whether it lets a pack go.
        let mut open = [None; 1 + CELLS as usize];
        let Self {
            window,
            fresh,
            lanes,
            ..
        } = self;
        let parked = window.parked().chain(fresh.window.parked());
        for (seq, reason) in parked.filter(|(seq, _)| range.contains(seq)) {
            if wanted.len() == room {
                break;
            }
            let may_go = match reason {
                READY => true,
                SUSPECT.. => false,
                _ if packs => {
                    let lane = usize::from(lanes.lane_of(reason));
                    *open[lane].get_or_insert_with(|| {
                        let may_go = lanes.take(reason, now);
                        // The pack takes the token again.
                        may_go.then(|| lanes.give_back(reason)).is_some()
                    })
                }
                _ => lanes.take(reason, now),
            };
            if may_go {
                let _ = wanted.push(seq);
            }
        }
        let mut wanted = wanted.into_iter().peekable();
        while let Some(first) = wanted.peek().copied() {
            let mut seen = false;
            queue.peek_from(first, |seq, record| {
                seen = true;
                while let Some(gone) = wanted.next_if(|next| *next < seq) {
                    self.window_of(gone).unpark(gone);
                }
                if wanted.next_if_eq(&seq).is_some() {
                    self.take_again(seq, record, now);
                }
                match wanted.peek() {
                    Some(next) if *next < seq + FAR => ControlFlow::Continue(()),
                    _ => ControlFlow::Break(()),
                }
            });
            if !seen {
                for gone in wanted.by_ref() {
                    self.window_of(gone).unpark(gone);
                }
            }
        }
    }

    /// Offers a record that is read for the first time. It joins the batch or is parked; breaks if the batch is full.
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
                self.window_of(seq).read_to(seq + 1);
                self.park(seq, cell);
                self.passing = true;
                return match self.is_blocked(now) {
                    true => ControlFlow::Break(()),
                    false => ControlFlow::Continue(()),
                };
            }
            lane = self.lanes.lane_of(cell);
            // Packs of several lanes leave the spool's order.
            self.passing |= self.batch.packs();
        }
        if !self.batch.push_in_lane(lane, seq, record) {
            return ControlFlow::Break(());
        }
        self.window_of(seq).read_to(seq + 1);
        if ordered {
            self.order.follow(record.partition_key);
        }
        match ordered || self.suspects.compares() {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    }

    /// Puts the board's report into the empty batch, unless suspects are being compared or its lane is closed.
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

    /// Whether the batch holds only the board's report.
    pub fn has_report_alone(&self) -> bool {
        let records = self.batch.entries().len();
        self.batch.report_in(records).is_some() && self.batch.posts(records) == 0
    }

    /// Offers a parked record that may go now.
    pub fn take_again(&mut self, seq: Seq, record: Record<'_>, now: Duration) {
        let reason = self.window_of(seq).reason(seq);
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
                return self.park(seq, cell);
            }
            lane = self.lanes.lane_of(cell);
        }
        if self.batch.push_in_lane(lane, seq, record) {
            self.window_of(seq).unpark(seq);
        }
    }

    /// Whether no record of any cell may go now.
    pub fn is_blocked(&self, now: Duration) -> bool {
        self.lanes.blocks_all(now) && !self.batch.is_filling()
    }

    /// Whether a record of this cell may go now: in a pack that is being filled, or with a token of its lane.
    fn may_go(&mut self, cell: u8, record: Record<'_>, now: Duration) -> bool {
        let lane = self.lanes.lane_of(cell);
        self.batch.joins(lane, record.len_bytes()) || self.lanes.take(cell, now)
    }

    /// Whether one more record of `record_bytes` would make the batch larger than the next call may be.
    pub fn is_full(&self, record_bytes: usize) -> bool {
        let posts = self.batch.len();
        let bytes = self.batch.text_bytes() + record_bytes / 3 * 4;
        let (most, aim) = match self.fresh.is_half {
            true => (self.limit.div_ceil(2), self.flow.aim() / 2),
            false => (self.limit, self.flow.aim()),
        };
        posts > 0 && (posts >= most || bytes > aim)
    }
}
