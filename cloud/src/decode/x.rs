//! X posts: the filtered stream of API v2, and tweets of the older v1.1.

use anyhow::{Context, Result};
use chrono::{DateTime, Utc};
use serde_json::Value;

use super::{detail, rfc3339};
use crate::item::{Item, Key, Source, Write};

/// The board marks its rules with this and the keyword.
const TAG_PREFIX: &str = "headwater:";
/// v1.1's `created_at`: "Wed Oct 10 20:19:24 +0000 2018".
const V1_TIME: &str = "%a %b %d %H:%M:%S %z %Y";
/// Ids up to this one were counted; since then each holds its time, in milliseconds ...
const LAST_COUNTED_ID: u64 = 29_700_859_247;
/// ... since this moment (Unix milliseconds), above 22 other bits.
const ID_EPOCH_MS: i64 = 1_288_834_974_657;

/// `{"data":{...},"includes":{"users":[...]},"matching_rules":[...]}`, with the field names of
/// before and after the renaming of tweets to posts.
pub fn decode_v2(event: &Value, arrived_at: DateTime<Utc>) -> Result<Write> {
    let data = &event["data"];
    let id = id(&data["id"]).context("an X post without an id")?;
    let author_id = self::id(&data["author_id"]);
    let username = event["includes"]["users"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|user| author_id.is_some() && self::id(&user["id"]) == author_id)
        .and_then(|user| detail(&user["username"]));
    let text = [
        &data["note_tweet"]["text"],
        &data["note_post"]["text"],
        &data["text"],
    ]
    .into_iter()
    .find_map(Value::as_str)
    .context("an X post without a text")?;
    let keyword = event["matching_rules"]
        .as_array()
        .into_iter()
        .flatten()
        .find_map(|rule| rule["tag"].as_str()?.strip_prefix(TAG_PREFIX))
        .and_then(|keyword| detail(&keyword.into()));
    let edit_of = [
        &data["edit_history_tweet_ids"][0],
        &data["edit_history_post_ids"][0],
    ]
    .into_iter()
    .find_map(self::id)
    .filter(|first| *first != id);
    let item = Item {
        timestamp: rfc3339(&data["created_at"])
            .or_else(|| time_of(&id))
            .unwrap_or(arrived_at),
        key: Key::new(username.or(author_id).unwrap_or_else(|| id.clone()), id)?,
        message: unescape(text),
        source: Source::X,
        lang: detail(&data["lang"]),
        keyword,
        edit_of,
        received_at: arrived_at,
        expires_at: None,
    };
    Ok(Write::Put(item.shortened()))
}

/// `{"id_str":...,"created_at":...,"text":...,"user":{"screen_name":...}}`
pub fn decode_v1(tweet: &Value, arrived_at: DateTime<Utc>) -> Result<Write> {
    let id = id(&tweet["id_str"])
        .or_else(|| id(&tweet["id"]))
        .context("a tweet without an id")?;
    let user = &tweet["user"];
    let username = detail(&user["screen_name"])
        .or_else(|| self::id(&user["id_str"]))
        .or_else(|| self::id(&user["id"]))
        .unwrap_or_else(|| id.clone());
    let text = [
        &tweet["extended_tweet"]["full_text"],
        &tweet["full_text"],
        &tweet["text"],
    ]
    .into_iter()
    .find_map(Value::as_str)
    .context("a tweet without a text")?;
    let created_at = tweet["created_at"]
        .as_str()
        .and_then(|at| DateTime::parse_from_str(at, V1_TIME).ok())
        .map(|at| at.to_utc());
    let item = Item {
        timestamp: created_at.or_else(|| time_of(&id)).unwrap_or(arrived_at),
        key: Key::new(username, id)?,
        message: unescape(text),
        source: Source::X,
        lang: detail(&tweet["lang"]),
        keyword: None,
        edit_of: None,
        received_at: arrived_at,
        expires_at: None,
    };
    Ok(Write::Put(item.shortened()))
}

/// An id, which may come as a number too: all its digits are kept.
fn id(value: &Value) -> Option<String> {
    value
        .as_u64()
        .map(|id| id.to_string())
        .or_else(|| detail(value))
}

/// When the post with this id was made.
fn time_of(id: &str) -> Option<DateTime<Utc>> {
    let id = id.parse().ok().filter(|&id: &u64| id > LAST_COUNTED_ID)?;
    DateTime::from_timestamp_millis(i64::try_from(id >> 22).ok()? + ID_EPOCH_MS)
}

/// The text as its author wrote it: X escapes these three characters, and no others.
fn unescape(text: &str) -> String {
    text.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&amp;", "&")
}
