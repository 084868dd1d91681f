//! The watch over the table of boards, once a minute: counts, and tells who fell silent and who is back, each once.
//!
//! A board is called silent by a condition on its item, which only one of two looks at the same time can fulfil. If the message can't be sent, that
//! is undone, and the next look tells. So a message may be late, and is neither repeated each minute nor left out; only a look that is cut off
//! between the two, by a crash, is silent about what it found.

use anyhow::{Context, Result, anyhow, bail};
use aws_sdk_dynamodb::types::AttributeValue;
use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use tokio::time::Instant;

use super::Item;
use super::report::key;
use crate::answer::{Trouble, call};
use crate::item::iso;

/// A message names so many boards, and says how many more there are.
const MAX_NAMED: usize = 500;

/// The watch.
#[derive(Clone, Debug)]
pub struct Watch {
    /// The table's database.
    pub dynamodb: aws_sdk_dynamodb::Client,
    /// The table of boards.
    pub table: String,
    /// A board that was not heard of for so long is silent.
    pub silent_after: TimeDelta,
    /// Who is told, if anybody is.
    pub topic: Option<Topic>,
}

/// Where messages go.
#[derive(Clone, Debug)]
pub struct Topic {
    /// The way there.
    pub sns: aws_sdk_sns::Client,
    /// Its ARN.
    pub arn: String,
}

/// What a look found. The metrics' names are the fields'.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Found {
    /// Boards that are heard of.
    pub boards_heard: u64,
    /// Boards that are silent.
    pub boards_silent: u64,
    /// Posts that wait on the boards, by their newest reports.
    pub posts_waiting: u64,
    /// Posts the boards have lost over the lives of their queues.
    pub posts_lost: u64,
}

/// One look.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// The counts.
    pub found: Found,
    /// The boards that fell silent, of which was told.
    pub silent: Vec<String>,
    /// Those that are back, of which was told.
    pub back: Vec<String>,
    /// Why not all that happened was told. The next look tries again.
    pub trouble: Option<String>,
}

/// A board whose state changed: told once.
struct Change {
    board: String,
    seen_at: String,
    /// `SilentSince`, of a board that was silent.
    silent_since: Option<String>,
    item: Item,
}

impl Watch {
    /// One look.
    ///
    /// # Errors
    /// The table can't be read.
    pub async fn look(&self, now: DateTime<Utc>, until: Instant) -> Result<Look> {
        let limit = iso(now - self.silent_after);
        let mut found = Found::default();
        let (mut silent, mut back) = (Vec::new(), Vec::new());
        let mut from = None;
        loop {
            let request = self
                .dynamodb
                .scan()
                .table_name(&self.table)
                .set_exclusive_start_key(from);
            let page = call(request.send(), until)
                .await
                .map_err(|trouble| anyhow!("the table of boards: {trouble}"))?;
            for item in page.items.unwrap_or_default() {
                let Some(change) = Change::of(item) else {
                    continue;
                };
                let is_silent = change.seen_at < limit;
                let counter = match is_silent {
                    true => &mut found.boards_silent,
                    false => &mut found.boards_heard,
                };
                *counter += 1;
                found.posts_waiting += change.number("Waiting");
                found.posts_lost += change.number("Lost");
                match (is_silent, &change.silent_since) {
                    (true, None) => silent.push(change),
                    (false, Some(_)) => back.push(change),
                    _ => {}
                }
            }
            from = page.last_evaluated_key;
            if from.is_none() {
                break;
            }
        }
        let (silent, no_silent) = self.tell(silent, now, until).await;
        let (back, no_back) = self.tell(back, now, until).await;
        Ok(Look {
            found,
            silent,
            back,
            trouble: no_silent.or(no_back),
        })
    }

    /// Marks the boards, then names those that no other look has marked, in one message. The boards that were told of, and why not all were.
    async fn tell(
        &self,
        mut changes: Vec<Change>,
        now: DateTime<Utc>,
        until: Instant,
    ) -> (Vec<String>, Option<String>) {
        changes.sort_by(|a, b| a.board.cmp(&b.board));
        let mut marked = Vec::new();
        let mut trouble = None;
        for change in changes {
            match self.mark(&change, until).await {
                Ok(()) => marked.push(change),
                // It reported meanwhile, or another look told of it.
                Err(Trouble::Outdated) => {}
                Err(other) => {
                    trouble = Some(format!("the table of boards: {other}"));
                    break;
                }
            }
        }
        if let (false, Some(topic)) = (marked.is_empty(), &self.topic)
            && let Err(why) = topic.send(&marked, now, until).await
        {
            for change in &marked {
                // Where even that fails, the metric alone tells of the board.
                let _ = self.unmark(change, until).await;
            }
            let trouble =
                format!("the message about boards can't be sent, the next look tries again: {why}");
            return (Vec::new(), Some(trouble));
        }
        let boards = marked.into_iter().map(|change| change.board);
        (boards.collect(), trouble)
    }

