//! The figures of a spool.

use std::time::{Duration, SystemTime};

use crate::spool::format::block::Seq;

/// What happened to an appended record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Appended {
    /// It has this number, and survives a crash of the program from now on.
    Kept(Seq),
    /// It was dropped and counted: the spool is full and drops the newest, or the record is too large.
    Dropped,
    /// It was not taken: the spool is closed.
    Closed,
}

/// Where records go that are not acknowledged by their deadline.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Destination {
    /// The card.
    #[default]
    Card,
    /// Memory, while the card's file is made. A large one takes a while.
    Making,
    /// Memory, because the card cannot be used; holds the reason.
    Memory(String),
}

/// What the spool holds and has counted.
#[derive(Clone, Debug, Default)]
pub struct Stats {
    /// Records waiting for their acknowledgement.
    pub waiting_records: u64,
    /// Bytes that they take in stage and card.
    pub waiting_bytes: u64,
    /// Records dropped because the spool was full, over its whole life.
    pub dropped: u64,
    /// Records offered over its whole life, including those that were dropped at once.
    pub appended: u64,
    /// Records acknowledged over its whole life.
    pub delivered: u64,
    /// Records lost with a damaged block of the card.
    pub media_lost: u64,
    /// Records lost by a power cut before they were synced, though later ones survived.
    pub unsynced_lost: u64,
    /// Bytes of the card that hold records.
    pub capacity_bytes: u64,
    /// When the oldest waiting record was read, by the board's clock.
    pub oldest: Option<SystemTime>,
    /// Bytes written to the card since the start, without those of making its file.
    pub flash_bytes: u64,
    /// Successful syncs of the card since the start.
    pub syncs: u64,
    /// Where unacknowledged records go.
    pub place: Destination,
    /// How long the batch that is being written has waited for the card; `None` if none is.
    pub writing_for: Option<Duration>,
    /// How long the current peek has taken, perhaps waiting for the card; `None` if there is none.
    pub reading_for: Option<Duration>,
}

impl Stats {
    /// Records that were read and will never be delivered, over the spool's whole life.
    pub fn lost(&self) -> u64 {
        let lost = self.dropped.saturating_add(self.media_lost);
        lost.saturating_add(self.unsynced_lost)
    }
}
