//! What waits, and what the threads of a spool share.

pub mod acked;
pub mod committer;
pub mod full;
pub mod ledger;
pub mod reader;
pub mod schedule;
pub mod state;
