//! What is stored: one item a post, and the size DynamoDB allows it.

use std::borrow::Cow;
use std::collections::HashMap;

use anyhow::{Result, ensure};
use aws_sdk_dynamodb::types::AttributeValue;
use chrono::{DateTime, SecondsFormat, Utc};

/// DynamoDB's limit on an item: the UTF-8 bytes of its attributes' names and values.
pub const MAX_ITEM_BYTES: usize = 400 * 1024;
/// DynamoDB's limit on the hash key, `Username`.
pub const MAX_USERNAME_BYTES: usize = 2048;
/// DynamoDB's limit on the range key, `Id`.
pub const MAX_ID_BYTES: usize = 1024;
/// What `ExpiresAt` takes at most: its name, and a number of up to 38 digits.
const EXPIRES_AT_BYTES: usize = "ExpiresAt".len() + 21;

/// One change to the table.
#[derive(Clone, Debug, PartialEq)]
pub enum Write {
    /// Store the post, over an older version of itself where there is one.
    Put(Item),
    /// The author deleted the post: take it out of the table.
    Delete(Key),
}

impl Write {
    /// The key of the item that changes.
    pub fn key(&self) -> &Key {
        match self {
            Write::Put(item) => &item.key,
            Write::Delete(key) => key,
        }
    }
}

/// The primary key. It is made of the post alone, so that a repeated delivery is the same item.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    username: String,
    id: String,
}

impl Key {
    /// Errors when DynamoDB would not take one of the two: empty or too long.
    pub fn new(username: impl Into<String>, id: impl Into<String>) -> Result<Self> {
        let key = Self {
            username: username.into(),
            id: id.into(),
        };
        ensure!(!key.username.is_empty(), "the author's name is empty");
        ensure!(!key.id.is_empty(), "the id is empty");
        ensure!(
            key.username.len() <= MAX_USERNAME_BYTES,
            "the author's name has more than {MAX_USERNAME_BYTES} bytes"
        );
        ensure!(
            key.id.len() <= MAX_ID_BYTES,
            "the id has more than {MAX_ID_BYTES} bytes"
        );
        Ok(key)
    }

    /// The key as DynamoDB's attributes.
    pub fn attributes(&self) -> HashMap<String, AttributeValue> {
        [("Username", &self.username), ("Id", &self.id)]
            .map(|(name, value)| (name.to_owned(), AttributeValue::S(value.clone())))
            .into()
    }

    /// The key of an item (or of a key) that DynamoDB sent back; `None` if it is not one of ours.
    pub fn from_attributes(attributes: &HashMap<String, AttributeValue>) -> Option<Self> {
        let string = |name| attributes.get(name)?.as_s().ok().cloned();
        Some(Self {
            username: string("Username")?,
            id: string("Id")?,
        })
    }
}

/// One post. The fields are the attributes of the stored item, by the same names.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// `Username` and `Id`.
    pub key: Key,
    /// `Timestamp`: when the post was written. The index by time sorts by it.
    pub timestamp: DateTime<Utc>,
    /// `Message`: the whole text, as its author reads it.
    pub message: String,
    /// `Source`: the hash key of the index by time.
    pub source: Source,
    /// `Lang`: the language, a BCP 47 tag.
    pub lang: Option<String>,
    /// `Keyword`: what the board was looking for.
    pub keyword: Option<String>,
    /// `EditOf`: the id of the post's first version, where this is a later one.
    pub edit_of: Option<String>,
    /// `ReceivedAt`: when it reached the board where the record says so, else Kinesis.
    pub received_at: DateTime<Utc>,
    /// `ExpiresAt`: when DynamoDB may drop the item; never if `None`.
    pub expires_at: Option<DateTime<Utc>>,
}

/// Where a post comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// X: the filtered stream of API v2, or a tweet of the older v1.1.
    X,
    /// Bluesky, by way of Jetstream.
    Jetstream,
    /// Lines of a file or of standard input.
    Lines,
}

impl Source {
    /// The name, as the board's `--source` has it.
    pub fn name(self) -> &'static str {
        match self {
            Source::X => "x",
            Source::Jetstream => "jetstream",
            Source::Lines => "lines",
        }
    }
}

impl Item {
    /// The item as DynamoDB's attributes.
    pub fn attributes(&self) -> HashMap<String, AttributeValue> {
        let mut attributes: HashMap<_, _> = self
            .strings()
            .map(|(name, value)| (name.to_owned(), AttributeValue::S(value.into_owned())))
            .collect();
        if let Some(at) = self.expires_at {
            let seconds = at.timestamp().to_string();
            attributes.insert("ExpiresAt".to_owned(), AttributeValue::N(seconds));
        }
        attributes
    }

    /// Cuts the message, and says so at its end, if the item would be over DynamoDB's limit.
    pub fn shortened(mut self) -> Self {
        let size: usize = self
            .strings()
            .map(|(name, value)| name.len() + value.len())
            .sum();
        let excess = (size + EXPIRES_AT_BYTES).saturating_sub(MAX_ITEM_BYTES);
        if excess > 0 {
            let mark = format!(
                "… [shortened: the whole text has {} bytes]",
                self.message.len()
            );
            let keep = self.message.len().saturating_sub(excess + mark.len());
            self.message
                .truncate(self.message.floor_char_boundary(keep));
            self.message.push_str(&mark);
        }
        self
    }

    /// When the board read the post, as nearly as the record tells. X sends a post within
    /// seconds of its creation; the other sources carry the time.
    pub fn read_at(&self) -> DateTime<Utc> {
        match self.source {
            Source::X => self.timestamp,
            Source::Jetstream | Source::Lines => self.received_at,
        }
    }

    fn strings<'a>(&'a self) -> impl Iterator<Item = (&'static str, Cow<'a, str>)> {
        let detail = |text: &'a Option<String>| text.as_deref().map(Cow::Borrowed);
        [
            ("Username", Some(Cow::Borrowed(self.key.username.as_str()))),
            ("Id", Some(Cow::Borrowed(self.key.id.as_str()))),
            ("Timestamp", Some(Cow::Owned(iso(self.timestamp)))),
            ("Message", Some(Cow::Borrowed(self.message.as_str()))),
            ("Source", Some(Cow::Borrowed(self.source.name()))),
            ("Lang", detail(&self.lang)),
            ("Keyword", detail(&self.keyword)),
            ("EditOf", detail(&self.edit_of)),
            ("ReceivedAt", Some(Cow::Owned(iso(self.received_at)))),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
    }
}

/// ISO 8601 in UTC, always with milliseconds: the order of the texts is the order of the times.
pub fn iso(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}
