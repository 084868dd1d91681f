//! Bluesky posts, as Jetstream sends them.

use anyhow::{Context, Result, bail};
use chrono::{DateTime, Utc};
use serde_json::Value;

use super::{detail, rfc3339};
use crate::item::{Item, Key, Source, Tombstone, Write};

const POSTS: &str = "app.bsky.feed.post";

/// A created or updated post is stored, a deleted one is removed. Events about accounts, identities and
/// other collections are not posts.
pub fn decode(event: &Value, arrived_at: DateTime<Utc>) -> Result<Option<Write>> {
    let commit = &event["commit"];
    let kind = text(&event["kind"], "a Jetstream event whose kind is no text")?;
    if kind != "commit" {
        return Ok(None);
    }
    let collection = text(
        &commit["collection"],
        "a Jetstream event without a collection",
    )?;
    if collection != POSTS {
        return Ok(None);
    }
    let did = text(&event["did"], "a Jetstream event whose did is no text")?;
    let rkey = text(&commit["rkey"], "a Jetstream event without an rkey")?;
    let key = Key::jetstream(did, rkey)?;
    let rev = commit["rev"].as_str().filter(|rev| is_rev(rev));
    // An event from the future would head every list for ever.
    let seen_at = event["time_us"]
        .as_i64()
        .and_then(DateTime::from_timestamp_micros)
        .map_or(arrived_at, |at| at.min(arrived_at));
    let write = match commit["operation"].as_str() {
        Some("create" | "update") => Write::Put(post(key, rev, &commit["record"], seen_at)?),
        Some("delete") => Write::Delete(Tombstone {
            key,
            rev: rev.map(str::to_owned),
            deleted_at: seen_at,
            expires_at: None,
        }),
        _ => bail!("a Jetstream event of an unknown operation"),
    };
    Ok(Some(write))
}

fn text<'a>(value: &'a Value, otherwise: &'static str) -> Result<&'a str> {
    value.as_str().context(otherwise)
}

/// Whether it is a TID: 13 base-32 digits, whose alphabetical order is the order in time.
fn is_rev(rev: &str) -> bool {
    rev.len() == 13
        && rev
            .bytes()
            .all(|byte| matches!(byte, b'2'..=b'7' | b'a'..=b'z'))
}

fn post(key: Key, rev: Option<&str>, record: &Value, seen_at: DateTime<Utc>) -> Result<Item> {
    let message = text(&record["text"], "a Jetstream post without a text")?;
    // The author's own clock may be wrong, too. Bluesky sorts by the same rule.
    let timestamp = rfc3339(&record["createdAt"]).map_or(seen_at, |created| created.min(seen_at));
    let item = Item {
        key,
        timestamp,
        message: message.to_owned(),
        source: Source::Jetstream,
        lang: detail(&record["langs"][0]),
        keyword: None,
        edit_of: None,
        rev: rev.map(str::to_owned),
        received_at: seen_at,
        expires_at: None,
    };
    Ok(item.shortened())
}
