//! The envelope of a line: `{"headwater":1,"id":ULID,"at":TIME,"from":HOST,"line":VALUE}`. TIME is when the line was read, as in RFC 3339, in UTC with
//! milliseconds. VALUE is the line itself if it is JSON, else the line as a JSON string.

use std::io::Write;
use std::ops::Range;
use std::time::SystemTime;

use serde_json::value::RawValue;

use crate::platform::time::{Rfc3339, unix_ms};
use crate::post::record::MAX_RECORD_BYTES;
use crate::source::lines::id::Ulid;

/// The place of the id, which alone differs between envelopes of one millisecond.
const ID: Range<usize> = 21..21 + Ulid::CHARS;

/// Writes envelopes, all into one buffer.
#[derive(Debug)]
pub struct Envelope {
    /// The host's name as a JSON string.
    host: String,
    /// The last envelope. Its first `head` bytes, up to the value, are the same for every line of one millisecond.
    data: Vec<u8>,
    head: usize,
    unix_ms: u64,
    id: [u8; Ulid::CHARS],
}

/// An envelope with its line.
#[derive(Clone, Copy, Debug)]
pub struct Sealed<'a> {
    /// The envelope's bytes.
    pub data: &'a [u8],
    /// The id of the line.
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

    /// Puts `line` into an envelope. `json` is the line as JSON, if it is valid JSON.
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
                // Cannot fail, here and below: it writes to memory.
                let _ = serde_json::to_writer(&mut self.data, line);
            }
        }
        self.data.push(b'}');
        Sealed {
            data: &self.data,
            // Cannot fail: its characters are ASCII.
            id: std::str::from_utf8(&self.id).unwrap_or_default(),
        }
    }

    /// Writes the head of the envelopes of a millisecond, with an empty id.
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
