//! The state of the thread that writes to the card.

use std::time::Duration;

use crate::spool::format::pack::Stamp;
use crate::spool::format::superblock::Super;
use crate::spool::media::card::Card;
use crate::spool::media::storage::Slot;
use crate::spool::walk::Walk;

/// The first pause before a card that failed is tried again. It doubles each time.
pub(in crate::spool) const RETRY: Duration = Duration::from_secs(5);

/// The lock of this is held by the thread that writes to the card.
#[derive(Debug)]
pub(in crate::spool) struct Committer {
    pub(in crate::spool) slot: Box<dyn Slot>,
    pub(in crate::spool) card: Disk,
    /// Reads the stage.
    pub(in crate::spool) walk: Walk,
    /// This opening, as every block names it.
    pub(in crate::spool) stamp: Stamp,
    /// The pause before a card that failed is tried again.
    pub(in crate::spool) pause: Duration,
}

/// The card's file, as the committer can use it.
#[derive(Debug)]
pub(in crate::spool) enum Disk {
    /// It can be written.
    Ready(Box<Card>),
    /// It is to be made, with this superblock. If true, the file in its place is kept, under another name.
    Make(Super, bool),
    /// It failed, and is to be opened again.
    Reopen,
    /// It must not be used: a newer program made it.
    Never,
}
