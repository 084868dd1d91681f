//! One event of Jetstream, with the members that this program needs.

use serde::de::MapAccess;
use serde_json::value::RawValue;

use crate::source::lenient::{self, Maybe, Object, Text, skip, unescaped};

/// The collection of posts.
const POST: &str = "app.bsky.feed.post";

/// An event, borrowed from its message.
#[derive(Debug, Default)]
pub struct Event<'a> {
    /// The DID of the account.
    pub did: Text<'a>,
    /// When the server saw the event, in microseconds since 1970; 0 if it does not say.
    pub time_us: u64,
    commit: Maybe<Commit<'a>>,
}

/// A change to an account's records.
#[derive(Debug, Default)]
struct Commit<'a> {
    collection: Text<'a>,
    record: Maybe<Post<'a>>,
}

#[derive(Debug, Default)]
struct Post<'a> {
    text: Option<&'a RawValue>,
}

/// Reads a message.
///
/// # Errors
/// If it is not valid JSON.
pub fn parse(message: &str) -> serde_json::Result<Event<'_>> {
    lenient::object(message.as_bytes())
}

impl<'a> Object<'a> for Event<'a> {
    fn member<A: MapAccess<'a>>(&mut self, name: &str, members: &mut A) -> Result<(), A::Error> {
        match name {
            "did" => self.did = members.next_value()?,
            "time_us" => self.time_us = microseconds(members.next_value()?),
            "commit" => self.commit = members.next_value()?,
            _ => skip(members)?,
        }
        Ok(())
    }
}

impl<'a> Object<'a> for Commit<'a> {
    fn member<A: MapAccess<'a>>(&mut self, name: &str, members: &mut A) -> Result<(), A::Error> {
        match name {
            "collection" => self.collection = members.next_value()?,
            "record" => self.record = members.next_value()?,
            _ => skip(members)?,
        }
        Ok(())
    }
}

impl<'a> Object<'a> for Post<'a> {
    fn member<A: MapAccess<'a>>(&mut self, name: &str, members: &mut A) -> Result<(), A::Error> {
        match name {
            "text" => self.text = Some(members.next_value()?),
            _ => skip(members)?,
        }
        Ok(())
    }
}

/// A time, which may be a string and may have a fraction or an exponent; 0 if it is no number.
fn microseconds(json: &RawValue) -> u64 {
    let number = json.get().trim_matches('"');
    if number.contains(['e', 'E']) {
        return serde_json::from_str::<f64>(number).unwrap_or_default() as u64;
    }
    let whole = number.split('.').next().unwrap_or_default();
    whole.parse().unwrap_or_default()
}

impl<'a> Event<'a> {
    /// The text of the post, if the event is a new or changed post. It is borrowed, or written to `buffer`.
    pub fn post_text<'b>(&self, buffer: &'b mut String) -> Option<&'b str>
    where
        'a: 'b,
    {
        let commit = self.commit.0.as_ref()?;
        let record = commit.record.0.as_ref();
        let record = record.filter(|_| *commit.collection == *POST)?;
        Some(unescaped(record.text?.get(), buffer))
    }
}

#[cfg(test)]
mod tests;
