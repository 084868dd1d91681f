//! One board, its link and its stream, simulated: what a run of minutes does takes a millisecond. What the loop remembers is the real one, and
//! so is all that it calculates; only the spool, the network and the stream are models.

mod waiting;

use std::time::{Duration, SystemTime};

use testkit::shards::{Limits, Shards, hash};
pub use waiting::Waiting;

use crate::aws::clock::ServerClock;
use crate::aws::kinesis::Class;
use crate::aws::kinesis::request::Batch;
use crate::aws::kinesis::wire::Wire;
use crate::net::meter::Life;
use crate::spool::Seq;
use crate::uplink::flight::{CALL_BYTES, Flight};
use crate::uplink::fresh::Fresh;
use crate::uplink::lanes::{Lanes, Random};
use crate::uplink::pace::{self, Pace};

pub const SECOND: Duration = Duration::from_secs(1);

/// A full handshake, both ways.
const GREETING_BYTES: f64 = 4_500.0;

/// Round trips of a new connection.
const GREETINGS: u32 = 2;

/// What an answer takes on the wire, and each record's part of it.
const ANSWER_BYTES: f64 = 400.0;
const RESULT_BYTES: f64 = 100.0;

/// What the link does.
#[derive(Debug)]
struct Link {
    /// Bytes a second.
    rate: f64,
    /// There and back.
    trip: Duration,
    /// Every connection is cut after so many bytes.
    cut_bytes: f64,
    /// Every connection is cut after so much time.
    cut_time: Duration,
    /// So many calls of a hundred break somewhere.
    breaks: f64,
    /// Nothing goes through from one moment to another.
    outage: (Duration, Duration),
}

/// How far a call came.
enum Carried {
    /// There is no connection.
    Nowhere,
    /// It broke before all of it had arrived.
    InPart,
    /// It arrived, and its answer did not.
    ThereOnly,
    /// There and back.
    Both,
}

/// All that happens to one board.
pub struct Sim {
    link: Link,
    names: bool,
    /// So many records of a hundred are refused for no reason.
    failing: f64,
    ordered: bool,
    packs: bool,
    limits: pace::Limits,
    /// The time between two posts.
    every: Duration,
    kills: Vec<Duration>,
    patience: Duration,
    shards: Shards,
    queue: Waiting,
    /// Which posts arrived, and of which the board knows.
    arrived: Vec<bool>,
    known: Vec<bool>,
    now: Duration,
    connection: Option<(Life, Duration)>,
    random: Random,
    /// Calls that came whole, and posts in them, each as often as it was sent.
    pub calls: u64,
    pub sent: u64,
}

impl Sim {
    /// Draws a link and a stream.
    pub fn new(seed: u64) -> Self {
        let mut random = Random(seed);
        let mut draw = Draw(&mut random);
        let posts = draw.between(1.0, 150.0) as usize;
        let bytes = draw.between(30.0, 900.0);
        let keys = draw.between(1.0, 300.0);
        let post = |_| {
            let key = format!("author {}", (draw.fraction() * keys) as u32);
            (key, vec![b'x'; bytes as usize])
        };
        let posts: Vec<_> = (0..posts).map(post).collect();
        // What a post takes that goes alone, over a new connection.
        let alone = GREETING_BYTES + CALL_BYTES as f64 + 1.4 * bytes + 600.0 + ANSWER_BYTES;
        let rate = draw.between(800.0, 1e7);
        let trip = SECOND.mul_f64(draw.between(0.001, 1.5));
        let alone_time = trip * (GREETINGS + 1) + SECOND.mul_f64(alone / rate);
        let outage_at = SECOND.mul_f64(draw.between(0.5, 60.0));
        let outage = SECOND.mul_f64(
            draw.one_in(4)
                .map_or(0.0, |mut draw| draw.between(1.0, 300.0)),
        );
        let link = Link {
            rate,
            trip,
            cut_bytes: draw
                .one_in(3)
                .map_or(f64::INFINITY, |mut draw| alone * draw.between(1.1, 200.0)),
            cut_time: draw.one_in(4).map_or(SECOND * 1_000_000, |mut draw| {
                alone_time.mul_f64(draw.between(1.1, 50.0))
            }),
            breaks: draw
                .one_in(4)
                .map_or(0.0, |mut draw| draw.between(1.0, 30.0)),
            outage: (outage_at, outage_at + outage),
        };
        let shards = draw.between(1.0, 8.99) as usize;
        let limits: Vec<_> = (0..shards)
            .map(|_| Limits {
                records: draw
                    .one_in(3)
                    .map_or(1000.0, |mut draw| draw.between(1.0, 100.0)),
                ..Limits::default()
            })
            .collect();
        let least = limits.iter().map(|limits| limits.records);
        let least = least.fold(f64::INFINITY, f64::min);
        let ordered = draw.one_in(8).is_some();
        let max_rate = draw
            .one_in(8)
            .map(|mut draw| draw.between(500.0, 1e5) as u64);
        let every = draw
            .one_in(3)
            .map_or(0.0, |mut draw| draw.between(0.001, 2.0));
        let failing = draw
            .one_in(5)
            .map_or(0.0, |mut draw| draw.between(1.0, 20.0));
        let kills = draw
            .one_in(3)
            .map_or(0.0, |mut draw| draw.between(1.0, 4.0));
        let kills = (0..kills as u32).map(|_| SECOND.mul_f64(draw.between(0.1, 100.0)));
        let kills = kills.collect();
        // Each post alone, over a connection of its own, at the pace of the slowest shard; and much to spare.
        let count = posts.len() as f64;
        let slowest = max_rate.map_or(rate, |max| rate.min(max as f64));
        let each = alone_time + SECOND.mul_f64(alone / slowest + 1.0 / least + every);
        Self {
            link,
            names: draw.one_in(4).is_none(),
            failing,
            ordered,
            packs: !ordered && draw.one_in(3).is_some(),
            limits: pace::Limits {
                rate: max_rate,
                per_day: None,
            },
            every: SECOND.mul_f64(every),
            kills,
            patience: outage * 2 + SECOND * 300 + each.mul_f64(count * 5.0),
            shards: Shards::new(&limits),
            arrived: vec![false; posts.len()],
            known: vec![false; posts.len()],
            queue: Waiting::new(posts),
            now: Duration::ZERO,
            connection: None,
            random,
            calls: 0,
            sent: 0,
        }
    }

