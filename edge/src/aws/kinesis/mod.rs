//! Amazon Kinesis Data Streams, as far as a producer needs it: PutRecord and PutRecords, without an SDK.
//!
//! [`request`] builds the body in a format of [`wire`], [`pack`] packs posts into records, [`client`] makes one call, [`outcome`] says what the
//! response means for the records in it.

pub mod client;
pub mod outcome;
pub mod pack;
pub mod request;
pub mod wire;

/// The most records in one PutRecords.
pub const MAX_RECORDS: usize = 500;

/// The most bytes in one PutRecords: keys and data before base64.
pub const MAX_REQUEST_BYTES: usize = 5 << 20;

/// What a response means for a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Kinesis has acknowledged the record.
    Delivered,
    /// A record of this call can never be accepted, because of its partition key, its data or its size.
    Impossible,
    /// The call is refused, and the response does not blame a record. Perhaps every call is refused.
    Refused,
    /// The record's shard is at its limit for this second.
    Throttled,
    /// A temporary failure: back off, send again.
    Retry,
    /// Renew the credentials or the clock's offset, then sign again.
    Renew(Renew),
    /// A person must correct the set-up: keep everything, retry slowly, say what to do.
    Hold,
}

/// What to renew before signing again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renew {
    /// The credentials have expired or are unknown.
    Credentials,
    /// The signature's time, or else its key: the server's clock tells which.
    Clock,
}
