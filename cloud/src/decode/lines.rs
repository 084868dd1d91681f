//! Lines of a file or of standard input, in the board's envelope.

use anyhow::{Context, Result, ensure};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::rfc3339;
use crate::item::{Item, Key, Source, Write};

/// The version of the envelope that this function knows.
const VERSION: u64 = 1;

/// `{"headwater":1,"id":ULID,"at":RFC 3339,"from":HOST,"line":VALUE}`
///
/// The fields may have any type here, so that the errors are this module's own: serde's would quote the
/// values.
#[derive(Deserialize)]
pub struct Envelope<'a> {
    headwater: Value,
    #[serde(default)]
    id: Value,
    #[serde(default)]
    at: Value,
    #[serde(default)]
    from: Value,
    /// As it was written: a number keeps all its digits.
    #[serde(borrow)]
    line: &'a RawValue,
}

impl<'a> Envelope<'a> {
    /// `None` if the record does not claim to be an envelope.
    pub fn parse(json: &'a str) -> Result<Option<Self>> {
        // Serde would accept an array as the fields in their order.
        if !json.trim_ascii_start().starts_with('{') {
            return Ok(None);
        }
        #[derive(Deserialize)]
        struct Marked {
            #[serde(default)]
            headwater: Value,
        }
        match serde_json::from_str(json) {
            Ok(Marked {
                headwater: Value::Null,
            })
            | Err(_) => Ok(None),
            Ok(_) => serde_json::from_str(json)
                .map(Some)
                .context("a headwater line"),
        }
    }
}

/// Stores the line under the host it comes from.
pub fn decode(envelope: Envelope, arrived_at: DateTime<Utc>) -> Result<Write> {
    let version = envelope
        .headwater
        .as_u64()
        .context("a headwater line whose version is no whole number")?;
    ensure!(
        version == VERSION,
        "a headwater line of version {version}, where this function knows {VERSION}: deploy a newer one"
    );
    let id = envelope
        .id
        .as_str()
        .context("a headwater line without an id")?;
    let from = envelope
        .from
        .as_str()
        .context("a headwater line without the host it is from")?;
    let json = envelope.line.get();
    // A board's clock may be ahead, and a line from the future would head every list for ever.
    let read_at = rfc3339(&envelope.at).map_or(arrived_at, |at| at.min(arrived_at));
    let item = Item {
        key: Key::line(from, id)?,
        timestamp: read_at,
        message: serde_json::from_str(json).unwrap_or_else(|_| json.to_owned()),
        source: Source::Lines,
        lang: None,
        keyword: None,
        edit_of: None,
        rev: None,
        received_at: read_at,
        expires_at: None,
    };
    Ok(Write::Put(item.shortened()))
}
