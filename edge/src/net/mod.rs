//! Connections: whom the board trusts, how long it waits, by which proxy it goes. One home for three callers: Kinesis, the credentials, the
//! sources.

pub mod agent;
pub mod transport;
