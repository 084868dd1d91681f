//! The loop: fill a call, send it, act on the response. One thread runs it.
//!
//! - Normally records go in order: they are read from the head, a call carries them, and all below its end are acknowledged.
//! - A record that has to wait (its shard is throttled, or it is a suspect) is *parked* in the [`Window`](crate::uplink::window::Window); others
//!   pass it, and each record is acknowledged by its own number.
//! - A call that the network broke may have arrived: it stays as it is, and is sent again as far as the new size allows.

mod pauses;
mod reports;
mod tell;

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::aws::credentials::{Keychain, Provider};
use crate::aws::kinesis::client::Client;
use crate::aws::kinesis::outcome::{self, Outcome, Problem, SequenceNumber};
use crate::aws::kinesis::request::Batch;
use crate::aws::kinesis::wire::Wire;
use crate::aws::kinesis::{Class, MAX_RECORDS, Renew};
use crate::net::meter::{Broken, Phase};
use crate::observe::counters::Counters;
use crate::observe::report::Outbox;
use crate::platform::facts::Facts;
use crate::platform::stop::Stop;
use crate::platform::time::Clock;
use crate::spool::{Seq, Spool};
use crate::uplink::dead_letter::{self, DeadLetters};
use crate::uplink::explain::{self, Target};
use crate::uplink::flight::{CALL_BYTES, Flight};
use crate::uplink::flow;
use crate::uplink::fresh::Fresh;
use crate::uplink::pace::Pace;
use crate::uplink::suspects::Verdict;
use crate::uplink::window::SUSPECT;

/// The longest time of one attempt without its bytes: credentials, a connection, a silent server.
const ATTEMPT: Duration = Duration::from_secs(10 * 60);

/// The slowest link, in bytes a second: it limits how long the bytes of a call may take.
const SLOWEST: u64 = 1000;

/// How many attempts in a row are repeated at once after the clock or the credentials were renewed.
const MAX_MENDED: u32 = 2;

/// The delivery loop, with all it needs; [`Uplink::run`] runs it.
#[derive(Debug)]
pub struct Uplink {
    /// The queue.
    pub spool: Arc<Spool>,
    /// The client for Kinesis.
    pub client: Client,
    /// The board's credentials.
    pub keychain: Keychain,
    /// The file for records that Kinesis can never accept.
    pub dead_letters: DeadLetters,
    /// Tells the time, and sleeps.
    pub clock: Arc<dyn Clock>,
    /// Counters and troubles for `status` and the metrics.
    pub counters: Arc<Counters>,
    /// Small facts that outlive a restart.
    pub facts: Arc<Facts>,
    /// The board's reports, if it sends any.
    pub outbox: Option<Arc<Outbox>>,
    /// The stream, its region and its host, for messages.
    pub target: Target,
    /// Whether `--ordered` is set: one record a call, each naming the one before.
    pub ordered: bool,
    /// The options of delivery.
    pub flow: flow::Options,
    /// Asks the loop to end: it delivers what waits, with short pauses after failures.
    pub stop: Arc<Stop>,
    /// Asks the loop to end at once.
    pub abort: Arc<Stop>,
}

/// What to do next.
enum Step {
    /// Attempt again at once.
    Go,
    /// Attempt again after the backoff's pause.
    Pause(Eagerness),
}

/// How soon to attempt again.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Eagerness {
    /// Soon: the trouble may end by itself.
    Quick,
    /// Later: a person must act.
    Slow,
}

impl Uplink {
    /// Delivers until the spool is closed and empty, or until `abort` is asked for.
    pub fn run(mut self) {
        let today = self.sent_today();
        let batch = Batch::new(&self.target.stream, self.flow.wire);
        let mut flight = Flight::new(
            match self.flow.pack {
                true => batch.packing(),
                false => batch,
            },
            Pace::new(self.flow.limits, today),
            Fresh::new(self.flow.fresh_first, &*self.spool),
            self.remembered_time(),
        );
        while !self.abort.asked() {
            if flight.batch.entries().is_empty() {
                self.fill(&mut flight);
                flight.batch.close_packs();
            }
            if flight.batch.entries().is_empty() {
                if flight.suspects_wait_alone() {
                    // There is no record to compare them with.
                    flight.release_suspects();
                    self.pause_after(&mut flight, Eagerness::Slow);
                } else if self.spool.is_closed() && !self.spool.wait(Duration::ZERO) {
                    break;
                } else {
                    self.wait(&mut flight);
                }
                continue;
            }
            if flight.has_report_alone()
                && self.spool.is_closed()
                && !self.spool.wait(Duration::ZERO)
            {
                // A report does not delay the end.
                break;
            }
            if !self.may_spend(&mut flight) {
                continue;
            }
            if let Step::Pause(eagerness) = self.attempt(&mut flight) {
                self.pause_after(&mut flight, eagerness);
            }
        }
    }

