//! Amazon Kinesis Data Streams, as far as a producer needs it: two calls, built by hand.
//!
//! [`request`] builds the body as [`wire`] writes it, [`pack`] packs posts into records, [`client`] makes one attempt, [`outcome`] says what the answer means for the records in it.

pub mod client;
pub mod outcome;
pub mod pack;
pub mod request;
pub mod wire;

/// Most records in one PutRecords.
pub const MAX_RECORDS: usize = 500;

/// Most bytes in one PutRecords: keys and data before base64.
pub const MAX_REQUEST_BYTES: usize = 5 << 20;

/// What an answer can mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Kinesis has the record.
    Delivered,
    /// The answer says that a record of this call can never be accepted: its partition key, its data or its size.
    Impossible,
    /// The call is refused as it is, and the answer does not say that one of its records is why: perhaps every call is.
    Refused,
    /// The record's shard takes no more for now.
    Throttled,
    /// It heals by itself: back off, send again.
    Retry,
    /// Mend what the signature is made of, then sign again.
    Renew(Renew),
    /// A person must mend the set-up: keep everything, try again slowly, say what to do.
    Hold,
}

/// What a signature is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renew {
    /// The credentials have expired or are not known.
    Credentials,
    /// The signature's time, or its key: a look at the server's clock tells which.
    Clock,
}