    /// Runs until all is delivered; says why it was not, or what was sent that should not have been.
    pub fn run(&mut self) -> Result<(), String> {
        let mut flight = self.flight();
        while !self.queue.is_empty() {
            if self.now > self.patience {
                let gone = self.known.iter().filter(|known| **known).count();
                return Err(format!(
                    "{gone} of {} after {:?}",
                    self.known.len(),
                    self.now
                ));
            }
            let now = self.now;
            let before = self.kills.len();
            self.kills.retain(|at| *at > now);
            if self.kills.len() < before {
                // What is acknowledged the spool knows after a restart.
                (flight, self.connection) = (self.flight(), None);
            }
            let read = self.now.as_secs_f64() / self.every.as_secs_f64().max(1e-9);
            self.queue
                .read
                .set((read as Seq + 1).min(self.known.len() as Seq));
            if flight.batch.entries().is_empty() {
                flight.fill(&self.queue, self.now, self.ordered);
                flight.batch.close_packs();
            }
            if flight.batch.entries().is_empty() {
                self.wait(&mut flight);
            } else {
                self.attempt(&mut flight)?;
            }
        }
        // What is gone from the spool arrived.
        match self.arrived.iter().position(|arrived| !arrived) {
            None => Ok(()),
            Some(seq) => Err(format!("post {seq} is gone, and did not arrive")),
        }
    }

    fn flight(&mut self) -> Flight {
        let batch = Batch::new("posts", Wire::Json);
        let batch = if self.packs { batch.packing() } else { batch };
        let pace = Pace::new(self.limits, Default::default());
        Flight {
            lanes: Lanes::with_seed(self.random.number()),
            ..Flight::new(batch, pace, Fresh::default(), ServerClock::default())
        }
    }

    fn wait(&mut self, flight: &mut Flight) {
        let opens = flight.lanes.next_at(self.now);
        let read = self.queue.read.get() as u32;
        let next = (read < self.known.len() as u32).then(|| self.every * read);
        let at = opens.into_iter().chain(next).min();
        let at = at.unwrap_or(self.now + SECOND / 50);
        self.now = at.max(self.now + Duration::from_millis(1));
    }

    /// One call, as the loop makes it.
    fn attempt(&mut self, flight: &mut Flight) -> Result<(), String> {
        let life = self.life();
        let wall = SystemTime::UNIX_EPOCH + self.now;
        let planned = flight.batch.text_bytes() + CALL_BYTES;
        let planned = planned.min(flight.flow.call_bytes(life));
        let wait = flight.pace.wait(self.now, wall, planned);
        if !wait.is_zero() {
            self.now += wait;
            return Ok(());
        }
        if flight.flow.renew_connection(life) {
            flight.flow.renewed(life);
            self.connection = None;
        }
        let count = flight.count(self.life(), wall);
        let (_, body) = flight.batch.body(count, flight.order.after());
        let bytes = body.len() + CALL_BYTES;
        let seqs: Vec<_> = (0..count)
            .flat_map(|index| flight.batch.seqs(index).to_vec())
            .collect();
        if let Some(seq) = seqs.iter().find(|seq| self.known[**seq as usize]) {
            return Err(format!(
                "post {seq} is sent again, and is known to have arrived"
            ));
        }
        let began = self.now;
        let carried = self.carry(bytes, count, flight);
        flight.pace.spent(SystemTime::UNIX_EPOCH + self.now, bytes);
        let outcome = match carried {
            Carried::Both | Carried::ThereOnly => {
                self.calls += 1;
                self.sent += seqs.len() as u64;
                self.offer(flight, count)
            }
            _ => Vec::new(),
        };
        match carried {
            Carried::Nowhere => self.pause(flight),
            Carried::InPart | Carried::ThereOnly => {
                let life = self.life();
                self.connection = None;
                flight.broke(bytes, count, life, Life::default());
                self.pause(flight);
            }
            Carried::Both => {
                let took = self.now - began;
                flight.flow.succeeded(bytes, took, self.life());
                self.answered(flight, &outcome);
            }
        }
        Ok(())
    }

