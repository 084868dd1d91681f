//! What a line travels in: `{"headwater":1,"id":ULID,"at":TIME,"from":HOST,"line":VALUE}`. TIME is
//! when it was read, by RFC 3339 in UTC with milliseconds; VALUE is the line itself where that is
//! JSON, else the line as a string.

use std::io::Write;
use std::time::SystemTime;

use serde_json::value::RawValue;

use super::id::{Ulid, unix_ms};
use crate::time::Rfc3339;

/// Writes envelopes, each in the place of the one before it.
#[derive(Debug)]
pub struct Envelope {
    /// The host as JSON.
    host: String,
    data: Vec<u8>,
    id: [u8; Ulid::CHARS],
}

/// One line in its envelope.
#[derive(Clone, Copy, Debug)]
pub struct Sealed<'a> {
    /// The envelope's bytes.
    pub data: &'a [u8],
    /// The id in it.
    pub id: &'a str,
}

impl Envelope {
    /// Envelopes from `host`.
    pub fn new(host: &str) -> Self {
        Self {
            host: serde_json::Value::from(host).to_string(),
            data: Vec::new(),
            id: [0; Ulid::CHARS],
        }
    }

    /// Puts `line`, which is this `json` if it is any, into an envelope.
    pub fn seal(
        &mut self,
        line: &str,
        json: Option<&RawValue>,
        id: Ulid,
        now: SystemTime,
    ) -> Sealed<'_> {
        self.id = id.chars();
        // Its characters are ASCII.
        let id = std::str::from_utf8(&self.id).unwrap_or_default();
        let (at, host) = (Rfc3339(unix_ms(now)), &self.host);
        self.data.clear();
        // Writing to memory does not fail.
        let _ = write!(
            self.data,
            r#"{{"headwater":1,"id":"{id}","at":"{at}","from":{host},"line":"#
        );
        match json {
            Some(json) => self.data.extend_from_slice(json.get().as_bytes()),
            None => {
                let _ = serde_json::to_writer(&mut self.data, line);
            }
        }
        self.data.push(b'}');
        Sealed {
            data: &self.data,
            id,
        }
    }
}

#[cfg(test)]
mod tests;
