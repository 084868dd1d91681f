//! Who writes to the card, and what there is to write to.

use std::time::Duration;

use crate::spool::format::pack::Stamp;
use crate::spool::format::superblock::Super;
use crate::spool::media::card::Card;
use crate::spool::media::storage::Slot;
use crate::spool::walk::Walk;

/// The first pause before a card that failed is tried again; it doubles each time.
pub(in crate::spool) const RETRY: Duration = Duration::from_secs(5);

/// Who writes to the card holds this.
#[derive(Debug)]
pub(in crate::spool) struct Committer {
    pub(in crate::spool) slot: Box<dyn Slot>,
    pub(in crate::spool) card: Disk,
    /// Reads the stage.
    pub(in crate::spool) walk: Walk,
    /// This opening, for every block.
    pub(in crate::spool) stamp: Stamp,
    /// Pause before the next try, where the card failed.
    pub(in crate::spool) pause: Duration,
}

/// What there is to write to.
#[derive(Debug)]
pub(in crate::spool) enum Disk {
    /// The card.
    Ready(Box<Card>),
    /// Its file is to be made: what its superblock shall say, and whether what lies in its place is kept beside.
    Make(Super, bool),
    /// It failed; it is to be opened again.
    Reopen,
    /// Not for this program.
    Never,
}
