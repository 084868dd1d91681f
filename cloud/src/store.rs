//! Writes changes to the table in batches, until DynamoDB has accepted each or the time is up.
//!
//! Delivery is at least once and in any order, so what a source calls a later version must win. Posts of
//! X and lines have one version, and are put 25 a call. A Jetstream post can be updated and deleted: each
//! change is put alone, on condition that the table has no later revision, and a deletion leaves a
//! [`Tombstone`](crate::item::Tombstone). So neither a late repeat of a post nor one of an older version
//! brings back what its author has changed or deleted since.
//!
//! What that costs: DynamoDB bills a conditional put as any other, also one whose condition fails: 1 write
//! unit for the item (and 1 for the index), as in a batch. A tombstone is some 220 bytes with DynamoDB's
//! overhead, and in no index: $0.06 a month for a million. A call a post instead of a call for 25 costs the
//! function 0.2 ms of computing a post (109 ms for a batch of 500, where posts of X take 8 ms), less than
//! $0.01 per million posts.

use std::collections::{HashMap, HashSet};
use std::iter;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{AttributeValue, PutRequest, WriteRequest};
use futures_util::{StreamExt, stream};
use tokio::time::{Instant, sleep_until};

use crate::answer::{Backoff, CALLS_AT_ONCE, Trouble, call};
use crate::batch::Entry;
use crate::failures::Failure;
use crate::item::{Key, MAX_ITEM_BYTES, Write};

/// DynamoDB's limits on one BatchWriteItem.
const MAX_WRITES_PER_CALL: usize = 25;
const MAX_CALL_BYTES: usize = 16 * 1024 * 1024;
const _: () = assert!(MAX_WRITES_PER_CALL * MAX_ITEM_BYTES < MAX_CALL_BYTES);

/// A change, and what asks for it.
#[derive(Clone, Debug)]
pub struct Pending<'a> {
    /// The post or event.
    pub entry: Entry<'a>,
    /// What it changes.
    pub write: Write,
}

/// The result of the changes.
#[derive(Debug, Default)]
pub struct Stored<'a> {
    /// Number of changes that DynamoDB accepted.
    pub written: usize,
    /// Number of changes that were left out, because there is a later version of the post.
    pub repeated: usize,
    /// Changes that DynamoDB will never accept, with its reason.
    pub refused: Vec<Failure<'a>>,
    /// The lowest position of those not written when the time was up or a person must act.
    pub first_unfinished: Option<usize>,
    /// The worst problem, if there was any.
    pub trouble: Option<Trouble>,
}

impl<'a> Stored<'a> {
    fn add(&mut self, other: Stored<'a>) {
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
    pub async fn write<'a>(&self, changes: Vec<Pending<'a>>, until: Instant) -> Stored<'a> {
        let read = changes.len();
        let changes = latest_of_each_key(changes);
        let mut stored = Stored {
            repeated: read - changes.len(),
            ..Stored::default()
        };
        let mut calls = stream::iter(groups(changes))
            .map(|group| self.write_group(group, until))
            .buffer_unordered(CALLS_AT_ONCE);
        while let Some(group) = calls.next().await {
            stored.add(group);
        }
        stored
    }

    /// Makes the changes of one group. A refusal names no item, so a refused group is halved until the
    /// one at fault stands alone.
    async fn write_group<'a>(&self, group: Vec<Pending<'a>>, until: Instant) -> Stored<'a> {
        let mut stored = Stored::default();
        let mut groups = vec![group];
        let mut backoff = Backoff::default();
        while let Some(mut group) = groups.pop() {
            let size = group.len();
            let result = self.attempt(&mut group, until).await;
            stored.written += size - group.len();
            let trouble = match result {
                Ok(()) => continue,
                Err(Trouble::Outdated) => {
                    stored.repeated += 1;
                    continue;
                }
                Err(Trouble::Refused { .. }) if size > 1 => {
                    groups.push(group.split_off(size / 2));
                    groups.push(group);
                    continue;
                }
                Err(Trouble::Refused { code, message }) => {
                    let reason = format!("refused by DynamoDB: {code}");
                    stored.refused.push(Failure {
                        detail: Some(message),
                        ..Failure::new(group[0].entry, 1, &reason)
                    });
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
        let left = groups.iter().flatten();
        stored.first_unfinished = left.map(|change| change.entry.position).min();
        stored
    }

    /// One call. It takes the changes that are made out of `group`.
    async fn attempt(&self, group: &mut Vec<Pending<'_>>, until: Instant) -> Result<(), Trouble> {
        if let [Pending { write, .. }] = &group[..]
            && let Some(version) = write.version()
        {
            self.put_unless_outdated(write, version, until).await?;
            group.clear();
            return Ok(());
        }
        self.put_all(group, until).await
    }

    async fn put_unless_outdated(
        &self,
        write: &Write,
        version: &str,
        until: Instant,
    ) -> Result<(), Trouble> {
        let request = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(write.attributes()))
            .condition_expression("attribute_not_exists(Rev) OR Rev <= :rev")
            .expression_attribute_values(":rev", AttributeValue::S(version.to_owned()));
        call(request.send(), until).await.map(drop)
    }

    async fn put_all(&self, group: &mut Vec<Pending<'_>>, until: Instant) -> Result<(), Trouble> {
        let requests = group.iter().map(|change| put(&change.write)).collect();
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

/// The changes of one call each. A post that may have later versions needs a condition, which a call
/// for many can't have: it stands alone.
fn groups(changes: Vec<Pending<'_>>) -> Vec<Vec<Pending<'_>>> {
    let (versioned, others): (Vec<_>, Vec<_>) = changes
        .into_iter()
        .partition(|change| change.write.version().is_some());
    let mut groups: Vec<_> = versioned.into_iter().map(|change| vec![change]).collect();
    let mut others = others.into_iter();
    groups.extend(iter::from_fn(|| {
        let group: Vec<_> = others.by_ref().take(MAX_WRITES_PER_CALL).collect();
        (!group.is_empty()).then_some(group)
    }));
    groups
}

/// Two changes of one key would fail a call, and only the latest version counts anyway: of equal ones
/// the one that came last.
fn latest_of_each_key(changes: Vec<Pending<'_>>) -> Vec<Pending<'_>> {
    let mut latest: HashMap<&Key, usize> = HashMap::new();
    for (n, change) in changes.iter().enumerate() {
        let kept = latest.entry(change.write.key()).or_insert(n);
        if change.write.version() >= changes[*kept].write.version() {
            *kept = n;
        }
    }
    let kept: HashSet<usize> = latest.into_values().collect();
    let changes = changes.into_iter().enumerate();
    changes
        .filter(|(n, _)| kept.contains(n))
        .map(|(_, change)| change)
        .collect()
}

fn put(write: &Write) -> WriteRequest {
    let put = PutRequest::builder().set_item(Some(write.attributes()));
    WriteRequest::builder()
        .set_put_request(put.build().ok())
        .build()
}

/// The key of a write that came back unprocessed; `None` if it is not one of ours.
fn key(request: &WriteRequest) -> Option<Key> {
    Key::from_attributes(&request.put_request.as_ref()?.item)
}
