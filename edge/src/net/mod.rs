//! Connections: trusted roots, proxy, timeouts, and errors in words. They have three callers: Kinesis, the credentials, the sources.
//!
//! [`transport`] is the connection to Kinesis, reused from call to call: [`answer`] reads responses, [`meter`] measures what was sent and how long
//! nothing moved, [`tcp`] and [`tls`] carry the bytes. All other callers use an [`agent`] of ureq.

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
