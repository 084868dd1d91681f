//! When the committer is due next, and what the card knows.

use std::time::Duration;

use crate::spool::format::block::{Cursor, Seq, Vblk};

/// How long after the spool was closed a record may wait in the stage alone.
pub(in crate::spool) const CLOSING: Duration = Duration::from_secs(1);

/// When the committer has something to do.
#[derive(Debug, Default)]
pub(in crate::spool) struct Schedule {
    /// How long the committer sleeps; `None` while it is at work.
    pub(in crate::spool) asleep: Option<Asleep>,
    /// Not before this time.
    pub(in crate::spool) not_before: Duration,
    /// A save begins this long before the deadline, by what saves have taken.
    pub(in crate::spool) lead: Duration,
    /// What the newest synced CURSOR says.
    pub(in crate::spool) known: Known,
    /// The head when the card was found full.
    pub(in crate::spool) full_at: Option<Seq>,
}

/// What the card knows.
#[derive(Clone, Debug, Default)]
pub(in crate::spool) struct Known {
    pub(in crate::spool) head: Seq,
    /// Of [`acked_on_card`](crate::spool::queue::ledger::Ledger::acked_on_card).
    pub(in crate::spool) acked: u64,
    pub(in crate::spool) cursor: Cursor,
    pub(in crate::spool) oldest: Vblk,
    pub(in crate::spool) at: Duration,
}

/// How a committer sleeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::spool) enum Asleep {
    /// Until something comes.
    Forever,
    /// Until a time, or half the stage waits.
    Until(Duration),
}

/// What is to be done now.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::spool) enum Due {
    Save,
    Sleep(Asleep),
    End,
}