    async fn mark(&self, change: &Change, until: Instant) -> Result<(), Trouble> {
        match &change.silent_since {
            None => self.set_silent(change, &change.seen_at, until).await,
            Some(since) => self.clear_silent(change, since, until).await,
        }
    }

    async fn unmark(&self, change: &Change, until: Instant) -> Result<(), Trouble> {
        match &change.silent_since {
            None => self.clear_silent(change, &change.seen_at, until).await,
            Some(since) => self.set_silent(change, since, until).await,
        }
    }

    async fn set_silent(
        &self,
        change: &Change,
        since: &str,
        until: Instant,
    ) -> Result<(), Trouble> {
        let request = self
            .dynamodb
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key(&change.board)))
            .update_expression("SET SilentSince = :since")
            .condition_expression("SeenAt = :seen AND attribute_not_exists(SilentSince)")
            .expression_attribute_values(":since", AttributeValue::S(since.to_owned()))
            .expression_attribute_values(":seen", AttributeValue::S(change.seen_at.clone()));
        call(request.send(), until).await.map(drop)
    }

    async fn clear_silent(
        &self,
        change: &Change,
        since: &str,
        until: Instant,
    ) -> Result<(), Trouble> {
        let request = self
            .dynamodb
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key(&change.board)))
            .update_expression("REMOVE SilentSince")
            .condition_expression("SilentSince = :since")
            .expression_attribute_values(":since", AttributeValue::S(since.to_owned()));
        call(request.send(), until).await.map(drop)
    }
}

impl Change {
    fn of(item: Item) -> Option<Self> {
        let text = |name: &str| item.get(name)?.as_s().ok().cloned();
        Some(Self {
            board: text("Board")?,
            seen_at: text("SeenAt")?,
            silent_since: text("SilentSince"),
            item,
        })
    }

    fn number(&self, name: &str) -> u64 {
        let number = self.item.get(name).and_then(|value| value.as_n().ok());
        number
            .and_then(|text| text.parse().ok())
            .unwrap_or_default()
    }

    /// A line of the message.
    fn line(&self, now: DateTime<Utc>) -> String {
        let (board, seen_at) = (&self.board, &self.seen_at);
        let (waiting, lost) = (self.number("Waiting"), self.number("Lost"));
        let minutes = |since: &str| {
            let since: Option<DateTime<Utc>> = since.parse().ok();
            since.map_or(0, |since| (now - since).num_minutes())
        };
        match &self.silent_since {
            None => format!(
                "{board}: last heard of {} minutes ago, at {seen_at}; {waiting} posts waited, {lost} were lost",
                minutes(seen_at)
            ),
            Some(since) => format!(
                "{board}: was silent from {since}, for {} minutes; {waiting} posts wait, {lost} were lost",
                minutes(since)
            ),
        }
    }
}

impl Topic {
    async fn send(
        &self,
        changes: &[Change],
        now: DateTime<Utc>,
        until: Instant,
    ) -> Result<(), Trouble> {
        let boards = match changes.len() {
            1 => "1 board".to_owned(),
            n => format!("{n} boards"),
        };
        let is_back = changes.iter().any(|change| change.silent_since.is_some());
        let what = match (is_back, changes.len()) {
            (true, 1) => "is back",
            (true, _) => "are back",
            (false, 1) => "is silent",
            (false, _) => "are silent",
        };
        let lines = changes
            .iter()
            .take(MAX_NAMED)
            .map(|change| change.line(now));
        let mut text: Vec<_> = lines.collect();
        if let Some(more) = changes
            .len()
            .checked_sub(MAX_NAMED)
            .filter(|more| *more > 0)
        {
            text.push(format!(
                "and {more} more: the table of boards has all of them"
            ));
        }
        let request = self
            .sns
            .publish()
            .topic_arn(&self.arn)
            .subject(format!("headwater: {boards} {what}"))
            .message(text.join("\n"));
        call(request.send(), until).await.map(drop)
    }
}

/// A time such as `20m` or `90s`.
///
/// # Errors
/// It is none.
pub fn duration(text: &str) -> Result<TimeDelta> {
    let (number, unit) = text.split_at(text.len().saturating_sub(1));
    let number: u32 = number
        .parse()
        .ok()
        .filter(|number| *number > 0)
        .context(UNFIT)?;
    match unit {
        "m" => Ok(TimeDelta::minutes(number.into())),
        "s" => Ok(TimeDelta::seconds(number.into())),
        _ => bail!(UNFIT),
    }
}

const UNFIT: &str = "it must be a whole number of minutes or seconds, as in 20m or 90s";
