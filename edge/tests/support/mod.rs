//! What several test programs share. Each uses its own part.
#![allow(dead_code)]

pub mod card;
pub mod http;
pub mod kinesis;
pub mod lines;
pub mod monitor;
pub mod notify;
pub mod program;
pub mod proxy;
pub mod source;
pub mod tls;
pub mod x;
