//! Which records wait, and what the threads of a spool share.

pub mod acked;
pub mod bitmap;
pub mod committer;
pub mod full;
pub mod ledger;
pub mod reader;
pub mod runs;
pub mod schedule;
pub mod state;
