//! Boards, and a stream of shards with their limits, simulated: what a run of minutes does takes milliseconds.

use std::collections::VecDeque;
use std::time::Duration;

use crate::uplink::lanes::{CELLS, Lanes, Random, to_f64};

pub(super) const SECOND: Duration = Duration::from_secs(1);

/// Most records of a call.
const CALL_RECORDS: usize = 500;

/// How a shard counts.
#[derive(Clone, Copy, Debug)]
pub(super) enum Limit {
    /// A token bucket that holds a second's worth.
    Bucket,
    /// So many in each second by the clock.
    EachSecond,
}

/// The range of cells from `first` on, and what it takes: in units a second.
#[derive(Clone, Debug)]
pub(super) struct Shard {
    pub(super) first: u8,
    pub(super) rate: f64,
    /// What one record uses of it.
    pub(super) each: f64,
    pub(super) limit: Limit,
    pub(super) left: f64,
    pub(super) at: Duration,
    pub(super) sent: u64,
    pub(super) accepted: u64,
}

impl Shard {
    pub(super) fn new(first: u8, rate: f64, limit: Limit) -> Self {
        Self {
            first,
            rate,
            each: 1.0,
            limit,
            left: rate,
            at: Duration::ZERO,
            sent: 0,
            accepted: 0,
        }
    }

    pub(super) fn put(&mut self, now: Duration) -> bool {
        match self.limit {
            Limit::Bucket => {
                let passed = now.saturating_sub(self.at).as_secs_f64();
                self.left = (self.left + passed * self.rate).min(self.rate.max(self.each));
            }
            Limit::EachSecond if now.as_secs() > self.at.as_secs() => self.left = self.rate,
            Limit::EachSecond => {}
        }
        self.at = now;
        self.sent += 1;
        let accepted = self.left >= self.each;
        if accepted {
            self.left -= self.each;
            self.accepted += 1;
        }
        accepted
    }

    /// How often each record was sent.
    #[allow(clippy::cast_precision_loss, reason = "small")]
    pub(super) fn repeats(&self) -> f64 {
        self.sent as f64 / self.accepted as f64
    }
}

pub(super) struct Sender {
    pub(super) lanes: Lanes,
    /// Cells of the records that wait, the oldest first.
    pub(super) waiting: VecDeque<u8>,
    pub(super) next: Duration,
    pub(super) accepted: u64,
    pub(super) calls: u64,
    pub(super) done_at: Option<Duration>,
}

pub(super) struct Sim {
    pub(super) shards: Vec<Shard>,
    pub(super) boards: Vec<Sender>,
    pub(super) trip: Duration,
    pub(super) now: Duration,
    pub(super) random: Random,
    /// Records that a board holds back and still looks further.
    pub(super) window: usize,
    /// The answers name the shards.
    pub(super) names: bool,
}

impl Sim {
    /// Boards with `each` records for cells that are drawn evenly.
    pub(super) fn new(
        shards: Vec<Shard>,
        boards: u64,
        each: usize,
        trip: Duration,
        seed: u64,
    ) -> Self {
        let mut random = Random(seed);
        let mut board = |index| Sender {
            lanes: Lanes::with_seed(seed * 1000 + index),
            waiting: (0..each).map(|_| cell(&mut random)).collect(),
            // They begin within one trip.
            next: trip.mul_f64(0.1 * to_f64(usize::try_from(index).unwrap())),
            accepted: 0,
            calls: 0,
            done_at: None,
        };
        Self {
            shards,
            boards: (0..boards).map(&mut board).collect(),
            trip,
            now: Duration::ZERO,
            random,
            window: 600,
            names: false,
        }
    }

    pub(super) fn shard(&mut self, cell: u8) -> &mut Shard {
        let index = self.shard_index(cell);
        &mut self.shards[index]
    }

    fn shard_index(&self, cell: u8) -> usize {
        self.shards.partition_point(|shard| shard.first <= cell) - 1
    }

    /// One pass of the board that is next: a call, or a wait. False when all is delivered.
    pub(super) fn step(&mut self) -> bool {
        let next = (0..self.boards.len())
            .filter(|index| self.boards[*index].done_at.is_none())
            .min_by_key(|index| self.boards[*index].next);
        let Some(index) = next else { return false };
        let board = &mut self.boards[index];
        let now = board.next;
        self.now = now;
        let mut call = Vec::new();
        let mut held = VecDeque::new();
        while call.len() < CALL_RECORDS && held.len() < self.window {
            let Some(cell) = board.waiting.pop_front() else {
                break;
            };
            if board.lanes.take(cell, now) {
                call.push(cell);
            } else {
                held.push_back(cell);
            }
        }
        if call.is_empty() {
            let next = board.lanes.next_at(now).expect("a lane that opens");
            board.next = next.max(now + Duration::from_millis(1));
        } else {
            board.calls += 1;
            // No two trips take the same time.
            let trip = self.trip.mul_f64(0.9 + 0.2 * self.random.fraction());
            let arrives = now + trip / 2;
            let results: Vec<_> = call
                .into_iter()
                .map(|cell| (cell, self.shard(cell).put(arrives)))
                .collect();
            let mut named = Vec::new();
            if self.names {
                let accepted = results.iter().filter(|(_, accepted)| *accepted);
                let name = |cell| u32::try_from(self.shard_index(cell) + 1).unwrap();
                named.extend(accepted.map(|(cell, _)| (*cell, name(*cell))));
            }
            let board = &mut self.boards[index];
            board.next = now + trip;
            let all = results.iter().all(|(_, accepted)| *accepted);
            if all && board.lanes.is_empty() {
                board.lanes.accepted(board.next, results.len());
            } else {
                board.lanes.learn(named.into_iter());
                board.lanes.answered(board.next, results.iter().copied());
            }
            for (cell, accepted) in results.iter().rev() {
                if *accepted {
                    board.accepted += 1;
                } else {
                    held.push_front(*cell);
                }
            }
        }
        let board = &mut self.boards[index];
        while let Some(cell) = held.pop_back() {
            board.waiting.push_front(cell);
        }
        if board.waiting.is_empty() {
            board.done_at = Some(board.next);
        }
        true
    }

    pub(super) fn run_until(&mut self, end: Duration) {
        while self.now < end && self.step() {}
    }
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "below 64"
)]
fn cell(random: &mut Random) -> u8 {
    (random.fraction() * f64::from(CELLS)) as u8
}
