//! The delivery loop: peek, send, acknowledge, back off. One thread runs it.
//!
//! A record leaves the spool in two ways only: Kinesis has it, or Kinesis can never take it and it stands in the dead-letter file. All else,
//! whatever happens, ends in another attempt.

mod dead_letter;
mod explain;
pub mod flow;
pub mod lanes;
mod order;
pub mod pace;
mod pause;

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_credential_types::Credentials;
use log::Level;
use pause::Backoff;

use crate::aws::clock::ServerClock;
use crate::aws::credentials::{Keychain, Provider};
use crate::aws::kinesis::client::Client;
use crate::aws::kinesis::outcome::{self, Outcome, Problem, SequenceNumber};
use crate::aws::kinesis::request::Batch;
use crate::aws::kinesis::{Class, MAX_RECORDS, Renew};
use crate::observe::counters::Counters;
use crate::platform::facts::Facts;
use crate::platform::stop::Stop;
use crate::platform::time::Clock;
use crate::spool::Spool;
pub use dead_letter::DeadLetters;
pub use explain::Target;
use order::Order;

/// How far the board's clock is off, kept across restarts.
const OFFSET: &str = "clock.offset_ms";

/// How long to wait for a record before looking whether the end was asked for.
const IDLE: Duration = Duration::from_secs(1);

/// The longest that one attempt may take: a whole call at 10 kB/s. A server that is merely silent is left much sooner.
const ATTEMPT: Duration = Duration::from_secs(10 * 60);

/// While the program is ending, trouble is given this long to heal before the next attempt.
const ENDING_PAUSE: Duration = Duration::from_millis(250);

/// How often something that was mended by itself, the clock or the credentials, is tried again without a pause.
const MAX_MENDED: u32 = 2;

/// What the loop works with.
#[derive(Debug)]
pub struct Uplink {
    /// Where records wait.
    pub spool: Arc<Spool>,
    /// The way to Kinesis.
    pub client: Client,
    /// Who the board is.
    pub keychain: Keychain,
    /// Where impossible records go.
    pub dead_letters: DeadLetters,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// What is told of the loop.
    pub counters: Arc<Counters>,
    /// What it remembers across a restart.
    pub state: Arc<Facts>,
    /// The stream, its region and its host, for what the user reads.
    pub place: Target,
    /// One record at a time, each naming the one before.
    pub ordered: bool,
    /// The end was asked for: deliver what waits, but do not linger over trouble.
    pub stop: Arc<Stop>,
    /// The time for that is over.
    pub abort: Arc<Stop>,
}

/// What the next step is.
enum Step {
    /// The next attempt, at once.
    Go,
    /// The next attempt, after a pause of the backoff's choice.
    Pause(Pace),
}

/// How eagerly to try again.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pace {
    /// It heals by itself.
    Quick,
    /// A person must act.
    Slow,
}

struct Flight {
    batch: Batch,
    /// How many records the next call may carry: halved while a record among them is impossible, doubled by success.
    limit: usize,
    order: Order,
    backoff: Backoff,
    time: ServerClock,
    /// Attempts in a row that mended something.
    mended: u32,
}

impl Uplink {
    /// Delivers until the spool is closed and empty, or until the end was asked for and its time is over.
    pub fn run(mut self) {
        let mut flight = Flight {
            batch: Batch::new(&self.place.stream),
            limit: MAX_RECORDS,
            order: Order::default(),
            backoff: Backoff::default(),
            time: self.remembered_time(),
            mended: 0,
        };
        while !self.abort.asked() {
            if flight.batch.entries().is_empty() && !self.fill(&mut flight) {
                if self.spool.is_closed() {
                    break;
                }
                continue;
            }
            if let Step::Pause(pace) = self.attempt(&mut flight) {
                let pause = flight.backoff.next(pace == Pace::Slow);
                self.alive(pause);
                if self.stop.asked() {
                    self.clock.sleep(pause.min(ENDING_PAUSE), &self.abort);
                } else {
                    self.clock.sleep(pause, &self.stop);
                }
            }
        }
    }

    fn remembered_time(&self) -> ServerClock {
        let offset_ms = self.state.get(OFFSET).unwrap_or_default();
        self.counters.clock_offset_ms.set(offset_ms);
        ServerClock::with_offset_ms(offset_ms)
    }

    /// Takes waiting records into the batch; waits a moment if there are none.
    fn fill(&self, flight: &mut Flight) -> bool {
        self.alive(IDLE);
        if !self.spool.wait(IDLE) {
            return false;
        }
        let Flight { batch, order, .. } = flight;
        self.spool.peek(|seq, record| {
            let more = batch.push(seq, record);
            if self.ordered {
                order.follow(record.partition_key);
            }
            if more && !self.ordered {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            }
        });
        !batch.entries().is_empty()
    }

