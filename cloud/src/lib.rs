//! The Lambda function behind the stream: each post becomes one item of the table.
//!
//! ```text
//! batch of records -> unpack -> decode -> store   -> the table
//!                       |         |         |
//!                       +---------+---------+-> failures -> the failure queue
//! report of a board  -> boards   -> the table of boards
//! answer: the first record that is not done; from there Lambda sends the batch again
//! ```
//!
//! A post leaves the batch in one of three ways: it is in the table, it is in the failure queue with the
//! reason why it can't be stored, or it is an event that is not a post. What the table or the queue did
//! not accept is retried. A post that can't be decoded never blocks the others, whether it is a record of
//! its own or a line of a pack.
//!
//! Boards put reports of themselves into the same stream: [`boards`] keeps them, in a table of their own, and the same program,
//! started by a schedule, watches over them.

pub mod answer;
pub mod batch;
pub mod boards;
pub mod config;
pub mod decode;
pub mod failures;
pub mod item;
pub mod lambda;
pub mod pack;
pub mod report;
pub mod store;

use std::ops::Range;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::time::Instant;

use answer::Trouble;
use batch::Portion;
use boards::table::{Boards, Newest};
use failures::FailureQueue;
use lambda::Record;
use report::{Report, brief};
use store::Store;

/// The last part of an invocation's time, reserved for the response.
const TIME_TO_ANSWER: Duration = Duration::from_secs(1);
/// The part before that, reserved for the failure queue if the table took all the time it could get.
const TIME_FOR_FAILURES: Duration = Duration::from_secs(2);

/// The consumer of the stream.
#[derive(Clone, Debug)]
pub struct Function {
    /// Where posts go.
    pub store: Store,
    /// Where records go that can't be stored.
    pub failures: FailureQueue,
    /// Where boards' reports go, if anybody wants them.
    pub boards: Option<Boards>,
    /// How long an item lives after its arrival in the stream; `None` for ever.
    pub time_to_live: Option<TimeDelta>,
}

/// The result of a batch.
#[derive(Debug, Default)]
pub struct Outcome {
    /// The counters.
    pub report: Report,
    /// Sentences about what a person should know.
    pub troubles: Vec<String>,
    /// The index of the first record that is not done. It must be retried with all after it.
    pub again_from: Option<usize>,
}

impl Function {
    /// Stores a batch, within the time Lambda gives it.
    pub async fn process(&self, records: &[Record], deadline: Instant) -> Outcome {
        let began = Instant::now();
        let mut total = Total::default();
        let mut reports = Newest::default();
        let mut done = 0;
        while done < records.len() {
            let contents = batch::portion(records, done);
            let end = done + contents.len();
            let mut portion = Portion::decode(&contents, self.time_to_live);
            total.report.reports += portion.reports.len();
            portion
                .reports
                .drain(..)
                .for_each(|report| reports.add(report));
            done = self.store(portion, done..end, deadline, &mut total).await;
            if done < end {
                break;
            }
        }
        if let Some(boards) = &self.boards {
            total.boards = boards.note(&reports, deadline - TIME_TO_ANSWER).await;
        }
        let delay = total
            .oldest_read_at
            .map_or(TimeDelta::zero(), |at| Utc::now() - at);
        let report = Report {
            records: records.len(),
            milliseconds: began.elapsed().as_millis(),
            delay_milliseconds: delay.num_milliseconds().max(0),
            ..total.report
        };
        Outcome {
            troubles: total.troubles(),
            report,
            again_from: (done < records.len()).then_some(done),
        }
    }

    /// Stores a portion: this range of the batch's records. Returns the record up to which all is done.
    async fn store(
        &self,
        portion: Portion<'_>,
        range: Range<usize>,
        deadline: Instant,
        total: &mut Total,
    ) -> usize {
        let until = deadline - TIME_TO_ANSWER - TIME_FOR_FAILURES;
        let stored = self.store.write(portion.changes, until).await;

        // All from the first change that is not made comes again, and the failures there with it:
        // sent now, they would be in the queue twice. If the table took nothing, nothing is done.
        let done = match stored.first_unfinished {
            None => range.end,
            Some(_) if stored.written == 0 => range.start,
            Some(position) => position,
        };
        let mut failures = portion.failures;
        failures.extend(stored.refused);
        failures.retain(|failure| failure.entry.position < done);
        let sent = self
            .failures
            .send(&failures, deadline - TIME_TO_ANSWER)
            .await;

        let repeated = stored.repeated;
        let finished =
            stored.written + repeated + portion.ignored + sent.set_aside + sent.abandoned;
        let report = &mut total.report;
        report.packs += portion.packs;
        report.read += portion.read;
        report.stored += stored.written;
        report.repeated += repeated;
        report.ignored += portion.ignored;
        report.undecodable += sent.set_aside;
        report.abandoned += sent.abandoned;
        report.unprocessed += portion.read - finished;
        let read_at = total.oldest_read_at.into_iter();
        total.oldest_read_at = read_at.chain(portion.oldest_read_at).min();
        total.table = total.table.take().max(stored.trouble);
        total.queue = total.queue.take().max(sent.trouble);
        if total.first_failure.is_none() && sent.set_aside > 0 {
            total.first_failure = failures.first().map(|failure| failure.reason.clone());
        }
        if total.first_abandoned.is_none() {
            total.first_abandoned = sent.first_abandoned;
        }
        sent.first_unsent.unwrap_or(done)
    }
}

/// The result of the portions so far.
#[derive(Default)]
struct Total {
    report: Report,
    oldest_read_at: Option<DateTime<Utc>>,
    table: Option<Trouble>,
    queue: Option<Trouble>,
    boards: Option<Trouble>,
    first_failure: Option<String>,
    first_abandoned: Option<String>,
}

impl Total {
    /// What a person should know of, a sentence each. Nothing of what the boards sent is in them.
    fn troubles(self) -> Vec<String> {
        let Report {
            undecodable,
            abandoned,
            ..
        } = self.report;
        let abandoned = self.first_abandoned.map(|first| {
            format!(
                "{abandoned} refused by the failure queue, too: read them from the stream while it keeps them; \
                 one is {first}"
            )
        });
        let set_aside = self
            .first_failure
            .map(|reason| format!("{undecodable} set aside, one since: {reason}"));
        [
            self.table.map(|why| format!("DynamoDB: {why}")),
            self.queue.map(|why| format!("the failure queue: {why}")),
            self.boards.map(|why| {
                format!("the table of boards lacks reports, which the next ones make good; no post waits for that: {why}")
            }),
            abandoned,
            set_aside,
        ]
        .into_iter()
        .flatten()
        .map(|trouble| brief(&trouble))
        .collect()
    }
}
