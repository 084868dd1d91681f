//! Amazon Kinesis Data Streams, as far as a producer needs it: two calls, built by hand.
//!
//! [`request`] builds the body, [`client`] makes one attempt over its [`connection`], [`outcome`] says what the answer means for the
//! records in it.

pub mod client;
mod connection;
pub mod outcome;
pub mod request;
