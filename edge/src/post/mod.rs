//! One post: the record it becomes, and whether it is wanted.

pub mod filter;
pub mod record;
