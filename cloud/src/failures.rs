//! The failure queue: records that can't be stored, with their reason and position.

use aws_lambda_events::kinesis::KinesisEventRecord;
use aws_sdk_sqs::Client;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use futures_util::{StreamExt, stream};
use serde::Serialize;
use tokio::time::{Instant, sleep_until};

use crate::answer::{Backoff, Trouble, call};
use crate::item::iso;

/// A message holds at most this many bytes of the record. In base64, with the rest of the message,
/// that stays under the 256 KiB every SQS queue takes.
const MAX_DATA_BYTES: usize = 150 * 1024;

const CALLS_AT_ONCE: usize = 8;

/// A record that can't be stored.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The record's index in the invocation's batch.
    pub position: usize,
    /// Why.
    pub reason: String,
}

/// The message a person reads in the queue.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Message<'a> {
    reason: &'a str,
    /// Stream, shard and sequence number are where the whole record can be read again while the
    /// stream keeps it.
    stream_arn: Option<&'a str>,
    shard_id: Option<&'a str>,
    sequence_number: &'a str,
    partition_key: &'a str,
    arrived_at: String,
    /// How many bytes the record has; `data` may hold only the first of them.
    bytes: usize,
    /// Base64.
    data: String,
}

/// What became of the failures.
#[derive(Debug, Default)]
pub struct Sent {
    /// How many are in the queue.
    pub count: usize,
    /// The lowest position of those that are not.
    pub first_unsent: Option<usize>,
    /// What stood in the way, if anything did: the worst of several.
    pub trouble: Option<Trouble>,
}

/// The failure queue.
#[derive(Clone, Debug)]
pub struct FailureQueue {
    client: Client,
    url: String,
}

impl FailureQueue {
    /// The client must not retry by itself: this module does, within the invocation's time.
    pub fn new(client: Client, url: impl Into<String>) -> Self {
        Self {
            client,
            url: url.into(),
        }
    }

    /// Sends each failure's record, several at once, and tries again until `until`.
    pub async fn send(
        &self,
        failures: &[Failure],
        records: &[KinesisEventRecord],
        until: Instant,
    ) -> Sent {
        let mut calls = stream::iter(failures)
            .map(|failure| async move {
                let message = message(&failure.reason, &records[failure.position]);
                (failure.position, self.send_one(&message, until).await)
            })
            .buffer_unordered(CALLS_AT_ONCE);
        let mut sent = Sent::default();
        while let Some((position, result)) = calls.next().await {
            match result {
                Ok(()) => sent.count += 1,
                Err(trouble) => {
                    sent.first_unsent = Some(
                        sent.first_unsent
                            .map_or(position, |first| first.min(position)),
                    );
                    sent.trouble = sent.trouble.take().max(Some(trouble));
                }
            }
        }
        sent
    }

    async fn send_one(&self, message: &str, until: Instant) -> Result<(), Trouble> {
        let mut backoff = Backoff::default();
        loop {
            let request = self
                .client
                .send_message()
                .queue_url(&self.url)
                .message_body(message);
            let trouble = match call(request.send(), until).await {
                Ok(_) => return Ok(()),
                Err(trouble @ (Trouble::Refused(_) | Trouble::Held(_))) => return Err(trouble),
                Err(trouble) => trouble,
            };
            let again_at = Instant::now() + backoff.next_pause();
            if again_at >= until {
                return Err(trouble);
            }
            sleep_until(again_at).await;
        }
    }
}

fn message(reason: &str, record: &KinesisEventRecord) -> String {
    let data = &record.kinesis.data.0;
    let message = Message {
        reason,
        stream_arn: record.event_source_arn.as_deref(),
        shard_id: crate::shard_id(record),
        sequence_number: &record.kinesis.sequence_number,
        partition_key: &record.kinesis.partition_key,
        arrived_at: iso(record.kinesis.approximate_arrival_timestamp.0),
        bytes: data.len(),
        data: BASE64_STANDARD.encode(&data[..data.len().min(MAX_DATA_BYTES)]),
    };
    let json = serde_json::to_string(&message).unwrap_or_default();
    // SQS refuses these two; a partition key may hold them.
    json.replace(['\u{FFFE}', '\u{FFFF}'], "\u{FFFD}")
}
