//! The bytes of a ring; no I/O.

pub mod acked;
pub mod block;
mod crc;
pub mod pack;
pub mod superblock;