    /// Takes the board's report if one is due, then the records that may go now.
    fn fill(&self, flight: &mut Flight) {
        let now = self.clock.elapsed();
        self.take_report(flight, now);
        // In strict order no two records share a call.
        if !self.ordered || flight.batch.is_empty() {
            flight.fill(&*self.spool, now, self.ordered);
        }
    }

    /// Makes one call, and acts on its result.
    fn attempt(&mut self, flight: &mut Flight) -> Step {
        if flight.flow.renew_connection(self.client.life()) {
            flight.flow.renewed(self.client.life());
            self.client.reconnect();
        }
        let sent_at = self.clock.wall();
        let now = flight.time.at(sent_at);
        self.alive(ATTEMPT);
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
        let count = flight.count(self.client.life(), self.clock.wall());
        let posts = flight.batch.posts(count);
        let sent_again = flight.batch.posts(flight.maybe_arrived.min(count));
        let wire = flight.batch.wire();
        let (call, body) = flight.batch.body(count, flight.order.after());
        let bytes = body.len() + CALL_BYTES;
        self.alive(ATTEMPT + Duration::from_secs(bytes as u64 / SLOWEST));
        self.counters.calls.add(1);
        self.counters.call.set(self.clock.elapsed());
        self.counters.sent_again.add(sent_again as u64);
        let mut is_unlike_cbor = false;
        let result = self.client.put(call, wire, body, &credentials, now);
        self.counters.call.clear();
        let (outcome, traffic, clock_changed) = match result {
            Ok(answer) => {
                let sent = answer.sent;
                let outcome = outcome::read(
                    answer.wire,
                    answer.status,
                    answer.error_type.as_deref(),
                    answer.body,
                    count,
                );
                if !flight.lanes.is_empty() || !matches!(outcome, Outcome::Delivered(_)) {
                    flight.shards = outcome::shards(answer.wire, answer.body);
                }
                is_unlike_cbor = outcome::is_unlike_cbor(answer.status, &outcome);
                let date = answer.date;
                let clock_changed = self.learn_time(flight, sent_at, date);
                if let Some(took) = sent.opening {
                    flight.flow.opened(took);
                }
                flight.flow.succeeded(bytes, sent.took, self.client.life());
                (outcome, sent.traffic, clock_changed)
            }
            Err(broken) => {
                let outcome = self.broken(flight, &broken, bytes, count, sent_at);
                (outcome, broken.sent.traffic, false)
            }
        };
        self.spent(flight, traffic);
        let mended_before = std::mem::take(&mut flight.mended);
        match outcome {
            Outcome::Failed(_, problem) if wire == Wire::Cbor && is_unlike_cbor => {
                log::warn!("{}", explain::of_wire(&problem, &self.target));
                self.put_all_back(flight);
                flight.batch.speak(Wire::Json);
                Step::Go
            }
            Outcome::Delivered(number) => self.delivered(flight, count, number),
            Outcome::Partly(classes, problem) => self.partly(flight, &classes, problem),
            Outcome::Failed(Class::Throttled, problem) if !self.ordered => {
                self.partly(flight, &[Class::Throttled; MAX_RECORDS][..count], problem)
            }
            Outcome::Failed(Class::Impossible | Class::Refused, problem)
                if flight.drops_order() =>
            {
                // Kinesis rejected the previous record's number, not this record.
                log::warn!("{}", explain::of_order(&problem));
                Step::Go
            }
            Outcome::Failed(class @ (Class::Impossible | Class::Refused), problem) => {
                self.refused(flight, class, count, problem)
            }
            Outcome::Failed(Class::Renew(Renew::Clock), problem) => {
                if clock_changed && mended_before < MAX_MENDED {
                    flight.mended = mended_before + 1;
                    return Step::Go;
                }
                // Either what was learned about the server's time is wrong, or the key.
                if flight.time.forget() {
                    self.remember_time(flight.time);
                }
                self.hold(Class::Renew(Renew::Clock), problem)
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
            Outcome::Failed(Class::Hold, problem) => self.hold(Class::Hold, problem),
            // There is no failure of the class "delivered". If there were one, sending again would be safe.
            Outcome::Failed(
                class @ (Class::Retry | Class::Throttled | Class::Delivered),
                problem,
            ) => {
                self.counters.retried.add(posts as u64);
                self.say(class, &problem);
                Step::Pause(Eagerness::Quick)
            }
        }
    }

    /// Handles a call that the network broke: what was sent of it may have arrived.
    fn broken(
        &mut self,
        flight: &mut Flight,
        broken: &Broken,
        bytes: usize,
        count: usize,
        at: SystemTime,
    ) -> Outcome {
        let life = self.client.life();
        self.client.reconnect();
        flight.fresh.broke();
        if broken.phase != Phase::Connecting {
            let again = flight.broke(bytes, count, life, self.client.life());
            self.counters.sent_again.add(again as u64);
        }
        let problem = explain::of_network(&broken.error, &self.target, at);
        Outcome::Failed(Class::Retry, problem)
    }

    fn delivered(&self, flight: &mut Flight, count: usize, number: SequenceNumber) -> Step {
        let now = self.clock.elapsed();
        self.count_delivered(flight.batch.posts(count));
        if flight.batch.report_in(count).is_some() {
            self.report_arrived(flight);
        }
        let throttled = !flight.lanes.is_empty();
        let again = flight.delivered(&*self.spool, now, count, number);
        self.counters.sent_again.add(again as u64);
        match throttled {
            true => self.counters.lanes.set(flight.lanes.len() as i64),
            false => self.counters.uplink.well("posts arrive", now),
        }
        Step::Go
    }

    /// Handles a call of which some records were delivered: those are acknowledged, the others parked.
    fn partly(&self, flight: &mut Flight, classes: &[Class], problem: Problem) -> Step {
        let now = self.clock.elapsed();
        let batch = &flight.batch;
        let is = |wanted: Class| {
            let records = (0..classes.len()).filter(move |index| classes[*index] == wanted);
            records.map(|index| batch.seqs(index).len()).sum::<usize>()
        };
        let posts = batch.posts(classes.len());
        let (delivered, throttled) = (is(Class::Delivered), is(Class::Throttled));
        self.count_delivered(delivered);
        let report = batch.report_in(classes.len());
        if report.is_some_and(|index| classes[index] == Class::Delivered) {
            self.report_arrived(flight);
        }
        self.counters.retried.add((posts - delivered) as u64);
        self.counters.throttled.add(throttled as u64);
        let again = flight.settle(&*self.spool, now, classes);
        self.counters.sent_again.add(again as u64);
        self.counters.lanes.set(flight.lanes.len() as i64);
        let heals =
            |class: &Class| matches!(class, Class::Delivered | Class::Throttled | Class::Retry);
        match classes.iter().all(heals) {
            // The lanes decide when they go again.
            true if !classes.contains(&Class::Retry) => {
                self.say(Class::Throttled, &problem);
                Step::Go
            }
            true => {
                self.say(Class::Retry, &problem);
                Step::Pause(Eagerness::Quick)
            }
            false => self.hold(Class::Hold, problem),
        }
    }

    /// Handles a call that was refused as a whole: it is halved until one record is left, which is then compared with others.
    fn refused(&self, flight: &mut Flight, class: Class, count: usize, problem: Problem) -> Step {
        let posts = flight.batch.posts(count);
        if let Some(index) = flight.batch.report_in(count) {
            return self.refused_with_report(flight, index, posts, problem);
        }
        if posts > 1 {
            flight.limit = posts / 2;
            if flight.batch.packs() {
                self.put_all_back(flight);
            }
            return Step::Go;
        }
        let Some(seq) = flight.batch.entries().first().map(|entry| entry.seq) else {
            return Step::Go;
        };
        let verdict = match class {
            Class::Impossible => Verdict::Impossible,
            // In strict order no other record may pass.
            _ if self.ordered => Verdict::Hold,
            _ => {
                let has_other =
                    flight.batch.entries().len() > 1 || self.spool.stats().waiting_records > 1;
                flight.suspects.refused(seq, has_other)
            }
        };
        match verdict {
            Verdict::Impossible => {
                self.set_aside(seq, &problem);
                self.counters.impossible.add(1);
                flight.let_go(&*self.spool, 1);
                Step::Go
            }
            Verdict::TryAnother => {
                flight.passing = true;
                flight.park(seq, SUSPECT);
                flight.batch.drop_first(1);
                flight.limit = 1;
                Step::Go
            }
            Verdict::Hold => {
                flight.release_suspects();
                flight.limit = 1;
                self.hold(Class::Refused, problem)
            }
        }
    }

    /// Empties the batch; its records are read again.
    fn put_all_back(&self, flight: &mut Flight) {
        let maybe_arrived = flight.put_all_back();
        self.counters.sent_again.add(maybe_arrived as u64);
    }

    /// Writes a record that Kinesis can never accept to the dead-letter file, if the spool still has it.
    fn set_aside(&self, seq: Seq, problem: &Problem) {
        let mut record = None;
        self.spool.peek_from(seq, |found, shown| {
            record = (found == seq).then(|| dead_letter::text(shown));
            ControlFlow::Break(())
        });
        if let Some(record) = record {
            self.dead_letters
                .set_aside(&problem.to_string(), &record, self.clock.wall());
        }
    }

    fn hold(&self, class: Class, problem: Problem) -> Step {
        self.say(class, &problem);
        Step::Pause(Eagerness::Slow)
    }
}
