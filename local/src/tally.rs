//! The count at the end: what was read, against what reached the stream and the table.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::Context;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;

use crate::aws::Aws;
use crate::deploy::Stack;
use testkit::posts::Post;

/// One thing a source sent, as often as it sent it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// What tells it from the others of its source: a post's id, or a line itself.
    pub id: String,
    /// What the table has to hold, byte for byte.
    pub text: String,
}

/// What became of all that was sent. [`fmt::Display`] is the last line of the demo.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Different posts the source handed over.
    pub read: usize,
    /// Those among them that the table has, with exactly their text.
    pub stored: usize,
    /// Those that a full spool dropped: none of their copies arrived, and the producer counted that.
    pub dropped: usize,
    /// Those that are neither: read, but not stored, and not counted as dropped.
    pub lost: usize,
    /// Records of the stream beyond what the source itself sent: a post that the source sent twice may be there twice.
    pub twice: usize,
    /// What does not fit: items and records that are nothing the source sent, or not with its text; a wrong count of drops. In words.
    pub oddities: Vec<String>,
}

impl Tally {
    /// Counts. `records` are the stream's, of which boards' reports are no posts, `items` the table's; `dropped` is the producer's own count of records it dropped.
    pub fn new(sent: &[Sent], records: &[Vec<u8>], items: &[Value], dropped: usize) -> Self {
        let mut copies: BTreeMap<&str, (usize, &str)> = BTreeMap::new();
        for Sent { id, text } in sent {
            copies.entry(id).or_insert((0, text)).0 += 1;
        }
        let mut oddities = Vec::new();

        let mut arrived: BTreeMap<String, usize> = BTreeMap::new();
        for record in records.iter().filter(|record| !is_report(record)) {
            match record_id(record) {
                Some(id) if copies.contains_key(id.as_str()) => {
                    *arrived.entry(id).or_default() += 1
                }
                _ => oddities.push(format!("record {}", String::from_utf8_lossy(record))),
            }
        }
        let (mut twice, mut missing, mut absent) = (0, 0, 0);
        for (id, (copies, _)) in &copies {
            let arrived = arrived.get(*id).copied().unwrap_or_default();
            twice += arrived.saturating_sub(*copies);
            missing += copies.saturating_sub(arrived);
            absent += usize::from(arrived == 0);
        }
        if dropped > missing {
            oddities.push(format!(
                "{dropped} counted as dropped, but only {missing} are missing"
            ));
        }
        // A drop that nobody counted is a loss.
        let dropped = absent.saturating_sub(missing.saturating_sub(dropped));

        let mut stored = 0;
        for item in items {
            let message = item["Message"]["S"].as_str().unwrap_or_default();
            match copies.get(item_id(item)) {
                Some((_, text)) if *text == message => stored += 1,
                _ => oddities.push(format!("item {item}")),
            }
        }
        Self {
            read: copies.len(),
            stored,
            dropped,
            lost: copies.len().saturating_sub(stored + dropped),
            twice,
            oddities,
        }
    }

    /// Reads the stream and the table of `stack`, and counts.
    pub fn take(aws: &Aws, stack: &Stack, sent: &[Sent], dropped: usize) -> anyhow::Result<Self> {
        let decode = |data: &String| {
            BASE64_STANDARD
                .decode(data)
                .context("a record is not base64")
        };
        let records = aws
            .all_records(&stack.stream)?
            .iter()
            .map(decode)
            .collect::<Result<Vec<_>, _>>()?;
        let items = aws.all_items(&stack.table)?;
        Ok(Self::new(sent, &records, &items, dropped))
    }

    /// Whether every post is where it belongs, once, or counted as dropped.
    pub fn adds_up(&self) -> bool {
        self.twice == 0 && self.is_complete()
    }

    /// The same, where a record may have been sent twice: over a link that cuts connections before the answer.
    pub fn is_complete(&self) -> bool {
        self.lost == 0 && self.stored + self.dropped == self.read && self.oddities.is_empty()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            read,
            stored,
            dropped,
            lost,
            twice,
            ..
        } = self;
        write!(
            f,
            "read {read}, stored {stored}, lost {lost}, twice {twice}"
        )?;
        if *dropped > 0 {
            write!(f, ", dropped {dropped}")?;
        }
        Ok(())
    }
}

impl Sent {
    /// What a record of the stream says that Jetstream sent. The record is base64.
    pub fn from_jetstream(record: &str) -> anyhow::Result<Self> {
        let event: Value = serde_json::from_slice(&BASE64_STANDARD.decode(record)?)?;
        let text = |value: &Value| {
            value
                .as_str()
                .map(str::to_owned)
                .context("a record is no post")
        };
        Ok(Self {
            id: text(&event["commit"]["rkey"])?,
            text: text(&event["commit"]["record"]["text"])?,
        })
    }
}

