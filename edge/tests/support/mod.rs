//! What several test programs share. Each uses its own part.
#![allow(dead_code)]

pub mod kinesis;
pub mod tls;
