//! One event of Jetstream, read as far as this program needs it.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::source::lenient::{Text, unescaped};

/// The kind of record that is a post.
const POST: &str = "app.bsky.feed.post";

/// An event, borrowed from its message.
#[derive(Debug, Deserialize)]
pub struct Event<'a> {
    /// Who did it.
    #[serde(borrow, default)]
    pub did: Text<'a>,
    /// When the server saw it, in microseconds since 1970.
    pub time_us: u64,
    #[serde(borrow, default)]
    commit: Option<Commit<'a>>,
}

/// A change to someone's records.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Commit<'a> {
    #[serde(borrow)]
    collection: Text<'a>,
    #[serde(borrow)]
    record: Option<Post<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Post<'a> {
    #[serde(borrow)]
    text: Option<&'a RawValue>,
}

/// Reads a message. An error is one that holds no event.
pub fn parse(message: &str) -> serde_json::Result<Event<'_>> {
    serde_json::from_str(message)
}

impl<'a> Event<'a> {
    /// The text of the post that was written, if one was; a delete carries none. May be written to
    /// `buffer`.
    pub fn post_text<'b>(&self, buffer: &'b mut String) -> Option<&'b str>
    where
        'a: 'b,
    {
        let commit = self.commit.as_ref()?;
        let record = commit
            .record
            .as_ref()
            .filter(|_| *commit.collection == *POST)?;
        Some(unescaped(record.text?.get(), buffer))
    }
}

#[cfg(test)]
mod tests;
