//! The failure queue: what can't be stored, with its reason and position.
//!
//! A message contains a post's bytes, so the queue may refuse it as too long, or for a character. It is
//! then shortened and sent again, at last without any of the post. If the queue refuses even that, the
//! post is abandoned: it is only in the stream, and the log says where. It must not block its shard for
//! hours.

use aws_sdk_sqs::Client;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use futures_util::{StreamExt, stream};
use serde::Serialize;
use tokio::time::{Instant, sleep_until};

use crate::answer::{Backoff, CALLS_AT_ONCE, Trouble, call};
use crate::batch::Entry;
use crate::item::iso;
use crate::report::brief;

/// How many bytes of the post a message holds, at each attempt to make it shorter. The first one, in
/// base64 and with the rest of the message, stays under the 256 KiB every queue takes; the last message
/// is under the 1 KiB that is the lowest limit a queue can have.
const DATA_BYTES: [usize; 3] = [150 * 1024, 10 * 1024, 0];

/// A failure: a post, a line of a pack, or a whole pack that can't be stored.
#[derive(Clone, Debug)]
pub struct Failure<'a> {
    /// What it is.
    pub entry: Entry<'a>,
    /// How many posts of the report it stands for.
    pub posts: usize,
    /// The reason. It quotes nothing that the board sent, so it may be logged.
    pub reason: String,
    /// The message of the service that refused it. It may quote the post, so it is only for the queue.
    pub detail: Option<String>,
}

impl<'a> Failure<'a> {
    /// A failure with a reason of our own.
    pub fn new(entry: Entry<'a>, posts: usize, reason: &str) -> Self {
        Self {
            entry,
            posts,
            reason: brief(reason),
            detail: None,
        }
    }

    /// Where to find it in the stream.
    fn place(&self) -> String {
        let Entry { record, line, .. } = self.entry;
        let number = &record.sequence_number;
        match line {
            None => format!("record {number}"),
            Some(line) => format!("record {number}, line {line} of its pack"),
        }
    }
}

/// The message a person reads in the queue.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Message<'a> {
    reason: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
    /// Stream, shard and sequence number are where the whole record can be read again while the
    /// stream keeps it.
    stream_arn: &'a str,
    shard_id: &'a str,
    sequence_number: &'a str,
    /// The line's number in the pack, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    partition_key: Option<&'a str>,
    arrived_at: Option<String>,
    /// How many bytes it has; `data` may hold only the first of them.
    bytes: usize,
    /// Base64.
    data: String,
}

/// The result of sending the failures.
#[derive(Debug, Default)]
pub struct Sent {
    /// How many posts are in the queue.
    pub set_aside: usize,
    /// How many posts the queue refuses in any form.
    pub abandoned: usize,
    /// The lowest position of those that must come again.
    pub first_unsent: Option<usize>,
    /// The worst problem, if there was any.
    pub trouble: Option<Trouble>,
    /// Of those that are abandoned, one: where it is, and why the queue refuses it.
    pub first_abandoned: Option<String>,
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

    /// Sends each failure, several at once, and tries again until `until`.
    pub async fn send(&self, failures: &[Failure<'_>], until: Instant) -> Sent {
        let mut calls = stream::iter(failures)
            .map(|failure| async move { (failure, self.send_one(failure, until).await) })
            .buffer_unordered(CALLS_AT_ONCE);
        let mut sent = Sent::default();
        while let Some((failure, result)) = calls.next().await {
            match result {
                Ok(()) => sent.set_aside += failure.posts,
                Err(Trouble::Refused { code, .. }) => {
                    sent.abandoned += failure.posts;
                    let place = failure.place();
                    sent.first_abandoned
                        .get_or_insert_with(|| format!("{place}: {code}"));
                }
                Err(trouble) => {
                    let position = failure.entry.position;
                    sent.first_unsent = sent.first_unsent.into_iter().chain([position]).min();
                    sent.trouble = sent.trouble.take().max(Some(trouble));
                }
            }
        }
        sent
    }

    /// One failure, in the longest form that the queue takes.
    async fn send_one(&self, failure: &Failure<'_>, until: Instant) -> Result<(), Trouble> {
        let mut refused = None;
        for data_bytes in DATA_BYTES {
            match self
                .send_message(&message(failure, data_bytes), until)
                .await
            {
                Err(trouble @ Trouble::Refused { .. }) => refused = Some(trouble),
                other => return other,
            }
        }
        refused.map_or(Ok(()), Err)
    }

    async fn send_message(&self, message: &str, until: Instant) -> Result<(), Trouble> {
        let mut backoff = Backoff::default();
        loop {
            let request = self
                .client
                .send_message()
                .queue_url(&self.url)
                .message_body(message);
            let trouble = match call(request.send(), until).await {
                Ok(_) => return Ok(()),
                Err(trouble @ (Trouble::Refused { .. } | Trouble::Held(_))) => return Err(trouble),
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

/// The message with this many bytes of the post. With zero, it also contains nothing else that a board or
/// a service chose.
fn message(failure: &Failure<'_>, data_bytes: usize) -> String {
    let Entry {
        record, line, data, ..
    } = failure.entry;
    let message = Message {
        reason: &failure.reason,
        detail: failure.detail.as_deref().filter(|_| data_bytes > 0),
        stream_arn: &record.stream_arn,
        shard_id: &record.shard_id,
        sequence_number: &record.sequence_number,
        line,
        partition_key: (data_bytes > 0).then_some(&record.partition_key),
        arrived_at: record.arrived_at.map(iso),
        bytes: data.len(),
        data: BASE64_STANDARD.encode(&data[..data.len().min(data_bytes)]),
    };
    let json = serde_json::to_string(&message).unwrap_or_default();
    // SQS refuses these two; a partition key may hold them.
    json.replace(['\u{FFFE}', '\u{FFFF}'], "\u{FFFD}")
}
