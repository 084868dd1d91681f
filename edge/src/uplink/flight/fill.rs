//! Which records the next call carries.

use std::ops::ControlFlow;
use std::time::Duration;

use crate::aws::kinesis::MAX_RECORDS;
use crate::aws::kinesis::request::REPORT;
use crate::post::record::Record;
use crate::spool::{Seq, Spool};
use crate::uplink::flight::Flight;
use crate::uplink::lanes::{CELLS, cell_of};
use crate::uplink::window::{READY, SUSPECT};

/// A parked record so far from the next one is looked up anew, not read up to.
const FAR: Seq = 256;

/// What waits, as the loop sees it: the spool, or one of a simulation.
pub trait Queue {
    /// The oldest record that waits, or the next one to come.
    fn head(&self) -> Seq;
    /// See [`Spool::peek`].
    fn peek(&self, visit: impl FnMut(Seq, Record<'_>) -> ControlFlow<()>);
    /// See [`Spool::peek_from`].
    fn peek_from(&self, from: Seq, visit: impl FnMut(Seq, Record<'_>) -> ControlFlow<()>);
    /// See [`Spool::ack`].
    fn ack(&self, below: Seq);
    /// See [`Spool::ack_each`].
    fn ack_each(&self, seqs: impl IntoIterator<Item = Seq>);
}

impl Queue for Spool {
    fn head(&self) -> Seq {
        Spool::head(self)
    }

    fn peek(&self, visit: impl FnMut(Seq, Record<'_>) -> ControlFlow<()>) {
        Spool::peek(self, visit);
    }

    fn peek_from(&self, from: Seq, visit: impl FnMut(Seq, Record<'_>) -> ControlFlow<()>) {
        Spool::peek_from(self, from, visit);
    }

    fn ack(&self, below: Seq) {
        Spool::ack(self, below);
    }

    fn ack_each(&self, seqs: impl IntoIterator<Item = Seq>) {
        Spool::ack_each(self, seqs);
    }
}

impl Flight {
    /// Takes records that may go now into the batch, oldest first.
    pub fn fill(&mut self, queue: &impl Queue, now: Duration, ordered: bool) {
        let head = queue.head();
        self.window.forget_below(head);
        if self.window.is_empty() {
            self.passing = false;
            self.window.read_to(head);
            queue.peek(|seq, record| self.take(seq, record, now, ordered));
            return;
        }
        if self.window.lowest().is_some_and(|lowest| head < lowest) {
            // What the head waits for is no longer there: looking for it passes it.
            queue.peek(|_, _| ControlFlow::Break(()));
        }
        self.take_parked(queue, now);
        if self.is_full(0) || self.suspects.any() && !self.batch.is_empty() {
            return;
        }
        if self.window.has_room(head) && !self.is_blocked(now) {
            let end = self.window.end();
            queue.peek_from(end, |seq, record| self.take(seq, record, now, ordered));
        }
    }

    /// Takes the parked records whose time has come.
    fn take_parked(&mut self, queue: &impl Queue, now: Duration) {
        let mut wanted: heapless::Vec<Seq, MAX_RECORDS> = heapless::Vec::new();
        let alone = self.suspects.any();
        let room = if alone {
            1
        } else {
            self.limit.min(MAX_RECORDS)
        };
        let packs = self.batch.packs();
        // Which lanes let a pack go, by their numbers.
        let mut open = [None; 1 + CELLS as usize];
        let Self { window, lanes, .. } = self;
        for (seq, reason) in window.parked() {
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
                        // The token is taken once more with the pack.
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
                    self.window.unpark(gone);
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
                    self.window.unpark(gone);
                }
            }
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
}
