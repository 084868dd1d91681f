//! Reports into the table of boards. A report never takes the place of one that arrived later, and never holds up posts: what the table does not
//! take in a few seconds is left to the next report.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use futures_util::{StreamExt, stream};
use tokio::time::{Instant, sleep_until};

use super::report::BoardReport;
use crate::answer::{Backoff, CALLS_AT_ONCE, Trouble, call};
use crate::item::iso;

/// How long the table may take for the reports of a batch.
const PATIENCE: Duration = Duration::from_secs(10);

/// The table of boards.
#[derive(Clone, Debug)]
pub struct Boards {
    client: Client,
    table: String,
}

/// Of each board its newest report.
#[derive(Clone, Debug, Default)]
pub struct Newest(BTreeMap<String, BoardReport>);

impl Newest {
    /// Keeps the report, unless there is one that arrived later.
    pub fn add(&mut self, report: BoardReport) {
        match self.0.get(&report.board) {
            Some(known) if known.seen_at > report.seen_at => {}
            _ => drop(self.0.insert(report.board.clone(), report)),
        }
    }
}

impl Boards {
    /// The client must not retry by itself: this module does.
    pub fn new(client: Client, table: impl Into<String>) -> Self {
        Self {
            client,
            table: table.into(),
        }
    }

    /// Writes the reports, several at once, and tries again for some seconds, but not after `until`. What stood in the way if some are not written.
    pub async fn note(&self, reports: &Newest, until: Instant) -> Option<Trouble> {
        let until = until.min(Instant::now() + PATIENCE);
        stream::iter(reports.0.values())
            .map(|report| self.note_one(report, until))
            .buffer_unordered(CALLS_AT_ONCE)
            .fold(None, |worst: Option<Trouble>, result| async {
                worst.max(result.err())
            })
            .await
    }

    async fn note_one(&self, report: &BoardReport, until: Instant) -> Result<(), Trouble> {
        let mut backoff = Backoff::default();
        loop {
            let trouble = match self.put(report, until).await {
                // The table has a later one.
                Ok(()) | Err(Trouble::Outdated) => return Ok(()),
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

    /// An update, not a put: `SilentSince` stays until the watch has told of the return.
    async fn put(&self, report: &BoardReport, until: Instant) -> Result<(), Trouble> {
        // Every name has a placeholder: some are words of DynamoDB's own.
        let mut names = HashMap::from([("#SeenAt".to_owned(), "SeenAt".to_owned())]);
        let seen_at = AttributeValue::S(iso(report.seen_at));
        let mut values = HashMap::from([(":SeenAt".to_owned(), seen_at)]);
        let (mut set, mut remove) = (vec!["#SeenAt = :SeenAt".to_owned()], Vec::new());
        for (name, value) in &report.attributes {
            names.insert(format!("#{name}"), (*name).to_owned());
            match value {
                Some(value) => {
                    values.insert(format!(":{name}"), value.clone());
                    set.push(format!("#{name} = :{name}"));
                }
                None => remove.push(format!("#{name}")),
            }
        }
        let mut update = format!("SET {}", set.join(", "));
        if !remove.is_empty() {
            update += &format!(" REMOVE {}", remove.join(", "));
        }
        let request = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(report.key()))
            .update_expression(update)
            .condition_expression("attribute_not_exists(#SeenAt) OR #SeenAt <= :SeenAt")
            .set_expression_attribute_names(Some(names))
            .set_expression_attribute_values(Some(values));
        call(request.send(), until).await.map(drop)
    }
}
