//! What several test programs share and what needs the crate under test; the rest is in the crate `testkit`. Each uses its own part.
#![allow(dead_code)]

pub mod board;
pub mod card;
pub mod delivery;
pub mod gap;
pub mod jetstream;
pub mod lines;
pub mod monitor;
pub mod posts;
pub mod source;
pub mod x;
