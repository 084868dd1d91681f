//! The failure queue: records that can't be stored, with their reason and position.

use aws_lambda_events::kinesis::KinesisEventRecord;
use aws_sdk_sqs::Client;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use futures_util::{StreamExt, stream};
use serde::Serialize;
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::answer::{ATTEMPT_TIMEOUT, Backoff, Trouble};
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

    /// Sends each failure's record, several at once. Returns the positions of those which did not
    /// reach the queue by `until`, with what stood in the way.
    pub async fn send(
        &self,
        failures: &[Failure],
        records: &[KinesisEventRecord],
        until: Instant,
    ) -> Vec<(usize, Trouble)> {
        stream::iter(failures)
            .map(|failure| async {
                let message = message(&failure.reason, &records[failure.position]);
                let sent = self.send_one(&message, until).await;
                sent.err().map(|trouble| (failure.position, trouble))
            })
            .buffer_unordered(CALLS_AT_ONCE)
            .filter_map(std::future::ready)
            .collect()
            .await
    }

    async fn send_one(&self, message: &str, until: Instant) -> Result<(), Trouble> {
        let mut backoff = Backoff::default();
        loop {
            let call = self
                .client
                .send_message()
                .queue_url(&self.url)
                .message_body(message)
                .send();
            let sent = timeout_at(until.min(Instant::now() + ATTEMPT_TIMEOUT), call)
                .await
                .map_err(|_| Trouble::timeout())
                .and_then(|answer| answer.map_err(|error| Trouble::of(&error)));
            let trouble = match sent {
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
