//! Many boards on one stream, simulated: an outage of all, and their return. As in [`super::sim`], what a board remembers from call to
//! call, and calculates, is the real thing.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::Range;
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use testkit::shards::{Limits, Shards, hash};

use super::sim::{SECOND, Waiting};
use crate::aws::clock::ServerClock;
use crate::aws::kinesis::Class;
use crate::aws::kinesis::request::Batch;
use crate::aws::kinesis::wire::Wire;
use crate::net::meter::Life;
use crate::uplink::flight::{CALL_BYTES, Flight};
use crate::uplink::fresh::Fresh;
use crate::uplink::lanes::{Lanes, Random};
use crate::uplink::pace::Pace;

/// Between two posts of a board.
const PERIOD: Duration = SECOND;

/// Posts flow for so long before the outage.
const STEADY: Duration = Duration::from_secs(10);

/// What is simulated: as `bench/fleet` does it with real programs.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// How many boards there are; each has a post a second.
    pub boards: u32,
    /// How many shards, and how many records a second each takes.
    pub shards: usize,
    pub records: f64,
    /// How long nobody gets through.
    pub outage: Duration,
    /// From a call to its answer.
    pub trip: Duration,
    /// Of the random numbers.
    pub seed: u64,
}

/// What the stream saw in a second.
#[derive(Clone, Copy, Debug, Default)]
pub struct Second {
    pub calls: u32,
    pub accepted: u32,
    pub refused: u32,
}

struct Board {
    flight: Flight,
    queue: Waiting,
    /// When its first post comes.
    begins: Duration,
    /// When it had delivered all but its newest post, after the outage.
    done: Option<Duration>,
}

/// A fleet at work.
pub struct Fleet {
    plan: Plan,
    boards: Vec<Board>,
    /// When each board acts next.
    agenda: BinaryHeap<Reverse<(Duration, usize)>>,
    stream: Shards,
    random: Random,
    pub seconds: Vec<Second>,
}

impl Plan {
    fn outage(&self) -> Range<Duration> {
        STEADY..STEADY + self.outage
    }

    /// The least time in which the shards can take what waits after the outage, and what comes meanwhile.
    pub fn least(&self) -> Duration {
        let a_second = self.shards as f64 * self.records;
        let posts = f64::from(self.boards) / PERIOD.as_secs_f64();
        let backlog = posts * self.outage.as_secs_f64();
        Duration::from_secs_f64((backlog - a_second) / (a_second - posts))
    }
}

impl Fleet {
    /// Boards that begin within one period.
    pub fn new(plan: Plan) -> Self {
        let mut random = Random(plan.seed);
        let post = |author| (format!("user{author}"), vec![b'x'; 560]);
        let posts: Rc<[_]> = (0..997).map(post).collect();
        let count =
            ((plan.outage().end + plan.least() * 2).as_secs_f64() / PERIOD.as_secs_f64()) as usize;
        let boards: Vec<_> = (0..plan.boards as usize)
            .map(|number| Board {
                flight: Flight {
                    lanes: Lanes::with_seed(random.number()),
                    ..Flight::new(
                        Batch::new("posts", Wire::Json),
                        Pace::new(Default::default(), Default::default()),
                        Fresh::default(),
                        ServerClock::default(),
                    )
                },
                queue: Waiting::part(&posts, number * 3, count),
                begins: PERIOD.mul_f64(random.fraction()),
                done: None,
            })
            .collect();
        let agenda = boards.iter().enumerate();
        let limits = Limits {
            records: plan.records,
            ..Limits::default()
        };
        Self {
            agenda: agenda
                .map(|(index, board)| Reverse((board.begins, index)))
                .collect(),
            boards,
            stream: Shards::new(&vec![limits; plan.shards]),
            random,
            seconds: Vec::new(),
            plan,
        }
    }

    /// Runs until every board has delivered all but its newest post, and a while longer; or until that takes twice the least possible.
    pub fn run(&mut self) {
        let back = self.plan.outage().end;
        let mut end = back + self.plan.least() * 2;
        let mut waiting = self.boards.len();
        while let Some(Reverse((now, index))) = self.agenda.pop()
            && now < end
        {
            let next = self.act(now, index);
            self.agenda.push(Reverse((next, index)));
            let board = &mut self.boards[index];
            if now >= back && board.done.is_none() && board.queue.len() <= 1 {
                board.done = Some(now - back);
                waiting -= 1;
                if waiting == 0 {
                    end = end.min(now + SECOND * 10);
                }
            }
        }
    }

    /// When each board was done, counted from the end of the outage.
    pub fn done(&self) -> impl Iterator<Item = Option<Duration>> {
        self.boards.iter().map(|board| board.done)
    }

    /// The seconds in which the network stood.
    pub fn online(&self) -> impl Iterator<Item = &Second> + Clone {
        let outage = self.plan.outage();
        let stands =
            move |second: u64| !(outage.start.as_secs()..outage.end.as_secs()).contains(&second);
        let seconds = (0..).zip(&self.seconds);
        seconds.filter_map(move |(second, counts)| stands(second).then_some(counts))
    }

    /// What a board does at `now`, as the loop does it: fills a call, sends it, acts on the answer. When it acts next.
    fn act(&mut self, now: Duration, index: usize) -> Duration {
        let board = &mut self.boards[index];
        let came = now.saturating_sub(board.begins).div_duration_f64(PERIOD) as u64 + 1;
        board.queue.read.set(came);
        let Board { flight, queue, .. } = board;
        if flight.batch.entries().is_empty() {
            flight.fill(queue, now, false);
        }
        if flight.batch.entries().is_empty() {
            let next_post = board.begins + PERIOD * came as u32;
            let opens = flight.lanes.next_at(now).unwrap_or(next_post);
            return opens.min(next_post).max(now + Duration::from_millis(1));
        }
        if self.plan.outage().contains(&now) {
            let (least, most) = flight.backoff.bounds(false);
            return now + least + (most - least).mul_f64(self.random.fraction());
        }
        let count = flight.count(Life::default(), SystemTime::UNIX_EPOCH);
        let bytes = flight.batch.body(count, "").1.len() + CALL_BYTES;
        let trip = self.plan.trip.mul_f64(0.5 + self.random.fraction());
        let second = now.as_secs() as usize;
        if self.seconds.len() <= second {
            self.seconds.resize(second + 1, Second::default());
        }
        let counts = &mut self.seconds[second];
        counts.calls += 1;
        flight.shards.clear();
        let mut classes = Vec::new();
        for index in 0..count {
            let shard = self.stream.of(hash(&flight.batch.partition_key(index)));
            let bytes = flight.batch.entries()[index].text_bytes() * 3 / 4;
            let takes = self.stream.offer(shard, now, bytes);
            // The answer names the shard of what was accepted.
            let name = if takes { shard as u32 + 1 } else { 0 };
            let _ = flight.shards.push(name);
            classes.push(if takes {
                Class::Delivered
            } else {
                Class::Throttled
            });
            counts.accepted += u32::from(takes);
            counts.refused += u32::from(!takes);
        }
        let answered = now + trip;
        flight.flow.succeeded(bytes, trip, Life::default());
        if classes.contains(&Class::Throttled) {
            flight.settle(queue, answered, &classes);
        } else {
            flight.delivered(queue, answered, count, Default::default());
        }
        answered
    }
}
