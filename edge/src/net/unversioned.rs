//! The part of ureq that may change in any minor release, imported in one place. Cargo.toml pins the minor release because of it.

pub use ureq::unversioned::resolver::{DefaultResolver, Resolver};
pub use ureq::unversioned::transport::{
    Buffers, ConnectProxyConnector, ConnectionDetails, Connector, Either, LazyBuffers, NextTimeout,
    TcpConnector, Transport, TransportAdapter, time,
};