    /// One call, and what its answer means.
    fn attempt(&mut self, flight: &mut Flight) -> Step {
        self.alive(ATTEMPT);
        let sent = self.clock.wall();
        let now = flight.time.at(sent);
        let credentials = match self.keychain.get(now) {
            Ok(credentials) => credentials,
            Err(error) => {
                let problem = Problem {
                    code: "NoCredentials".into(),
                    message: format!("{error:#}"),
                };
                return self.hold(Class::Hold, problem);
            }
        };
        self.tell_expiry(&credentials);
        let count = flight.limit.min(flight.batch.entries().len());
        let (call, body) = flight.batch.body(count, flight.order.after());
        self.counters.calls.add(1);
        let (outcome, clock_changed) = match self.client.put(call, body, &credentials, now) {
            Ok(answer) => {
                let outcome = outcome::read(
                    answer.status,
                    answer.error_type.as_deref(),
                    answer.body,
                    count,
                );
                let date = answer.date;
                (outcome, self.learn_time(flight, sent, date))
            }
            Err(broken) => {
                self.client.reconnect();
                let text = explain::of_network(&broken.error, &self.place, sent);
                (Outcome::Failed(Class::Retry, text), false)
            }
        };
        let mended_before = std::mem::take(&mut flight.mended);
        match outcome {
            Outcome::Delivered(number) => self.delivered(flight, count, number),
            Outcome::Partly(classes, problem) => self.partly(flight, &classes, problem),
            Outcome::Failed(Class::Impossible, problem) => self.impossible(flight, count, problem),
            Outcome::Failed(Class::Renew(Renew::Clock), _)
                if clock_changed && mended_before < MAX_MENDED =>
            {
                flight.mended = mended_before + 1;
                Step::Go
            }
            Outcome::Failed(Class::Renew(Renew::Credentials), problem) => {
                self.keychain.refused();
                let may_differ = !matches!(self.keychain.provider(), Provider::Fixed(_));
                if may_differ && mended_before < MAX_MENDED {
                    flight.mended = mended_before + 1;
                    return Step::Go;
                }
                self.hold(Class::Renew(Renew::Credentials), problem)
            }
            Outcome::Failed(class @ (Class::Hold | Class::Renew(Renew::Clock)), problem) => {
                self.hold(class, problem)
            }
            // A failure of the class "delivered" does not exist; were there one, sending again is the safe reading.
            Outcome::Failed(Class::Retry | Class::Delivered, problem) => {
                self.counters.retried.add(count as u64);
                self.say(Class::Retry, &problem);
                Step::Pause(Pace::Quick)
            }
        }
    }

    fn delivered(&self, flight: &mut Flight, count: usize, number: SequenceNumber) -> Step {
        self.count_delivered(count);
        let now = self.clock.elapsed();
        self.counters.uplink.well("posts arrive", now);
        self.spool.ack(flight.batch.drop_first(count));
        flight.order.arrived(number);
        flight.limit = (flight.limit * 2).min(MAX_RECORDS);
        flight.backoff.reset();
        Step::Go
    }

    /// Some arrived, some did not: the others go again, alone.
    fn partly(&self, flight: &mut Flight, classes: &[Class], problem: Problem) -> Step {
        let delivered = classes
            .iter()
            .filter(|class| **class == Class::Delivered)
            .count();
        self.count_delivered(delivered);
        self.counters
            .retried
            .add((classes.len() - delivered) as u64);
        flight.batch.keep_undelivered(classes);
        if let Some(first) = flight.batch.entries().first() {
            self.spool.ack(first.seq);
        }
        if delivered > 0 {
            flight.backoff.reset();
        }
        let heals = classes
            .iter()
            .all(|class| matches!(class, Class::Delivered | Class::Retry));
        let (class, pace) = if heals {
            (Class::Retry, Pace::Quick)
        } else {
            (Class::Hold, Pace::Slow)
        };
        self.say(class, &problem);
        Step::Pause(pace)
    }

    /// The call can never be accepted: halve it until one record is left, and set that one aside.
    fn impossible(&self, flight: &mut Flight, count: usize, problem: Problem) -> Step {
        if count > 1 {
            flight.limit = count / 2;
            return Step::Go;
        }
        self.dead_letters.set_aside(
            &problem.to_string(),
            flight.batch.first_text(),
            self.clock.wall(),
        );
        self.counters.impossible.add(1);
        self.spool.ack(flight.batch.drop_first(1));
        Step::Go
    }

    fn hold(&self, class: Class, problem: Problem) -> Step {
        self.say(class, &problem);
        Step::Pause(Pace::Slow)
    }

    fn say(&self, class: Class, problem: &Problem) {
        let level = if class == Class::Retry {
            Level::Warn
        } else {
            Level::Error
        };
        let text = explain::explain(class, problem, &self.place, self.keychain.provider());
        // It may heal before long; the user should hear of it even so.
        let is_news = problem.code == explain::UNREACHABLE;
        let now = self.clock.elapsed();
        self.counters.uplink.trouble(level, is_news, &text, now);
    }

    fn count_delivered(&self, count: usize) {
        self.counters.delivered.add(count as u64);
        if count > 0 {
            self.counters.last_delivered.set(self.clock.elapsed());
        }
    }

    fn tell_expiry(&self, credentials: &Credentials) {
        let since_1970 = |time: SystemTime| time.duration_since(UNIX_EPOCH).ok();
        let expiry = credentials.expiry().and_then(since_1970);
        let expiry_s = expiry.and_then(|expiry| i64::try_from(expiry.as_secs()).ok());
        self.counters
            .credentials_expiry_s
            .set(expiry_s.unwrap_or_default());
    }

    fn alive(&self, at_most: Duration) {
        let now = self.clock.elapsed();
        self.counters.uplink.alive(now, at_most);
    }

    /// True when the answer's `date` changed what is known of the server's time.
    fn learn_time(&self, flight: &mut Flight, sent: SystemTime, date: Option<SystemTime>) -> bool {
        let changed = date.is_some_and(|date| flight.time.observe(sent, self.clock.wall(), date));
        if changed {
            self.state.set(OFFSET, flight.time.offset_ms());
            self.counters.clock_offset_ms.set(flight.time.offset_ms());
            log::warn!("{}", explain::of_clock(flight.time));
        }
        changed
    }
}
