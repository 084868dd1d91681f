//! A record: one post, sensor reading or log line, as its source gave it.

use std::fmt;

/// The longest partition key that Kinesis accepts, in Unicode characters.
pub const MAX_KEY_CHARS: usize = 256;

/// The largest record that a stream accepts by default, in bytes: partition key and data together, before base64.
pub const MAX_RECORD_BYTES: usize = 1 << 20;

/// The largest that a stream can be told to take (`MaxRecordSizeInKiB`), counted the same.
pub const LARGEST_RECORD_BYTES: usize = 10 << 20;

/// One record on its way to the stream. It borrows its bytes from the source's buffer or from the spool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Decides the shard, and so which records stay in order: 1 to [`MAX_KEY_CHARS`] characters.
    pub partition_key: &'a str,
    /// The bytes as the source gave them.
    pub data: &'a [u8],
}

/// Why bytes cannot be a record of any stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// Key and data together have so many bytes, and the limit is so many.
    TooLarge(usize, usize),
    /// The partition key is empty.
    NoKey,
    /// The data is empty.
    NoData,
}

impl<'a> Record<'a> {
    /// A record that a stream with a limit of `max_bytes` a record can accept. A key that is too long is cut to its first [`MAX_KEY_CHARS`]
    /// characters.
    ///
    /// # Errors
    ///
    /// Key or data is empty, or both together are longer than `max_bytes`.
    pub fn new(partition_key: &'a str, data: &'a [u8], max_bytes: usize) -> Result<Self, Unfit> {
        let end = partition_key
            .char_indices()
            .nth(MAX_KEY_CHARS)
            .map_or(partition_key.len(), |(at, _)| at);
        let record = Self {
            partition_key: &partition_key[..end],
            data,
        };
        match record.len_bytes() {
            _ if partition_key.is_empty() => Err(Unfit::NoKey),
            _ if data.is_empty() => Err(Unfit::NoData),
            len if len > max_bytes => Err(Unfit::TooLarge(len, max_bytes)),
            _ => Ok(record),
        }
    }

    /// Bytes that count towards the stream's limits: key and data, before base64.
    pub fn len_bytes(&self) -> usize {
        self.partition_key.len() + self.data.len()
    }
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge(len, max) => write!(
                f,
                "{len} bytes; a record of the stream holds at most {max}{}",
                if *max < LARGEST_RECORD_BYTES {
                    " (--max-record-size, if the stream is set to take more)"
                } else {
                    ""
                }
            ),
            Self::NoKey => f.write_str("it has no partition key"),
            Self::NoData => f.write_str("it is empty"),
        }
    }
}

impl std::error::Error for Unfit {}
