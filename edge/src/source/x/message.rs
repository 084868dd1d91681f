//! One line of the stream, with the members that this program needs: the post's author, and its text for the terminal.
//!
//! X renames members (`note_post` for `note_tweet`), leaves some out, and adds new kinds of messages. So a line that is a JSON object is no error,
//! even if it is not understood: each post is billed, and none may be lost because of a member that is not needed.

use std::borrow::Cow;

use serde::de::MapAccess;
use serde_json::value::RawValue;

use crate::source::lenient::{self, First, Id, Maybe, Object, Text, skip};
use crate::source::x::outcome::{self, ApiError};

/// The partition key of a post that has neither an author nor an id.
const NO_KEY: &str = "x";

/// A line of the stream.
#[derive(Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "it is on the stack for one line; a box would be an allocation for each post"
)]
pub enum Message<'a> {
    /// A post.
    Post(Post<'a>),
    /// An error of X: the stream is about to end.
    ApiError(ApiError),
    /// A message of another kind.
    Other,
}

/// A post, borrowed from its line.
#[derive(Debug)]
pub struct Post<'a> {
    data: Data<'a>,
    users: Users<'a>,
    referenced: Referenced<'a>,
    rules: Rules<'a>,
}

type Users<'a> = First<Maybe<User<'a>>, 4>;
/// The posts that a post refers to: those it repeats, quotes or answers.
type Referenced<'a> = First<Maybe<Data<'a>>, 3>;
type Rules<'a> = First<Maybe<Rule<'a>>, 8>;

#[derive(Default)]
struct Line<'a> {
    data: Maybe<Data<'a>>,
    includes: Maybe<Includes<'a>>,
    matching_rules: Rules<'a>,
    errors: Option<&'a RawValue>,
}

#[derive(Debug, Default)]
struct Data<'a> {
    id: Id<'a>,
    author_id: Id<'a>,
    text: Option<&'a RawValue>,
    note_tweet: Maybe<Note<'a>>,
    note_post: Maybe<Note<'a>>,
    references: First<Maybe<Reference<'a>>, 3>,
}

/// A reference from a post to another one.
#[derive(Debug, Default)]
struct Reference<'a> {
    kind: Text<'a>,
    id: Id<'a>,
}

/// The whole text of a long post.
#[derive(Debug, Default)]
struct Note<'a> {
    text: Option<&'a RawValue>,
}

#[derive(Default)]
struct Includes<'a> {
    users: Users<'a>,
    posts: Referenced<'a>,
}

#[derive(Debug, Default)]
struct User<'a> {
    id: Id<'a>,
    username: Text<'a>,
}

#[derive(Debug, Default)]
struct Rule<'a> {
    tag: Text<'a>,
}

/// Reads a line.
///
/// # Errors
/// If it is not valid JSON.
pub fn parse(line: &[u8]) -> serde_json::Result<Message<'_>> {
    let line: Line<'_> = lenient::object(line)?;
    Ok(match (line.data.0, line.errors) {
        // A post may come with errors, for example about an author who cannot be shown.
        (Some(data), _) => {
            let includes = line.includes.0.unwrap_or_default();
            Message::Post(Post {
                data,
                users: includes.users,
                referenced: includes.posts,
                rules: line.matching_rules,
            })
        }
        (None, Some(errors)) => Message::ApiError(outcome::of_stream(errors.get())),
        (None, None) => Message::Other,
    })
}

impl<'a> Object<'a> for Line<'a> {
    fn member<A: MapAccess<'a>>(&mut self, name: &str, members: &mut A) -> Result<(), A::Error> {
        match name {
            "data" => self.data = members.next_value()?,
            "includes" => self.includes = members.next_value()?,
            "matching_rules" => self.matching_rules = members.next_value()?,
            "errors" => self.errors = members.next_value()?,
            _ => skip(members)?,
        }
        Ok(())
    }
}

impl<'a> Object<'a> for Data<'a> {
    fn member<A: MapAccess<'a>>(&mut self, name: &str, members: &mut A) -> Result<(), A::Error> {
        match name {
            "id" => self.id = members.next_value()?,
            "author_id" => self.author_id = members.next_value()?,
            "text" => self.text = Some(members.next_value()?),
            "note_tweet" => self.note_tweet = members.next_value()?,
            "note_post" => self.note_post = members.next_value()?,
            "referenced_tweets" | "referenced_posts" => self.references = members.next_value()?,
            _ => skip(members)?,
        }
        Ok(())
    }
}

