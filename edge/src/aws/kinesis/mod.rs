//! Amazon Kinesis Data Streams, as far as a producer needs it: two calls, built by hand.
//!
//! [`request`] builds the body, [`client`] makes one attempt, [`outcome`] says what the answer means for the records in it.

pub mod client;
pub mod outcome;
pub mod request;
