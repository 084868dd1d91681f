//! Connections: whom the board trusts, by which proxy it goes, how long it waits, and what went wrong, in words. One home for three
//! callers: Kinesis, the credentials, the sources.
//!
//! [`transport`] is the connection to Kinesis, kept from call to call: [`answer`] reads what comes, [`meter`] knows what left and for how
//! long, [`tcp`] and [`tls`] carry it. All others use an [`agent`] of ureq.

pub mod agent;
pub mod answer;
pub mod endpoint;
pub mod explain;
pub mod meter;
pub mod proxy;
pub mod roots;
pub mod tcp;
pub mod tls;
pub mod transport;
pub(crate) mod unversioned;
