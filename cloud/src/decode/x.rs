//! X posts: the filtered stream of API v2, and tweets of the older v1.1.

use anyhow::{Context, Result};
use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use super::{detail, rfc3339};
use crate::item::{Item, Key, Source, Write, is_did, is_number};

/// Prefix of the tags of the board's rules. The keyword follows.
const TAG_PREFIX: &str = "headwater:";
/// v1.1's `created_at`: "Wed Oct 10 20:19:24 +0000 2018".
const V1_TIME: &str = "%a %b %d %H:%M:%S %z %Y";
/// Ids up to this one were sequential. Later ones (snowflakes) contain their time in milliseconds ...
const LAST_COUNTED_ID: u64 = 29_700_859_247;
/// ... since this moment (Unix milliseconds), above 22 other bits.
const ID_EPOCH_MS: i64 = 1_288_834_974_657;

/// Messages of X that are not posts: v1.1's about the stream and about single tweets, and v2's errors.
/// A v1.1 `delete` can't be executed: it does not name the author, with whom the table's key begins.
const MESSAGES: [&str; 8] = [
    "delete",
    "disconnect",
    "errors",
    "limit",
    "scrub_geo",
    "status_withheld",
    "user_withheld",
    "warning",
];

/// Whether an event is one of these.
pub fn is_message(event: &Map<String, Value>) -> bool {
    let content = MESSAGES.iter().find_map(|&name| event.get(name));
    content.is_some_and(|content| content.is_object() || content.is_array())
}

/// `{"data":{...},"includes":{"users":[...],"tweets":[...]},"matching_rules":[...]}`, with the field names
/// of before and after the renaming of tweets to posts.
pub fn decode_v2(event: &Value, arrived_at: DateTime<Utc>) -> Result<Write> {
    let (data, includes) = (&event["data"], &event["includes"]);
    let id = id(&data["id"]).context("an X post without an id")?;
    let author_id = self::id(&data["author_id"]);
    let username = elements(&includes["users"])
        .find(|user| author_id.is_some() && self::id(&user["id"]) == author_id)
        .and_then(|user| name(&user["username"]));
    let retweeted_id = elements(&data["referenced_tweets"])
        .chain(elements(&data["referenced_posts"]))
        .find(|reference| reference["type"] == "retweeted")
        .and_then(|reference| self::id(&reference["id"]));
    let retweeted = elements(&includes["tweets"])
        .chain(elements(&includes["posts"]))
        .find(|post| retweeted_id.is_some() && self::id(&post["id"]) == retweeted_id);
    let text = whole_text(text_v2(data), retweeted.and_then(text_v2));
    let keyword = elements(&event["matching_rules"])
        .find_map(|rule| rule["tag"].as_str()?.strip_prefix(TAG_PREFIX))
        .and_then(|keyword| detail(&keyword.into()));
    let edit_of = [
        &data["edit_history_tweet_ids"][0],
        &data["edit_history_post_ids"][0],
    ]
    .into_iter()
    .find_map(self::id)
    .filter(|first| *first != id);
    let author = username.or(author_id);
    let item = Item {
        timestamp: rfc3339(&data["created_at"])
            .or_else(|| time_of(&id))
            .map_or(arrived_at, |at| at.min(arrived_at)),
        key: Key::x(author.as_ref().unwrap_or(&id), &id)?,
        message: text.context("an X post without a text")?,
        source: Source::X,
        lang: detail(&data["lang"]),
        keyword,
        edit_of,
        rev: None,
        received_at: arrived_at,
        expires_at: None,
    };
    Ok(Write::Put(item.shortened()))
}

/// `{"id_str":...,"created_at":...,"text":...,"user":{"screen_name":...},"retweeted_status":{...}}`
pub fn decode_v1(tweet: &Value, arrived_at: DateTime<Utc>) -> Result<Write> {
    let id = id(&tweet["id_str"])
        .or_else(|| id(&tweet["id"]))
        .context("a tweet without an id")?;
    let user = &tweet["user"];
    let author = name(&user["screen_name"])
        .or_else(|| self::id(&user["id_str"]))
        .or_else(|| self::id(&user["id"]));
    let text = whole_text(text_v1(tweet), text_v1(&tweet["retweeted_status"]));
    let created_at = tweet["created_at"]
        .as_str()
        .and_then(|at| DateTime::parse_from_str(at, V1_TIME).ok())
        .map(|at| at.to_utc());
    let item = Item {
        timestamp: created_at
            .or_else(|| time_of(&id))
            .map_or(arrived_at, |at| at.min(arrived_at)),
        key: Key::x(author.as_ref().unwrap_or(&id), &id)?,
        message: text.context("a tweet without a text")?,
        source: Source::X,
        lang: detail(&tweet["lang"]),
        keyword: None,
        edit_of: None,
        rev: None,
        received_at: arrived_at,
        expires_at: None,
    };
    Ok(Write::Put(item.shortened()))
}

/// The elements, if it is an array.
fn elements(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// The longest text of a post.
fn text_v2(post: &Value) -> Option<&str> {
    let places = [
        &post["note_tweet"]["text"],
        &post["note_post"]["text"],
        &post["text"],
    ];
    places.into_iter().find_map(Value::as_str)
}

/// The longest text of a tweet.
fn text_v1(tweet: &Value) -> Option<&str> {
    let places = [
        &tweet["extended_tweet"]["full_text"],
        &tweet["full_text"],
        &tweet["text"],
    ];
    places.into_iter().find_map(Value::as_str)
}

/// The text as its author wrote it. The text of a retweet is `RT @name: ` and the original post's text,
/// which X cuts to 140 characters in the retweet itself.
fn whole_text(own: Option<&str>, retweeted: Option<&str>) -> Option<String> {
    let Some(retweeted) = retweeted else {
        return own.map(unescape);
    };
    let name = own
        .and_then(|own| own.strip_prefix("RT @")?.split_once(": "))
        .map(|(name, _)| name)
        .filter(|name| !name.contains(' '));
    Some(match name {
        Some(name) => format!("RT @{name}: {}", unescape(retweeted)),
        None => unescape(retweeted),
    })
}

/// A username. One that looks like Bluesky's is refused.
fn name(value: &Value) -> Option<String> {
    detail(value).filter(|name| !is_did(name))
}

/// An id, which can also be a JSON number: all its digits are kept.
fn id(value: &Value) -> Option<String> {
    value
        .as_u64()
        .map(|id| id.to_string())
        .or_else(|| detail(value))
        .filter(|id| is_number(id))
}

/// When the post with this id was made.
fn time_of(id: &str) -> Option<DateTime<Utc>> {
    let id = id.parse().ok().filter(|&id: &u64| id > LAST_COUNTED_ID)?;
    DateTime::from_timestamp_millis(i64::try_from(id >> 22).ok()? + ID_EPOCH_MS)
}

/// X escapes these three characters, and no others.
fn unescape(text: &str) -> String {
    text.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&amp;", "&")
}
