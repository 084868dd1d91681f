//! One post: its record, and whether the keyword wants it.

pub mod filter;
pub mod record;
