//! One line of the stream, read as far as this program needs it: who wrote the post, and its text
//! for the terminal.
//!
//! Field names are changing (`note_post` for `note_tweet`), fields are missing, and new kinds of
//! messages appear: what is not understood is no error as long as the line is a JSON object.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::source::lenient::{First, Text};
use crate::source::x::outcome::{self, ApiError};

/// What a line says.
#[derive(Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "it stands on the stack for one line; a box would be an allocation for each post"
)]
pub enum Message<'a> {
    /// A post.
    Post(Post<'a>),
    /// The stream is about to end.
    ApiError(ApiError),
    /// Something else.
    Other,
}

/// A post, borrowed from its line.
#[derive(Debug)]
pub struct Post<'a> {
    data: Data<'a>,
    users: First<User<'a>, 4>,
    rules: First<Rule<'a>, 8>,
}

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow, default)]
    data: Option<Data<'a>>,
    #[serde(borrow, default)]
    includes: Option<Includes<'a>>,
    #[serde(borrow, default)]
    matching_rules: Option<First<Rule<'a>, 8>>,
    #[serde(borrow, default)]
    errors: Option<&'a RawValue>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Data<'a> {
    #[serde(borrow)]
    id: Text<'a>,
    #[serde(borrow)]
    author_id: Text<'a>,
    #[serde(borrow)]
    text: Option<&'a RawValue>,
    #[serde(borrow)]
    note_tweet: Option<Note<'a>>,
    #[serde(borrow)]
    note_post: Option<Note<'a>>,
}

/// The whole text of a long post.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Note<'a> {
    #[serde(borrow)]
    text: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Includes<'a> {
    #[serde(borrow)]
    users: First<User<'a>, 4>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct User<'a> {
    #[serde(borrow)]
    id: Text<'a>,
    #[serde(borrow)]
    username: Text<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Rule<'a> {
    #[serde(borrow)]
    tag: Text<'a>,
}

/// Reads a line. An error is one that holds no JSON object.
pub fn parse(line: &[u8]) -> serde_json::Result<Message<'_>> {
    let line: Line<'_> = serde_json::from_slice(line)?;
    Ok(match (line.data, line.errors) {
        // A post may come with errors of its own: an author who cannot be shown, say.
        (Some(data), _) => Message::Post(Post {
            data,
            users: line.includes.unwrap_or_default().users,
            rules: line.matching_rules.unwrap_or_default(),
        }),
        (None, Some(errors)) => Message::ApiError(outcome::of_stream(errors.get())),
        (None, None) => Message::Other,
    })
}

impl Post<'_> {
    /// The author's name, else the author's number, else the post's own.
    pub fn partition_key(&self) -> &str {
        let author = &self.data.author_id;
        let named = self.users.0.iter().find(|user| user.id == *author);
        let keys = [
            named.map_or("", |user| &user.username),
            author,
            &self.data.id,
        ];
        keys.into_iter().find(|key| !key.is_empty()).unwrap_or("")
    }

    /// Whether a rule with this tag, or one X does not name, brought the post: rules of others
    /// bring posts, too.
    pub fn is_tagged(&self, tag: &str) -> bool {
        let mut tags = self.rules.0.iter().map(|rule| &*rule.tag);
        self.rules.0.is_empty() || tags.any(|has| has == tag || has.is_empty())
    }

    /// The whole text, as a person reads it.
    pub fn text(&self) -> Cow<'_, str> {
        let note = self
            .data
            .note_tweet
            .as_ref()
            .or(self.data.note_post.as_ref());
        note.and_then(|note| note.text)
            .or(self.data.text)
            .and_then(|raw| serde_json::from_str::<Text<'_>>(raw.get()).ok())
            .unwrap_or_default()
            .0
    }
}

#[cfg(test)]
mod tests;
