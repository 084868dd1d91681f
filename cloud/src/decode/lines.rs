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
#[derive(Deserialize)]
pub struct Envelope<'a> {
    headwater: u64,
    id: String,
    #[serde(default)]
    at: Value,
    from: String,
    /// As it was written: a number keeps all its digits.
    #[serde(borrow)]
    line: &'a RawValue,
}

impl<'a> Envelope<'a> {
    /// `None` if the record does not claim to be an envelope.
    pub fn parse(json: &'a str) -> Result<Option<Self>> {
        // Serde would take an array for the fields in their order, without their names.
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
    ensure!(
        envelope.headwater == VERSION,
        "a headwater line of version {}, where this function knows {VERSION}: deploy a newer one",
        envelope.headwater
    );
    let read_at = rfc3339(&envelope.at).unwrap_or(arrived_at);
    let json = envelope.line.get();
    let item = Item {
        key: Key::new(envelope.from, envelope.id)?,
        timestamp: read_at,
        message: serde_json::from_str(json).unwrap_or_else(|_| json.to_owned()),
        source: Source::Lines,
        lang: None,
        keyword: None,
        edit_of: None,
        received_at: read_at,
        expires_at: None,
    };
    Ok(Write::Put(item.shortened()))
}
