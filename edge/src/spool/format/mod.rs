//! The format of a ring: encoding and decoding, no I/O.

pub mod acked;
pub mod block;
mod crc;
pub mod pack;
pub mod superblock;
