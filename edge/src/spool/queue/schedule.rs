//! When the committer writes next, and what is recorded on the card.

use std::time::Duration;

use crate::spool::format::block::{Cursor, Seq, Vblk};

/// How long a record may wait only in the stage after the spool was closed.
pub(in crate::spool) const CLOSING: Duration = Duration::from_secs(1);

/// What decides when the committer writes next.
#[derive(Debug, Default)]
pub(in crate::spool) struct Schedule {
    /// How long the committer sleeps; `None` while it is at work.
    pub(in crate::spool) asleep: Option<Asleep>,
    /// The card is not tried before this time.
    pub(in crate::spool) not_before: Duration,
    /// A save begins this long before the deadline, by the time that recent saves took.
    pub(in crate::spool) lead: Duration,
    /// The newest CURSOR that is synced.
    pub(in crate::spool) known: Known,
    /// The head when the card was found to be full.
    pub(in crate::spool) full_at: Option<Seq>,
}

/// What is recorded on the card.
#[derive(Clone, Debug, Default)]
pub(in crate::spool) struct Known {
    pub(in crate::spool) head: Seq,
    /// How many of [`acked_on_card`](crate::spool::queue::ledger::Ledger::acked_on_card).
    pub(in crate::spool) acked: u64,
    pub(in crate::spool) cursor: Cursor,
    pub(in crate::spool) oldest: Vblk,
    pub(in crate::spool) at: Duration,
}

/// How long the committer sleeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::spool) enum Asleep {
    /// Until it is woken.
    Forever,
    /// Until this time, or until records fill half the stage.
    Until(Duration),
}

/// What the committer has to do.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::spool) enum Due {
    Save,
    Sleep(Asleep),
    End,
}
