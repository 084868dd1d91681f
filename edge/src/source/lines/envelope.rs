//! What a line travels in: `{"headwater":1,"id":ULID,"at":TIME,"from":HOST,"line":VALUE}`. TIME is
//! when it was read, by RFC 3339 in UTC with milliseconds; VALUE is the line itself where that is
//! JSON, else the line as a string.

use std::io::Write;
use std::ops::Range;
use std::time::SystemTime;

use serde_json::value::RawValue;

use crate::platform::time::Rfc3339;
use crate::post::record::MAX_RECORD_BYTES;
use crate::source::lines::id::{Ulid, unix_ms};

/// Where the id stands: it is all that differs between envelopes of one moment.
const ID: Range<usize> = 21..21 + Ulid::CHARS;

/// Writes envelopes, each in the place of the one before it.
#[derive(Debug)]
pub struct Envelope {
    /// The host as JSON.
    host: String,
    /// The last envelope: its first `head` bytes, up to the value, serve every line read in that millisecond.
    data: Vec<u8>,
    head: usize,
    unix_ms: u64,
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
        let mut envelope = Self {
            host: serde_json::Value::from(host).to_string(),
            data: Vec::new(),
            head: 0,
            unix_ms: 0,
            id: [b'0'; Ulid::CHARS],
        };
        envelope.begin(0);
        envelope
    }

    /// Puts `line`, which is this `json` if it is any, into an envelope.
    pub fn seal(
        &mut self,
        line: &str,
        json: Option<&RawValue>,
        id: Ulid,
        now: SystemTime,
    ) -> Sealed<'_> {
        let now_ms = unix_ms(now);
        if now_ms == self.unix_ms {
            self.data.truncate(self.head);
        } else {
            self.begin(now_ms);
        }
        self.id = id.chars();
        self.data[ID].copy_from_slice(&self.id);
        match json {
            Some(json) => self.data.extend_from_slice(json.get().as_bytes()),
            None => {
                // Writing to memory does not fail, here and below.
                let _ = serde_json::to_writer(&mut self.data, line);
            }
        }
        self.data.push(b'}');
        Sealed {
            data: &self.data,
            // Its characters are ASCII.
            id: std::str::from_utf8(&self.id).unwrap_or_default(),
        }
    }

    /// Writes the head of the envelopes of a moment; the id is filled in later.
    fn begin(&mut self, unix_ms: u64) {
        let (at, host) = (Rfc3339(unix_ms), &self.host);
        self.data.clear();
        self.data.shrink_to(MAX_RECORD_BYTES);
        let _ = write!(
            self.data,
            r#"{{"headwater":1,"id":"00000000000000000000000000","at":"{at}","from":{host},"line":"#
        );
        self.head = self.data.len();
        self.unix_ms = unix_ms;
    }
}

#[cfg(test)]
mod tests;
