//! Skeleton.
pub mod record;
pub mod runtime;
pub mod spool;
pub mod state;
pub mod time;