    fn answered(&mut self, flight: &mut Flight, outcome: &[(Class, u32)]) {
        let classes: Vec<_> = outcome.iter().map(|(class, _)| *class).collect();
        for (index, class) in classes.iter().enumerate() {
            if *class == Class::Delivered {
                for seq in flight.batch.seqs(index) {
                    self.known[*seq as usize] = true;
                }
            }
        }
        flight.shards.clear();
        if self.names {
            flight
                .shards
                .extend(outcome.iter().map(|(_, shard)| *shard));
        }
        match classes[..] {
            _ if classes.iter().all(|class| *class == Class::Delivered) => {
                flight.delivered(&self.queue, self.now, classes.len(), Default::default());
            }
            // In strict order nothing passes; and what fails as a whole stays in the batch.
            [_] if self.ordered || classes == [Class::Retry] => self.pause(flight),
            _ => {
                flight.settle(&self.queue, self.now, &classes);
                if classes.contains(&Class::Retry) {
                    self.pause(flight);
                }
            }
        }
    }

    /// The stream decides about the batch's first records: what becomes of each, and which shard has it.
    fn offer(&mut self, flight: &Flight, count: usize) -> Vec<(Class, u32)> {
        let mut decide = |index| {
            let key = flight.batch.partition_key(index);
            let shard = self.shards.of(hash(&key));
            let bytes = flight.batch.entries()[index].text_bytes() * 3 / 4;
            if self.random.fraction() * 100.0 < self.failing {
                return (Class::Retry, 0);
            }
            if !self.shards.offer(shard, self.now, bytes) {
                return (Class::Throttled, 0);
            }
            for seq in flight.batch.seqs(index) {
                self.arrived[*seq as usize] = true;
            }
            (Class::Delivered, shard as u32 + 1)
        };
        (0..count).map(&mut decide).collect()
    }

    /// Takes a call there and its answer back, over a new connection if there is none.
    fn carry(&mut self, bytes: usize, count: usize, flight: &mut Flight) -> Carried {
        if self.connection.is_none() {
            let asked = self.now;
            if self.goes_through(GREETING_BYTES, GREETINGS).is_err() {
                return Carried::Nowhere;
            }
            flight.flow.opened(self.now - asked);
            let life = Life {
                bytes: GREETING_BYTES as usize,
                time: self.now - asked,
            };
            self.connection = Some((life, asked));
        }
        let breaks = self.random.fraction() * 100.0 < self.link.breaks;
        let answer = ANSWER_BYTES + RESULT_BYTES * count as f64;
        let all = bytes as f64 + answer;
        let reach = if breaks {
            all * self.random.fraction()
        } else {
            all
        };
        let life = self.life();
        let left = (self.link.cut_bytes - life.bytes as f64).max(0.0);
        let time_left = self.link.cut_time.saturating_sub(life.time);
        let by_time = time_left.saturating_sub(self.link.trip).as_secs_f64() * self.link.rate;
        let reach = reach.min(left).min(by_time);
        let carried = match self.goes_through(reach.min(bytes as f64), 0) {
            Err(()) => Carried::InPart,
            Ok(()) if reach < bytes as f64 => Carried::InPart,
            Ok(()) => match self.goes_through(reach - bytes as f64, 1) {
                Ok(()) if reach >= all => Carried::Both,
                _ => Carried::ThereOnly,
            },
        };
        if let Some((life, asked)) = &mut self.connection {
            life.bytes += reach as usize;
            life.time = self.now - *asked;
        }
        carried
    }

    /// So many bytes and round trips pass, unless an outage comes.
    fn goes_through(&mut self, bytes: f64, trips: u32) -> Result<(), ()> {
        let took = SECOND.mul_f64(bytes / self.link.rate) + self.link.trip * trips;
        let (from, to) = self.link.outage;
        if self.now < to && self.now + took > from {
            // Silence is noticed some time later.
            self.now = self.now.max(from) + SECOND * 20;
            return Err(());
        }
        self.now += took;
        Ok(())
    }

    fn life(&self) -> Life {
        self.connection.map(|(life, _)| life).unwrap_or_default()
    }

    fn pause(&mut self, flight: &mut Flight) {
        let (least, most) = flight.backoff.bounds(false);
        self.now += least + (most - least).mul_f64(self.random.fraction());
    }
}

/// Draws numbers.
struct Draw<'a>(&'a mut Random);

impl Draw<'_> {
    fn fraction(&mut self) -> f64 {
        self.0.fraction()
    }

    /// Each order of magnitude is as likely as the next.
    fn between(&mut self, least: f64, most: f64) -> f64 {
        least * (most / least).powf(self.fraction())
    }

    fn one_in(&mut self, count: u32) -> Option<Draw<'_>> {
        (self.fraction() * f64::from(count) < 1.0).then_some(Draw(self.0))
    }
}
