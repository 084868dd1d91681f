//! Skeleton.
pub mod aws;
pub mod cli;
pub mod http;
pub mod kinesis;
pub mod record;
pub mod report;
pub mod run;
pub mod runtime;
pub mod source;
pub mod spool;
pub mod state;
pub mod status;
pub mod time;
pub mod uplink;
