//! What the result of a call means for its records and for the lanes.

use std::time::Duration;

use crate::aws::kinesis::outcome::SequenceNumber;
use crate::aws::kinesis::{Class, MAX_RECORDS};
use crate::net::meter::Life;
use crate::spool::Seq;
use crate::uplink::flight::Flight;
use crate::uplink::lanes::cell_of;
use crate::uplink::queue::Queue;
use crate::uplink::window::{READY, Reason, SUSPECT};

impl Flight {
    /// Empties the batch: its records are read again, for a call of another size or encoding. Returns how many posts of it may have arrived.
    pub fn put_all_back(&mut self) -> usize {
        // If no record is passed, they are read again as the first that wait.
        if self.passing {
            for index in 0..self.batch.entries().len() {
                self.park_posts(index, READY);
            }
        }
        let maybe_arrived = self.batch.posts(self.maybe_arrived);
        self.maybe_arrived = 0;
        self.batch.clear();
        maybe_arrived
    }

    /// Parks the posts in the batch's record at `index`.
    fn park_posts(&mut self, index: usize, reason: Reason) {
        for seq in self.batch.seqs(index) {
            let window = self.fresh.window_of(*seq, &mut self.window);
            window.park(*seq, reason);
        }
    }

    /// Acknowledges the batch's first `count` records, which were delivered; `number` is the sequence number of a single one. Returns how many
    /// posts of the rest may have arrived and are read again.
    pub fn delivered(
        &mut self,
        queue: &impl Queue,
        now: Duration,
        count: usize,
        number: SequenceNumber,
    ) -> usize {
        if self.suspects.any() {
            let first = self.batch.entries().first().map(|entry| entry.seq);
            self.suspects.accepted(first);
            self.release_suspects();
        }
        if self.lanes.is_empty() {
            self.lanes.accepted(now, count);
        } else {
            let cells = self.cells(count);
            self.learn(now, &cells, &[Class::Delivered; MAX_RECORDS][..count]);
        }
        self.let_go(queue, count);
        self.order.arrived(number);
        self.limit = (self.limit * 2).min(MAX_RECORDS);
        self.backoff.reset();
        self.begin_fresh(queue)
    }

    /// After the first delivery since an outage, the next call is filled again, with fresh posts first. Returns how many posts that may have
    /// arrived are read again for it.
    fn begin_fresh(&mut self, queue: &impl Queue) -> usize {
        match self.fresh.begins(queue) {
            true => self.put_all_back(),
            false => 0,
        }
    }

    /// Acknowledges those of the batch's first records whose class is *delivered*, and parks the others. Returns how many posts of the rest may
    /// have arrived and are read again.
    pub fn settle(&mut self, queue: &impl Queue, now: Duration, classes: &[Class]) -> usize {
        let arrived = (0..classes.len()).filter(|index| classes[*index] == Class::Delivered);
        let some_arrived = arrived.clone().next().is_some();
        if some_arrived {
            self.suspects.accepted(None);
            self.release_suspects();
            self.backoff.reset();
        }
        self.passing = true;
        let cells = match self.lanes.is_empty() && !classes.contains(&Class::Throttled) {
            true => heapless::Vec::new(),
            false => self.cells(classes.len()),
        };
        self.learn(now, &cells, classes);
        for (index, class) in classes.iter().enumerate() {
            let reason = match class {
                Class::Delivered => continue,
                Class::Throttled => cells[index],
                _ => READY,
            };
            self.park_posts(index, reason);
        }
        queue.ack_each(arrived.flat_map(|index| self.batch.seqs(index)).copied());
        self.batch.drop_first(classes.len());
        self.maybe_arrived = self.maybe_arrived.saturating_sub(classes.len());
        match some_arrived {
            true => self.begin_fresh(queue),
            false => 0,
        }
    }

    /// The network broke a call of `count` records and `bytes`, after some bytes were sent, on a connection with this `life`; `next` is that of
    /// the next connection. Returns how many posts that may have arrived are read again because the batch was emptied.
    pub fn broke(&mut self, bytes: usize, count: usize, life: Life, next: Life) -> usize {
        self.flow.broke(bytes, life);
        self.maybe_arrived = self.maybe_arrived.max(count);
        match self.begins_too_large(next) {
            true => self.put_all_back(),
            false => 0,
        }
    }

    /// Acknowledges the batch's first `count` records: they were delivered, or are in the dead-letter file.
    pub fn let_go(&mut self, queue: &impl Queue, count: usize) {
        if self.passing {
            let seqs = (0..count).flat_map(|index| self.batch.seqs(index));
            queue.ack_each(seqs.copied());
            self.batch.drop_first(count);
        } else {
            queue.ack(self.batch.drop_first(count));
        }
        self.maybe_arrived = self.maybe_arrived.saturating_sub(count);
    }

    /// The cells of the batch's first `count` records.
    fn cells(&self, count: usize) -> heapless::Vec<u8, MAX_RECORDS> {
        let keys = (0..count).map(|index| self.batch.partition_key(index));
        keys.map(|key| cell_of(&key)).collect()
    }

    /// Tells the lanes the results of the batch's first records, which are in these cells.
    fn learn(&mut self, now: Duration, cells: &[u8], classes: &[Class]) {
        if cells.is_empty() {
            return;
        }
        let shards = cells.iter().copied().zip(self.shards.iter().copied());
        self.lanes.learn(shards.filter(|(_, shard)| *shard != 0));
        let results = cells
            .iter()
            .zip(classes)
            .filter_map(|(cell, class)| match class {
                Class::Delivered => Some((*cell, true)),
                Class::Throttled => Some((*cell, false)),
                _ => None,
            });
        self.lanes.answered(now, results);
    }

    /// Lets the suspects be tried again: another record was accepted, or none can be.
    pub fn release_suspects(&mut self) {
        let suspects: heapless::Vec<Seq, 8> = self
            .parked()
            .filter(|(_, reason)| *reason == SUSPECT)
            .map(|(seq, _)| seq)
            .take(8)
            .collect();
        for seq in suspects {
            self.park(seq, READY);
        }
    }
}