impl<'a> Object<'a> for Note<'a> {
    fn member<A: MapAccess<'a>>(&mut self, name: &str, members: &mut A) -> Result<(), A::Error> {
        match name {
            "text" => self.text = Some(members.next_value()?),
            _ => skip(members)?,
        }
        Ok(())
    }
}

impl<'a> Object<'a> for Reference<'a> {
    fn member<A: MapAccess<'a>>(&mut self, name: &str, members: &mut A) -> Result<(), A::Error> {
        match name {
            "type" => self.kind = members.next_value()?,
            "id" => self.id = members.next_value()?,
            _ => skip(members)?,
        }
        Ok(())
    }
}

impl<'a> Object<'a> for Includes<'a> {
    fn member<A: MapAccess<'a>>(&mut self, name: &str, members: &mut A) -> Result<(), A::Error> {
        match name {
            "users" => self.users = members.next_value()?,
            "tweets" | "posts" => self.posts = members.next_value()?,
            _ => skip(members)?,
        }
        Ok(())
    }
}

impl<'a> Object<'a> for User<'a> {
    fn member<A: MapAccess<'a>>(&mut self, name: &str, members: &mut A) -> Result<(), A::Error> {
        match name {
            "id" => self.id = members.next_value()?,
            "username" => self.username = members.next_value()?,
            _ => skip(members)?,
        }
        Ok(())
    }
}

impl<'a> Object<'a> for Rule<'a> {
    fn member<A: MapAccess<'a>>(&mut self, name: &str, members: &mut A) -> Result<(), A::Error> {
        match name {
            "tag" => self.tag = members.next_value()?,
            _ => skip(members)?,
        }
        Ok(())
    }
}

impl Post<'_> {
    /// The author's user name, else the author's id, else the post's id. Never empty.
    pub fn partition_key(&self) -> &str {
        let author = &self.data.author_id;
        let mut users = self.users.0.iter().filter_map(|user| user.0.as_ref());
        let named = users.find(|user| user.id == *author);
        let keys = [
            named.map_or("", |user| &user.username),
            author,
            &self.data.id,
        ];
        keys.into_iter()
            .find(|key| !key.is_empty())
            .unwrap_or(NO_KEY)
    }

    /// Whether a rule with this tag matched the post. True also if X does not name the rules. Rules of other programs match posts, too.
    pub fn is_tagged(&self, tag: &str) -> bool {
        let mut rules = self.rules.0.iter();
        self.rules.0.is_empty()
            || rules.any(|rule| match &rule.0 {
                Some(rule) => rule.tag.is_empty() || *rule.tag == *tag,
                None => true,
            })
    }

    /// The post's id, if it is a number.
    pub fn id(&self) -> Option<u64> {
        self.data.id.parse().ok()
    }

    /// The whole text. For a retweet, that of the original post, because its own is truncated.
    pub fn text(&self) -> Cow<'_, str> {
        let repeated = self.repeated().map(Data::text);
        let own = || self.data.text();
        repeated.filter(|text| !text.is_empty()).unwrap_or_else(own)
    }

    /// The original post of a retweet, if it was sent along.
    fn repeated(&self) -> Option<&Data<'_>> {
        let mut references = self
            .data
            .references
            .0
            .iter()
            .filter_map(|one| one.0.as_ref());
        let retweeted = references.find(|one| &*one.kind == "retweeted")?;
        let mut posts = self.referenced.0.iter().filter_map(|post| post.0.as_ref());
        posts.find(|post| post.id == retweeted.id)
    }
}

impl Data<'_> {
    fn text(&self) -> Cow<'_, str> {
        let notes = [&self.note_tweet, &self.note_post].map(|note| note.0.as_ref()?.text);
        let texts = notes.into_iter().chain([self.text]).flatten();
        let mut texts = texts.filter(|json| json.get().starts_with('"'));
        texts.next().map(Text::of).unwrap_or_default().0
    }
}

#[cfg(test)]
mod tests;
