//! Skeleton.
pub mod record;
pub mod runtime;
pub mod state;
pub mod time;
