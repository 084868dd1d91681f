//! The Lambda function behind the stream: each post becomes one item of the table.
//!
//! ```text
//! batch of records -> decode -> store   -> the table
//!                        |        |
//!                        +--------+-> failures -> the failure queue
//! answer: the first record that is not done; from there Lambda sends the batch again
//! ```
//!
//! A record leaves the batch in one of three ways: it is in the table, it is in the failure queue
//! with the reason why it can't be stored, or it is an event that is no post. Whatever the table or
//! the queue would not take comes again. A record that can't be decoded never holds up the others.

pub mod answer;
pub mod config;
pub mod decode;
pub mod failures;
pub mod item;
pub mod report;
pub mod store;

use std::time::Duration;

use aws_lambda_events::kinesis::KinesisEventRecord;
use chrono::{DateTime, TimeDelta, Utc};
use tokio::time::Instant;

use failures::{Failure, FailureQueue};
use item::Write;
use report::Report;
use store::{Pending, Store};

/// The last part of an invocation's time: for the answer.
const TIME_TO_ANSWER: Duration = Duration::from_secs(1);
/// The part before that: for the failure queue, when the table took all the time it could get.
const TIME_FOR_FAILURES: Duration = Duration::from_secs(2);

/// The consumer of the stream.
#[derive(Clone, Debug)]
pub struct Function {
    /// Where posts go.
    pub store: Store,
    /// Where records go that can't be stored.
    pub failures: FailureQueue,
    /// How long an item lives after its arrival in the stream; `None` for ever.
    pub time_to_live: Option<TimeDelta>,
}

/// What became of a batch.
#[derive(Debug, Default)]
pub struct Outcome {
    /// The counters.
    pub report: Report,
    /// What a person should know of, a sentence each.
    pub troubles: Vec<String>,
    /// The index of the first record that is not done: it must come again, with all after it.
    pub again_from: Option<usize>,
}

impl Function {
    /// Stores a batch, within the time Lambda gives it.
    pub async fn process(&self, records: &[KinesisEventRecord], deadline: Instant) -> Outcome {
        let began = Instant::now();
        let batch = self.decode(records);
        let until = deadline - TIME_TO_ANSWER - TIME_FOR_FAILURES;
        let stored = self.store.write(batch.changes, until).await;

        // All from the first change that is not made comes again, and the failures there with it:
        // sent now, they would be in the queue twice. If the table took nothing, nothing is done.
        let done_until = match stored.first_unfinished {
            None => records.len(),
            Some(_) if stored.written == 0 => 0,
            Some(position) => position,
        };
        let mut failures = batch.failures;
        failures.extend(stored.refused);
        failures.retain(|failure| failure.position < done_until);
        let sent = self
            .failures
            .send(&failures, records, deadline - TIME_TO_ANSWER)
            .await;

        let done = stored.written + stored.repeated + batch.ignored + sent.count;
        let delay = batch
            .oldest_read_at
            .map_or(TimeDelta::zero(), |at| Utc::now() - at);
        let mut troubles = Vec::new();
        troubles.extend(stored.trouble.map(|why| format!("DynamoDB: {why}")));
        troubles.extend(sent.trouble.map(|why| format!("the failure queue: {why}")));
        if let Some(first) = failures.first().filter(|_| sent.count > 0) {
            troubles.push(format!(
                "{} set aside, one since: {}",
                sent.count, first.reason
            ));
        }
        let again_from = sent.first_unsent.unwrap_or(done_until);
        Outcome {
            report: Report {
                read: records.len(),
                stored: stored.written,
                repeated: stored.repeated,
                ignored: batch.ignored,
                undecodable: sent.count,
                unprocessed: records.len() - done,
                milliseconds: began.elapsed().as_millis(),
                delay_milliseconds: delay.num_milliseconds().max(0),
            },
            troubles,
            again_from: (again_from < records.len()).then_some(again_from),
        }
    }

    fn decode(&self, records: &[KinesisEventRecord]) -> Batch {
        let mut batch = Batch::default();
        for (position, record) in records.iter().enumerate() {
            let arrived_at = record.kinesis.approximate_arrival_timestamp.0;
            match decode::decode(&record.kinesis.data, arrived_at) {
                Ok(Some(mut write)) => {
                    if let Write::Put(item) = &mut write {
                        // The board's clock may be years behind: it must not expire its posts.
                        item.expires_at = self.time_to_live.map(|time| arrived_at + time);
                        let oldest = batch.oldest_read_at.get_or_insert(item.read_at());
                        *oldest = item.read_at().min(*oldest);
                    }
                    batch.changes.push(Pending { position, write });
                }
                Ok(None) => batch.ignored += 1,
                Err(reason) => {
                    batch.failures.push(Failure {
                        position,
                        reason: format!("{reason:#}"),
                    });
                }
            }
        }
        batch
    }
}

/// A batch, sorted by what is to be done with its records.
#[derive(Default)]
struct Batch {
    changes: Vec<Pending>,
    failures: Vec<Failure>,
    ignored: usize,
    oldest_read_at: Option<DateTime<Utc>>,
}

/// The shard, from the event's id: "shardId-000000000006:49590338271490256608559692538361571095".
pub fn shard_id(record: &KinesisEventRecord) -> Option<&str> {
    Some(record.event_id.as_deref()?.split_once(':')?.0)
}
