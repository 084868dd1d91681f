//! The format of a call: JSON, or CBOR (RFC 8949) with the same names, in which data needs no base64.
//!
//! A record's bytes are the same in every call, whatever stands before and after it:
//!
//! | | JSON | CBOR |
//! |---|---|---|
//! | a record | `"PartitionKey":"k","Data":"ZA=="}` | the key's and the data's names and values, without the map's head |
//! | between two | `,{` | the head of a map of two |
//! | after the last of many | `]}` | the break that ends the array |
//!
//! In CBOR maps have a known length; the array of records ends with a break, so that any number of records makes a body.

use std::borrow::Cow;

use base64_simd::STANDARD;
use minicbor::Decoder;

use crate::post::record::Record;

/// The format of requests and responses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wire {
    /// JSON, which every server that speaks Kinesis accepts.
    #[default]
    Json,
    /// CBOR, with a quarter less to hash, encrypt and send.
    Cbor,
}

/// What a record's text begins with in JSON.
const JSON_KEY: &[u8] = br#""PartitionKey":"#;

/// What it begins with in CBOR.
const CBOR_KEY: &[u8] = b"\x6cPartitionKey";

/// The longest text that stands behind a record, or between two.
pub const BETWEEN_BYTES: usize = 2;

/// Room for the member that names the record before.
const ORDERING: usize = 160;

/// CBOR's major types, in the place they have in a head.
const BYTES: u8 = 2 << 5;
const TEXT: u8 = 3 << 5;

impl Wire {
    /// The value of the `Content-Type` header.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/x-amz-json-1.1",
            Self::Cbor => "application/x-amz-cbor-1.1",
        }
    }

    /// What a body with this `Content-Type` is written in, where that is known.
    pub fn of(content_type: &str) -> Option<Self> {
        let kind = content_type.split(';').next().unwrap_or_default().trim();
        let ends = |word: &str| {
            let start = kind.len().checked_sub(word.len());
            start
                .and_then(|start| kind.get(start..))
                .is_some_and(|end| end.eq_ignore_ascii_case(word))
        };
        match () {
            () if ends("json") || ends("json-1.1") || ends("json-1.0") => Some(Self::Json),
            () if ends("cbor") || ends("cbor-1.1") => Some(Self::Cbor),
            () => None,
        }
    }

    /// Appends the text of a record.
    pub(super) fn push_record(self, record: Record<'_>, buffer: &mut Vec<u8>) {
        match self {
            Self::Json => {
                buffer.extend_from_slice(JSON_KEY);
                push_json(record.partition_key, buffer);
                buffer.extend_from_slice(br#","Data":""#);
                STANDARD.encode_append(record.data, &mut *buffer);
                buffer.extend_from_slice(br#""}"#);
            }
            Self::Cbor => {
                buffer.extend_from_slice(CBOR_KEY);
                push_cbor(TEXT, record.partition_key.as_bytes(), buffer);
                buffer.extend_from_slice(b"\x64Data");
                push_cbor(BYTES, record.data, buffer);
            }
        }
    }

    /// The partition key of a record with this text.
    pub(super) fn partition_key(self, text: &[u8]) -> Cow<'_, str> {
        // The text is one that `push_record` wrote.
        match self {
            Self::Json => {
                let key = text.get(JSON_KEY.len()..).unwrap_or_default();
                let mut texts =
                    serde_json::Deserializer::from_slice(key).into_iter::<Cow<'_, str>>();
                texts.next().and_then(Result::ok).unwrap_or_default()
            }
            Self::Cbor => {
                let key = text.get(CBOR_KEY.len()..).unwrap_or_default();
                Cow::Borrowed(Decoder::new(key).str().unwrap_or_default())
            }
        }
    }

    /// The stream's name as a member, with what stands behind it.
    pub(super) fn stream(self, name: &str) -> Vec<u8> {
        let mut text = Vec::new();
        match self {
            Self::Json => {
                text.extend_from_slice(br#""StreamName":"#);
                push_json(name, &mut text);
                text.push(b',');
            }
            Self::Cbor => {
                text.extend_from_slice(b"\x6aStreamName");
                push_cbor(TEXT, name.as_bytes(), &mut text);
            }
        }
        text
    }

    /// What stands around [`Self::stream`] in front of many records.
    pub(super) fn before_many(self) -> [&'static [u8]; 2] {
        match self {
            Self::Json => [b"{", br#""Records":[{"#],
            Self::Cbor => [b"\xa2", b"\x67Records\x9f\xa2"],
        }
    }

    /// What stands around [`Self::stream`] in front of one record; `after` is the number of the record before, or empty.
    pub(super) fn before_one(self, after: &str) -> (&'static [u8], heapless::Vec<u8, ORDERING>) {
        let length = u8::try_from(after.len()).unwrap_or_default();
        let (open, ordering): (&[u8], [&[u8]; 3]) = match self {
            Self::Json if after.is_empty() => (b"{", [b""; 3]),
            Self::Json => {
                let name = br#""SequenceNumberForOrdering":""#;
                (b"{", [name, after.as_bytes(), br#"","#])
            }
            Self::Cbor if after.is_empty() => (b"\xa3", [b""; 3]),
            Self::Cbor => {
                let name = b"\x78\x19SequenceNumberForOrdering";
                (b"\xa4", [name, &[TEXT | 24, length], after.as_bytes()])
            }
        };
        let mut member = heapless::Vec::new();
        for part in ordering {
            // There is room for the longest number, which has 128 digits.
            let _ = member.extend_from_slice(part);
        }
        (open, member)
    }

    /// What stands between two records of a body. As long as [`Self::tail`], so that the one can be written over the other.
    pub(super) fn between(self) -> &'static [u8] {
        match self {
            Self::Json => b",{",
            Self::Cbor => b"\xa2",
        }
    }

    /// What stands behind the last of many records.
    pub(super) fn tail(self) -> &'static [u8] {
        match self {
            Self::Json => b"]}",
            Self::Cbor => b"\xff",
        }
    }
}

/// Appends `text` as a string of JSON.
fn push_json(text: &str, buffer: &mut Vec<u8>) {
    // Writing a string into memory cannot fail.
    let _ = serde_json::to_writer(buffer, text);
}

/// Appends a string of CBOR, of `kind` bytes or text.
fn push_cbor(kind: u8, string: &[u8], buffer: &mut Vec<u8>) {
    let length = string.len().to_be_bytes();
    let [.., third, second, first, last] = length;
    match string.len() {
        0..24 => buffer.push(kind | last),
        24..0x100 => buffer.extend_from_slice(&[kind | 24, last]),
        0x100..0x1_0000 => buffer.extend_from_slice(&[kind | 25, first, last]),
        // A record is far shorter than 4 GiB.
        _ => buffer.extend_from_slice(&[kind | 26, third, second, first, last]),
    }
    buffer.extend_from_slice(string);
}
