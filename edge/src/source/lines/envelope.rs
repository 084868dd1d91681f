//! What a line travels in: `{"headwater":1,"id":ULID,"at":TIME,"from":HOST,"line":VALUE}`. TIME is
//! when it was read, by RFC 3339 in UTC with milliseconds; VALUE is the line itself where that is
//! JSON, else the line as a string.

use std::io::Write;
use std::time::SystemTime;

use serde_json::value::RawValue;

use super::id::{Ulid, unix_ms};

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

/// A time in milliseconds since 1970, written as `2026-01-15T10:35:00.123Z`.
struct Rfc3339(u64);

impl std::fmt::Display for Rfc3339 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (secs, ms) = (self.0 / 1000, self.0 % 1000);
        let (days, secs) = (secs / 86_400, secs % 86_400);
        let (year, month, day) = date(days);
        let (hour, minute, second) = (secs / 3600, secs / 60 % 60, secs % 60);
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z"
        )
    }
}

/// Year, month and day of a number of days since 1970, by the Gregorian calendar. Years are taken
/// to begin in March, so that the leap day ends one, and are counted in eras of 400, which all have
/// the same length.
fn date(days_since_1970: u64) -> (u64, u64, u64) {
    const DAYS_FROM_0000_03_01_TO_1970: u64 = 719_468;
    const ERA_DAYS: u64 = 146_097;
    let days = days_since_1970 + DAYS_FROM_0000_03_01_TO_1970;
    let (era, day_of_era) = (days / ERA_DAYS, days % ERA_DAYS);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    // Five months from March on have 153 days, and so have the next five.
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12 + 1;
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests;
