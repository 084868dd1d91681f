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
        let decoded = self.decode(records);
        let until = deadline - TIME_TO_ANSWER - TIME_FOR_FAILURES;
        let stored = self.store.write(decoded.changes, until).await;

        // All from the first change that is not done comes again, and with it the failures there:
        // sent now, they would be in the queue twice. If the table took nothing, nothing is done.
        let table_is_out = stored.written == 0 && !stored.unfinished.is_empty();
        let first_unfinished = stored
            .unfinished
            .iter()
            .min()
            .map(|&n| if table_is_out { 0 } else { n });
        let mut failures = decoded.failures;
        failures.extend(stored.refused);
        failures.retain(|failure| first_unfinished.is_none_or(|n| failure.position < n));
        let unsent = self
            .failures
            .send(&failures, records, deadline - TIME_TO_ANSWER)
            .await;

        let mut troubles = Vec::new();
        if let Some(trouble) = stored.trouble {
            troubles.push(format!("DynamoDB: {trouble}"));
        }
        if let Some((_, trouble)) = unsent.first() {
            troubles.push(format!("the failure queue: {trouble}"));
        }
        if let Some(Failure { reason, .. }) = failures.first() {
            let count = failures.len();
            troubles.push(format!(
                "{count} records can't be stored, the first: {reason}"
            ));
        }
        let undecodable = failures.len() - unsent.len();
        let done = stored.written + stored.repeated + decoded.ignored + undecodable;
        let delay = decoded
            .oldest_read_at
            .map_or(TimeDelta::zero(), |at| Utc::now() - at);
        Outcome {
            report: Report {
                read: records.len(),
                stored: stored.written,
                repeated: stored.repeated,
                ignored: decoded.ignored,
                undecodable,
                unprocessed: records.len() - done,
                milliseconds: began.elapsed().as_millis(),
                delay_milliseconds: delay.num_milliseconds().max(0),
            },
            troubles,
            again_from: unsent.iter().map(|&(n, _)| n).chain(first_unfinished).min(),
        }
    }

    fn decode(&self, records: &[KinesisEventRecord]) -> Decoded {
        let mut decoded = Decoded::default();
        for (position, record) in records.iter().enumerate() {
            let arrived_at = record.kinesis.approximate_arrival_timestamp.0;
            match decode::decode(&record.kinesis.data, arrived_at) {
                Ok(Some(mut write)) => {
                    if let Write::Put(item) = &mut write {
                        // The board's clock may be years behind: it must not expire its posts.
                        item.expires_at = self.time_to_live.map(|time| arrived_at + time);
                        let oldest = decoded.oldest_read_at.get_or_insert(item.read_at());
                        *oldest = item.read_at().min(*oldest);
                    }
                    decoded.changes.push(Pending { position, write });
                }
                Ok(None) => decoded.ignored += 1,
                Err(reason) => {
                    decoded.failures.push(Failure {
                        position,
                        reason: format!("{reason:#}"),
                    });
                }
            }
        }
        decoded
    }
}

/// A batch, sorted by what is to be done with its records.
#[derive(Default)]
struct Decoded {
    changes: Vec<Pending>,
    failures: Vec<Failure>,
    ignored: usize,
    oldest_read_at: Option<DateTime<Utc>>,
}

/// The shard, from the event's id: "shardId-000000000006:49590338271490256608559692538361571095".
pub fn shard_id(record: &KinesisEventRecord) -> Option<&str> {
    Some(record.event_id.as_deref()?.split_once(':')?.0)
}
