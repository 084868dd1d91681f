//! Bluesky posts, as Jetstream sends them.

use anyhow::{Context, Result, bail};
use chrono::{DateTime, Utc};
use serde_json::Value;

use super::{detail, rfc3339};
use crate::item::{Item, Key, Source, Write};

const POSTS: &str = "app.bsky.feed.post";

/// A created or updated post is stored, a deleted one taken out: its author wants it gone.
/// Accounts, identities and other collections are no posts.
pub fn decode(event: &Value, arrived_at: DateTime<Utc>) -> Result<Option<Write>> {
    let commit = &event["commit"];
    if event["kind"] != "commit" || commit["collection"] != POSTS {
        return Ok(None);
    }
    let did = event["did"]
        .as_str()
        .context("a Jetstream event whose did is no text")?;
    let rkey = commit["rkey"]
        .as_str()
        .context("a Jetstream event without an rkey")?;
    let key = Key::new(did, rkey)?;
    let write = match commit["operation"].as_str() {
        Some("create" | "update") => Write::Put(post(key, event, arrived_at)?),
        Some("delete") => Write::Delete(key),
        _ => bail!("a Jetstream event of an unknown operation"),
    };
    Ok(Some(write))
}

fn post(key: Key, event: &Value, arrived_at: DateTime<Utc>) -> Result<Item> {
    let record = &event["commit"]["record"];
    let text = record["text"]
        .as_str()
        .context("a Jetstream post without a text")?;
    let seen_at = event["time_us"]
        .as_i64()
        .and_then(DateTime::from_timestamp_micros)
        .unwrap_or(arrived_at);
    // The author's own clock may be wrong, and a post from the future would head every list for
    // ever. Bluesky sorts by the same rule.
    let timestamp = rfc3339(&record["createdAt"]).map_or(seen_at, |created| created.min(seen_at));
    let item = Item {
        key,
        timestamp,
        message: text.to_owned(),
        source: Source::Jetstream,
        lang: detail(&record["langs"][0]),
        keyword: None,
        edit_of: None,
        received_at: seen_at,
        expires_at: None,
    };
    Ok(item.shortened())
}
