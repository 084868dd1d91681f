//! The items that are stored, one for each post, and their limits in DynamoDB.

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
/// The most bytes of `ExpiresAt`: its name, and a number of up to 38 digits.
const EXPIRES_AT_BYTES: usize = "ExpiresAt".len() + 21;

/// One change to the table.
#[derive(Clone, Debug, PartialEq)]
pub enum Write {
    /// Store the post, over an older version of itself where there is one.
    Put(Item),
    /// The author deleted the post: a tombstone takes its place.
    Delete(Tombstone),
}

impl Write {
    /// The key of the item that changes.
    pub fn key(&self) -> &Key {
        match self {
            Write::Put(item) => &item.key,
            Write::Delete(tombstone) => &tombstone.key,
        }
    }

    /// What is stored under the key.
    pub fn attributes(&self) -> HashMap<String, AttributeValue> {
        match self {
            Write::Put(item) => item.attributes(),
            Write::Delete(tombstone) => tombstone.attributes(),
        }
    }

    /// The order of the versions of one post, where the source tells it: a version must not take the
    /// place of a later one. A version of unknown order is the earliest. `None` if a post has one
    /// version only.
    pub fn version(&self) -> Option<&str> {
        let rev = match self {
            Write::Put(item) if item.source != Source::Jetstream => return None,
            Write::Put(item) => &item.rev,
            Write::Delete(tombstone) => &tombstone.rev,
        };
        Some(rev.as_deref().unwrap_or_default())
    }

    /// Sets when DynamoDB may drop the item; never if `None`.
    pub fn expire(&mut self, at: Option<DateTime<Utc>>) {
        match self {
            Write::Put(item) => item.expires_at = at,
            Write::Delete(tombstone) => tombstone.expires_at = at,
        }
    }
}

/// What remains of a deleted post: none of its text, but enough that a late repeat does not bring it back.
/// It expires when a post that arrived with it would. Without `Source` and `Timestamp` it is in no index.
#[derive(Clone, Debug, PartialEq)]
pub struct Tombstone {
    /// `Username` and `Id`.
    pub key: Key,
    /// `Rev`: as of the post.
    pub rev: Option<String>,
    /// `DeletedAt`: when the board, or else Kinesis, heard of it.
    pub deleted_at: DateTime<Utc>,
    /// `ExpiresAt`.
    pub expires_at: Option<DateTime<Utc>>,
}

impl Tombstone {
    fn attributes(&self) -> HashMap<String, AttributeValue> {
        let mut attributes = self.key.attributes();
        let mut string = |name: &str, value: &str| {
            attributes.insert(name.to_owned(), AttributeValue::S(value.to_owned()));
        };
        string("DeletedAt", &iso(self.deleted_at));
        if let Some(rev) = &self.rev {
            string("Rev", rev);
        }
        expiry(self.expires_at, &mut attributes);
        attributes
    }
}

/// `ExpiresAt`, if there is one.
fn expiry(at: Option<DateTime<Utc>>, attributes: &mut HashMap<String, AttributeValue>) {
    if let Some(at) = at {
        let seconds = at.timestamp().to_string();
        attributes.insert("ExpiresAt".to_owned(), AttributeValue::N(seconds));
    }
}

/// The primary key. It is made of the post alone, so that a repeated delivery is the same item.
///
/// The keys of each source live apart, so that no event of one source changes or deletes a post of
/// another:
///
/// | source | `Username` | `Id` |
/// |---|---|---|
/// | Jetstream | begins with `did:` | any |
/// | X | does not | 1 to 20 digits |
/// | lines | does not | anything else |
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    username: String,
    id: String,
}

impl Key {
    /// The key of a Jetstream post.
    ///
    /// # Errors
    /// As all three: if it would be another source's, or DynamoDB would not take it.
    pub fn jetstream(did: &str, rkey: &str) -> Result<Self> {
        ensure!(is_did(did), "the author is no DID");
        Self::new(did, rkey)
    }

    /// The key of a post of X.
    ///
    /// # Errors
    /// As above.
    pub fn x(username: &str, id: &str) -> Result<Self> {
        ensure!(!is_did(username), "the author's name begins as a DID does");
        ensure!(is_number(id), "the id is no number");
        Self::new(username, id)
    }

    /// The key of a line.
    ///
    /// # Errors
    /// As above.
    pub fn line(from: &str, id: &str) -> Result<Self> {
        ensure!(!is_did(from), "the host's name begins as a DID does");
        ensure!(!is_number(id), "the id is a number, as ids of X are");
        Self::new(from, id)
    }

    fn new(username: &str, id: &str) -> Result<Self> {
        ensure!(!username.is_empty(), "the author's name is empty");
        ensure!(!id.is_empty(), "the id is empty");
        ensure!(
            username.len() <= MAX_USERNAME_BYTES,
            "the author's name has more than {MAX_USERNAME_BYTES} bytes"
        );
        ensure!(
            id.len() <= MAX_ID_BYTES,
            "the id has more than {MAX_ID_BYTES} bytes"
        );
        Ok(Self {
            username: username.to_owned(),
            id: id.to_owned(),
        })
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

/// Whether an author's name is one of Bluesky's.
pub fn is_did(name: &str) -> bool {
    name.starts_with("did:")
}

/// Whether an id can be one of X's: a 64-bit number. A ULID that happens to have only digits is larger.
pub fn is_number(id: &str) -> bool {
    (1..=20).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_digit())
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
    /// `Rev`: the revision of the author's repository that has this version of the post. Jetstream only.
    pub rev: Option<String>,
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
        expiry(self.expires_at, &mut attributes);
        attributes
    }

    /// Cuts the message, and marks the cut, if the item would exceed DynamoDB's limit.
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
            ("Rev", detail(&self.rev)),
            ("ReceivedAt", Some(Cow::Owned(iso(self.received_at)))),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
    }
}

/// ISO 8601 in UTC, always with milliseconds, so that alphabetical order is the order in time.
pub fn iso(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}