impl From<&Post> for Sent {
    fn from(post: &Post) -> Self {
        Self {
            id: post.id.to_string(),
            text: post.text.clone(),
        }
    }
}

impl From<&str> for Sent {
    fn from(line: &str) -> Self {
        Self {
            id: line.to_owned(),
            text: line.to_owned(),
        }
    }
}

/// Whether a record is a board's report.
fn is_report(record: &[u8]) -> bool {
    record.starts_with(br#"{"headwater_board":"#)
}

/// The id of what a record carries: an X post's, a Jetstream event's, or a line itself.
fn record_id(record: &[u8]) -> Option<String> {
    let record: Value = serde_json::from_slice(record).ok()?;
    let id = [
        &record["data"]["id"],
        &record["commit"]["rkey"],
        &record["line"],
    ];
    id.into_iter().find_map(Value::as_str).map(str::to_owned)
}

/// The same, of an item. The id of a line is made by the producer, so that the line alone tells it from others.
fn item_id(item: &Value) -> &str {
    let field = if item["Source"]["S"] == "lines" {
        "Message"
    } else {
        "Id"
    };
    item[field]["S"].as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn sent(ids: &[&str]) -> Vec<Sent> {
        let sent = |id: &&str| Sent {
            id: (*id).to_owned(),
            text: format!("text {id}"),
        };
        ids.iter().map(sent).collect()
    }

    fn records(ids: &[&str]) -> Vec<Vec<u8>> {
        let record = |id: &&str| json!({ "data": { "id": id } }).to_string().into_bytes();
        ids.iter().map(record).collect()
    }

    fn items(ids: &[&str]) -> Vec<Value> {
        let item =
            |id: &&str| json!({ "Id": { "S": id }, "Message": { "S": format!("text {id}") } });
        ids.iter().map(item).collect()
    }

    fn tally(s: &[&str], r: &[&str], i: &[&str], dropped: usize) -> Tally {
        Tally::new(&sent(s), &records(r), &items(i), dropped)
    }

    #[test]
    fn all_there_once_adds_up() {
        let tally = tally(&["1", "2"], &["2", "1"], &["1", "2"], 0);
        assert!(tally.adds_up());
        assert_eq!(tally.to_string(), "read 2, stored 2, lost 0, twice 0");
    }

    #[test]
    fn what_the_source_sent_twice_is_not_held_against_the_producer() {
        assert!(tally(&["1", "1", "2"], &["1", "2", "1"], &["1", "2"], 0).adds_up());
    }

    #[test]
    fn a_record_too_many_is_sent_twice_even_if_the_table_hides_it() {
        let tally = tally(&["1", "2"], &["1", "2", "2"], &["1", "2"], 0);
        assert_eq!(tally.twice, 1);
        assert!(!tally.adds_up());
    }

    #[test]
    fn a_post_that_is_not_in_the_table_is_lost_unless_counted_as_dropped() {
        assert_eq!(tally(&["1", "2"], &["1", "2"], &["1"], 0).lost, 1);
        let dropped = tally(&["1", "2"], &["1"], &["1"], 1);
        assert!(dropped.adds_up());
        assert_eq!(
            dropped.to_string(),
            "read 2, stored 1, lost 0, twice 0, dropped 1"
        );
    }

    #[test]
    fn drops_without_count_are_losses() {
        let tally = tally(&["1", "2", "3"], &["1"], &["1"], 1);
        assert_eq!((tally.lost, tally.dropped), (1, 1));
    }

    #[test]
    fn a_dropped_copy_of_a_post_that_the_source_sent_twice_is_no_dropped_post() {
        let tally = tally(&["1", "1"], &["1"], &["1"], 1);
        assert!(tally.adds_up());
        assert_eq!(tally.dropped, 0);
    }

    #[test]
    fn drops_that_are_counted_and_stored_all_the_same_do_not_add_up() {
        assert!(!tally(&["1", "2"], &["1", "2"], &["1", "2"], 1).adds_up());
    }

    #[test]
    fn a_text_that_changed_on_the_way_is_lost_and_said_to_be_odd() {
        let items = [json!({ "Id": { "S": "1" }, "Message": { "S": "text l" } })];
        let tally = Tally::new(&sent(&["1"]), &records(&["1"]), &items, 0);
        assert_eq!((tally.lost, tally.oddities.len()), (1, 1));
    }
}
