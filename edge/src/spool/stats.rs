//! What a spool says of itself.

use std::time::{Duration, SystemTime};

use crate::spool::format::block::Seq;

/// What became of an appended record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Appended {
    /// It survives a crash of the program from now on.
    Kept(Seq),
    /// It was dropped, and counted: the spool is full and drops the newest, or the record is too large for it.
    Dropped,
    /// The spool is closed.
    Closed,
}

/// Where records go that are not acknowledged in time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Destination {
    /// To the card.
    #[default]
    Card,
    /// Nowhere yet: the card's file is being made, which takes a while for a large one.
    Making,
    /// Nowhere: the card cannot be used. Holds why.
    Memory(String),
}

/// What the spool holds and has seen.
#[derive(Clone, Debug, Default)]
pub struct Stats {
    /// Records waiting for their acknowledgement.
    pub waiting_records: u64,
    /// The room they take in stage and card, in bytes.
    pub waiting_bytes: u64,
    /// Records dropped because the spool was full, over its whole life.
    pub dropped: u64,
    /// Records offered over its whole life; those dropped at once included.
    pub appended: u64,
    /// Records acknowledged over its whole life.
    pub delivered: u64,
    /// Records lost with a damaged block of the card.
    pub media_lost: u64,
    /// Records lost to a power cut before they were synced, of which later ones survived.
    pub unsynced_lost: u64,
    /// Bytes the card has for records.
    pub capacity_bytes: u64,
    /// When the oldest waiting record was read, by the board's clock.
    pub oldest: Option<SystemTime>,
    /// Bytes written to the card since the start, the making of the file left out.
    pub flash_bytes: u64,
    /// Good syncs of the card since the start.
    pub syncs: u64,
    /// Where unacknowledged records go.
    pub place: Destination,
    /// How long the card has kept the writing of a batch waiting, if it does now.
    pub writing_for: Option<Duration>,
    /// How long a reader has been at work, if one is: it may wait for the card.
    pub reading_for: Option<Duration>,
}

impl Stats {
    /// Records that were read and will never arrive, over the spool's whole life.
    pub fn lost(&self) -> u64 {
        let lost = self.dropped.saturating_add(self.media_lost);
        lost.saturating_add(self.unsynced_lost)
    }
}
