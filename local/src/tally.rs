//! The final count: compares what was read with what reached the stream and the table.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use anyhow::Context;
use serde_json::Value;

use crate::aws::Aws;
use crate::deploy::Stack;
use testkit::posts::Post;

/// A post that a source sent. If it was sent twice, there are two of these.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// Its key: a post's id, or the line itself.
    pub id: String,
    /// The text that the table must contain, byte for byte.
    pub text: String,
}

/// The result. Its [`fmt::Display`] is the last line of the demo.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Number of different posts that were read.
    pub read: usize,
    /// Number of those that are in the table with exactly their text.
    pub stored: usize,
    /// Number of those that a full spool dropped: no copy arrived, and the producer counted the drop.
    pub dropped: usize,
    /// Number of the rest: neither stored nor counted as dropped.
    pub lost: usize,
    /// Posts in the stream, packed or plain, beyond those that the source sent. A post that the source sent twice may be there twice.
    pub twice: usize,
    /// Inconsistencies in words: items or posts that the source did not send, or with another text; a wrong count of drops.
    pub oddities: Vec<String>,
}

impl Tally {
    /// Counts. `posts` are the stream's, boards' reports among them, `items` the table's; `dropped` is the producer's own count of records it
    /// dropped.
    pub fn new(sent: &[Sent], posts: &[Vec<u8>], items: &[Value], dropped: usize) -> Self {
        let mut copies: BTreeMap<&str, (usize, &str)> = BTreeMap::new();
        for Sent { id, text } in sent {
            copies.entry(id).or_insert((0, text)).0 += 1;
        }
        let mut oddities = Vec::new();

        let mut arrived: BTreeMap<String, usize> = BTreeMap::new();
        for post in posts.iter().filter(|post| !is_report(post)) {
            match post_id(post) {
                Some(id) if copies.contains_key(id.as_str()) => {
                    *arrived.entry(id).or_default() += 1
                }
                _ => oddities.push(format!("post {}", String::from_utf8_lossy(post))),
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
        // A drop that was not counted is a loss.
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
    ///
    /// # Errors
    /// If the stream or the table cannot be read.
    pub fn take(aws: &Aws, stack: &Stack, sent: &[Sent], dropped: usize) -> anyhow::Result<Self> {
        let posts = aws.all_posts(&stack.stream)?;
        let items = aws.all_items(&stack.table)?;
        Ok(Self::new(sent, &posts, &items, dropped))
    }

    /// Whether every post is stored exactly once, or counted as dropped.
    pub fn adds_up(&self) -> bool {
        self.twice == 0 && self.is_complete()
    }

    /// The same, but records may be in the stream twice, as over a link that cuts connections before the response.
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
    /// What a post of the stream says that Jetstream sent.
    ///
    /// # Errors
    /// If `post` is no event of Jetstream with a post.
    pub fn from_jetstream(post: &[u8]) -> anyhow::Result<Self> {
        let event: Value = serde_json::from_slice(post)?;
        let text = |value: &Value| {
            value
                .as_str()
                .map(str::to_owned)
                .context("a record of the stream is no post of Jetstream's")
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

/// How many different posts there are among those of the stream, without boards' reports: so many rows the table gets.
pub fn different_posts(posts: &[Vec<u8>]) -> usize {
    let posts = posts.iter().filter(|post| !is_report(post));
    let ids: BTreeSet<_> = posts.filter_map(|post| post_id(post)).collect();
    ids.len()
}

/// Whether a record is a board's report.
fn is_report(record: &[u8]) -> bool {
    record.starts_with(br#"{"headwater_board":"#)
}

/// The id of what the stream carries: an X post's, a Jetstream event's, or a line itself.
fn post_id(post: &[u8]) -> Option<String> {
    let post: Value = serde_json::from_slice(post).ok()?;
    let id = [&post["data"]["id"], &post["commit"]["rkey"], &post["line"]];
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
    fn a_row_is_expected_for_each_post_of_the_stream_however_often_it_is_there_and_for_no_report() {
        let mut posts = records(&["1", "2", "1"]);
        posts.push(br#"{"headwater_board":"pi"}"#.to_vec());
        assert_eq!(different_posts(&posts), 2);
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
