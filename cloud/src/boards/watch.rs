//! The watch over the table of boards, once a minute: counts, and tells who fell silent and who is back, each once.
//!
//! A board is called silent by a condition on its item, which only one of two looks at the same time can fulfil. If the message can't be sent, that
//! is undone, and the next look tells. So a message may be late, and is neither repeated each minute nor left out; only a look that is cut off
//! between the two, by a crash, is silent about what it found.

use anyhow::{Context, Result, anyhow, bail};
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::AttributeValue;
use chrono::{DateTime, TimeDelta, Utc};
use futures_util::{StreamExt, stream};
use serde::Serialize;
use tokio::time::Instant;

use super::Item;
use super::report::key;
use crate::answer::{CALLS_AT_ONCE, Trouble, call};
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
        let mut marks = stream::iter(changes)
            .map(|change| async {
                let result = self.mark(&change, until).await;
                (change, result)
            })
            .buffered(CALLS_AT_ONCE);
        let mut marked = Vec::new();
        let mut trouble = None;
        while let Some((change, result)) = marks.next().await {
            match result {
                Ok(()) => marked.push(change),
                // It reported meanwhile, or another look told of it.
                Err(Trouble::Outdated) => {}
                Err(other) => trouble = Some(format!("the table of boards: {other}")),
            }
        }
        if let (false, Some(topic)) = (marked.is_empty(), &self.topic)
            && let Err(why) = topic.send(&marked, now, until).await
        {
            // Where even that fails, the metric alone tells of the board.
            stream::iter(&marked)
                .for_each_concurrent(CALLS_AT_ONCE, |change| async {
                    let _ = self.unmark(change, until).await;
                })
                .await;
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
            .update(change, since)
            .update_expression("SET SilentSince = :since")
            .condition_expression("SeenAt = :seen AND attribute_not_exists(SilentSince)")
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
            .update(change, since)
            .update_expression("REMOVE SilentSince")
            .condition_expression("SilentSince = :since");
        call(request.send(), until).await.map(drop)
    }

    /// An update of the board's item, for an expression in which `:since` stands for `since`.
    fn update(&self, change: &Change, since: &str) -> UpdateItemFluentBuilder {
        self.dynamodb
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key(&change.board)))
            .expression_attribute_values(":since", AttributeValue::S(since.to_owned()))
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
        let ago = |since: &str| {
            let since: Option<DateTime<Utc>> = since.parse().ok();
            in_words(since.map_or(TimeDelta::zero(), |since| now - since))
        };
        match &self.silent_since {
            None => format!(
                "{board}: last heard of {} ago, at {seen_at}; posts waiting {waiting}, lost {lost}",
                ago(seen_at)
            ),
            Some(since) => format!(
                "{board}: was silent from {since}, for {}; posts waiting {waiting}, lost {lost}",
                ago(since)
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

/// A span of time, as exact as a person needs it.
fn in_words(span: TimeDelta) -> String {
    match (span.num_seconds(), span.num_minutes(), span.num_hours()) {
        (seconds @ ..120, _, _) => format!("{seconds} s"),
        (_, minutes @ ..120, _) => format!("{minutes} minutes"),
        (_, _, hours @ ..48) => format!("{hours} hours"),
        _ => format!("{} days", span.num_days()),
    }
}

/// A time such as `20m` or `90s`.
///
/// # Errors
/// It is none.
pub fn duration(text: &str) -> Result<TimeDelta> {
    let last = text.char_indices().last().map_or(0, |(at, _)| at);
    let (number, unit) = text.split_at(last);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_in_words_and_settings_in_minutes_or_seconds() {
        let table = [
            (7, "7 s"),
            (119, "119 s"),
            (1_260, "21 minutes"),
            (7_200, "2 hours"),
            (172_800, "2 days"),
        ];
        for (seconds, words) in table {
            assert_eq!(in_words(TimeDelta::seconds(seconds)), words);
        }
        assert_eq!(duration("20m").unwrap(), TimeDelta::minutes(20));
        assert_eq!(duration("90s").unwrap(), TimeDelta::seconds(90));
        for wrong in ["", "m", "0m", "20", "-1m", "20h", "1.5m", "20ä"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
