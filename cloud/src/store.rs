//! The table: changes in batches, until DynamoDB has taken each or the time is up.

use std::collections::{HashMap, HashSet};
use std::iter;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{DeleteRequest, PutRequest, WriteRequest};
use futures_util::{StreamExt, stream};
use tokio::time::{Instant, sleep_until};

use crate::answer::{Backoff, Trouble, call};
use crate::failures::Failure;
use crate::item::{Key, MAX_ITEM_BYTES, Write};

/// DynamoDB's limits on one BatchWriteItem.
const MAX_WRITES_PER_CALL: usize = 25;
const MAX_CALL_BYTES: usize = 16 * 1024 * 1024;
const _: () = assert!(MAX_WRITES_PER_CALL * MAX_ITEM_BYTES < MAX_CALL_BYTES);

/// Calls in flight at once. More would not help: one call takes a few milliseconds, and a full
/// batch of 500 records is 20 calls.
const CALLS_AT_ONCE: usize = 8;

/// A change, and the position in the batch of the record that asks for it.
#[derive(Clone, Debug)]
pub struct Pending {
    /// The record's index in the invocation's batch.
    pub position: usize,
    /// What it changes.
    pub write: Write,
}

/// What became of the changes.
#[derive(Debug, Default)]
pub struct Stored {
    /// How many DynamoDB took.
    pub written: usize,
    /// How many were left out, since a later record of the batch has the same key.
    pub repeated: usize,
    /// Those DynamoDB will never take, with its reason.
    pub refused: Vec<Failure>,
    /// The lowest position of those not written when the time was up or a person must act.
    pub first_unfinished: Option<usize>,
    /// What stood in the way, if anything did: the worst of several.
    pub trouble: Option<Trouble>,
}

impl Stored {
    fn add(&mut self, other: Stored) {
        self.written += other.written;
        self.repeated += other.repeated;
        self.refused.extend(other.refused);
        self.first_unfinished = self
            .first_unfinished
            .into_iter()
            .chain(other.first_unfinished)
            .min();
        self.trouble = self.trouble.take().max(other.trouble);
    }
}

/// The table of posts.
#[derive(Clone, Debug)]
pub struct Store {
    client: Client,
    table: String,
}

impl Store {
    /// The client must not retry by itself: this module does, within the invocation's time.
    pub fn new(client: Client, table: impl Into<String>) -> Self {
        Self {
            client,
            table: table.into(),
        }
    }

    /// Makes the changes, several calls at once. No call starts, and none is waited for, after
    /// `until`.
    pub async fn write(&self, changes: Vec<Pending>, until: Instant) -> Stored {
        let read = changes.len();
        let changes = last_of_each_key(changes);
        let mut stored = Stored {
            repeated: read - changes.len(),
            ..Stored::default()
        };
        let mut changes = changes.into_iter();
        let groups = iter::from_fn(|| {
            let group: Vec<_> = changes.by_ref().take(MAX_WRITES_PER_CALL).collect();
            (!group.is_empty()).then_some(group)
        });
        let mut calls = stream::iter(groups)
            .map(|group| self.write_group(group, until))
            .buffer_unordered(CALLS_AT_ONCE);
        while let Some(group) = calls.next().await {
            stored.add(group);
        }
        stored
    }

    /// Makes up to 25 changes. A refusal names no item, so a refused group is halved until the
    /// one at fault stands alone.
    async fn write_group(&self, group: Vec<Pending>, until: Instant) -> Stored {
        let mut stored = Stored::default();
        let mut groups = vec![group];
        let mut backoff = Backoff::default();
        while let Some(mut group) = groups.pop() {
            let size = group.len();
            let result = self.attempt(&mut group, until).await;
            stored.written += size - group.len();
            let trouble = match result {
                Ok(()) => continue,
                Err(Trouble::Refused(_)) if size > 1 => {
                    groups.push(group.split_off(size / 2));
                    groups.push(group);
                    continue;
                }
                Err(Trouble::Refused(why)) => {
                    let reason = format!("refused by DynamoDB: {why}");
                    let position = group[0].position;
                    stored.refused.push(Failure { position, reason });
                    continue;
                }
                Err(trouble) => trouble,
            };
            groups.push(group);
            let again_at = Instant::now() + backoff.next_pause();
            let ends = matches!(trouble, Trouble::Held(_)) || again_at >= until;
            stored.trouble = stored.trouble.take().max(Some(trouble));
            if ends {
                break;
            }
            sleep_until(again_at).await;
        }
        stored.first_unfinished = groups.iter().flatten().map(|change| change.position).min();
        stored
    }

    /// One call. It takes the changes that are made out of `group`.
    async fn attempt(&self, group: &mut Vec<Pending>, until: Instant) -> Result<(), Trouble> {
        let requests = group.iter().map(|change| request(&change.write)).collect();
        let request = self
            .client
            .batch_write_item()
            .request_items(&self.table, requests);
        let answer = call(request.send(), until).await?;
        let unprocessed = answer.unprocessed_items.unwrap_or_default();
        let unprocessed: Option<HashSet<Key>> = unprocessed.values().flatten().map(key).collect();
        let unprocessed = unprocessed.ok_or_else(|| {
            Trouble::Unreachable("an answer with unprocessed writes that are not ours".to_owned())
        })?;
        group.retain(|change| unprocessed.contains(change.write.key()));
        match group.len() {
            0 => Ok(()),
            n => Err(Trouble::Throttled(format!(
                "{n} writes came back unprocessed"
            ))),
        }
    }
}

/// Two changes of one key would fail the whole call, and only the last counts anyway.
fn last_of_each_key(changes: Vec<Pending>) -> Vec<Pending> {
    let last: HashMap<_, _> = changes
        .iter()
        .enumerate()
        .map(|(n, change)| (change.write.key().clone(), n))
        .collect();
    let changes = changes.into_iter().enumerate();
    changes
        .filter(|(n, change)| last[change.write.key()] == *n)
        .map(|(_, change)| change)
        .collect()
}

fn request(write: &Write) -> WriteRequest {
    let request = WriteRequest::builder();
    match write {
        Write::Put(item) => {
            let put = PutRequest::builder().set_item(Some(item.attributes()));
            request.set_put_request(put.build().ok())
        }
        Write::Delete(key) => {
            let delete = DeleteRequest::builder().set_key(Some(key.attributes()));
            request.set_delete_request(delete.build().ok())
        }
    }
    .build()
}

fn key(request: &WriteRequest) -> Option<Key> {
    let attributes = match (&request.put_request, &request.delete_request) {
        (Some(put), _) => &put.item,
        (None, Some(delete)) => &delete.key,
        (None, None) => return None,
    };
    Key::from_attributes(attributes)
}
