//! What several test programs share. Each uses its own part.
#![allow(dead_code)]

pub mod http;
pub mod kinesis;
pub mod program;
pub mod tls;
