//! A record's bytes -> the change it makes to the table, or the reason why it makes none. Pure.
//!
//! | shape | told by | `Username` | `Id` | `Message` |
//! |---|---|---|---|---|
//! | headwater line | `headwater` | `from` | `id` | `line`: a text as it is, else its JSON |
//! | Jetstream | `did` and `kind` | `did` | `rkey` | `record.text` |
//! | X v2 | `data` | the author's username | `data.id` | the long post's text, else `text` |
//! | X v1.1 | `user` | `screen_name` | `id_str` | the extended text, else `text` |
//!
//! A field the item needs must be there and of its type. Anything else of the wrong type counts
//! as missing: a source that changes a detail must not cost its posts. A retweet has the whole text of the
//! post it repeats, where that is in the record. A post that a board fetched later, to fill a gap, carries
//! no mark and becomes the same item: its row must not tell which way it came, or came first.

mod jetstream;
mod lines;
mod surrogates;
mod x;

use std::borrow::Cow;

use anyhow::{Context, Result, bail};
use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::item::Write;

/// The longest text taken as a language, a keyword or an id of a former version, in bytes.
const MAX_DETAIL_BYTES: usize = 1024;

const UNKNOWN: &str = "JSON that is no X post, no Jetstream event and no headwater line";

/// What a post's bytes change in the table: `None` for an event of a known kind that is no post.
///
/// `arrived_at` is when Kinesis took the record; it stands in for times the post lacks, and no time is
/// later than it.
///
/// # Errors
/// The reason why it can't be decoded, for the person who looks into it. It says what is wrong and
/// where, and quotes nothing of the post: it is logged.
pub fn decode(data: &[u8], arrived_at: DateTime<Utc>) -> Result<Option<Write>> {
    // One odd byte must not cost the post: it becomes U+FFFD. A byte order mark is no part of it.
    let text = String::from_utf8_lossy(data);
    let not_json = match text {
        Cow::Borrowed(_) => "not JSON",
        Cow::Owned(_) => "neither UTF-8 nor JSON",
    };
    let text = text.strip_prefix('\u{FEFF}').unwrap_or(&text);
    if text.trim_ascii().is_empty() {
        bail!("empty");
    }
    let text = surrogates::mend(text);
    if let Some(envelope) = lines::Envelope::parse(&text)? {
        return lines::decode(envelope, arrived_at).map(Some);
    }
    let event: Value = serde_json::from_str(&text).context(not_json)?;
    let Value::Object(fields) = &event else {
        bail!(UNKNOWN);
    };
    if fields.contains_key("did") && fields.contains_key("kind") {
        jetstream::decode(&event, arrived_at)
    } else if fields.contains_key("data") {
        x::decode_v2(&event, arrived_at).map(Some)
    } else if fields.contains_key("user") {
        x::decode_v1(&event, arrived_at).map(Some)
    } else if x::is_message(fields) {
        Ok(None)
    } else {
        bail!(UNKNOWN);
    }
}

/// A detail of a post: a text that is neither empty nor absurdly long.
fn detail(value: &Value) -> Option<String> {
    let text = value.as_str()?;
    (1..=MAX_DETAIL_BYTES)
        .contains(&text.len())
        .then(|| text.to_owned())
}

/// The time of an RFC 3339 text.
fn rfc3339(value: &Value) -> Option<DateTime<Utc>> {
    Some(DateTime::parse_from_rfc3339(value.as_str()?).ok()?.to_utc())
}
