//! What all connections are made of: TLS whose sessions outlive a connection, proxies, sockets, and the answers of HTTP.

pub mod answer;
pub mod meter;
pub mod proxy;
pub mod tcp;
pub mod tls;
pub(crate) mod unversioned;
