//! Skeleton.
pub mod aws;
pub mod filter;
pub mod http;
pub mod record;
pub mod runtime;
pub mod source;
pub mod spool;
pub mod state;
pub mod status;
pub mod time;
