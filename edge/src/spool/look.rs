//! Reading a spool without changing it, in use or not, without its lock, and on read-only media.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::platform::time::SystemClock;
use crate::spool::format::block::Vblk;
use crate::spool::media::ring::Ring;
use crate::spool::media::storage::{Locked, LookSlot, NoSlot, Slot};
use crate::spool::options::{Options, STAGE_BYTES, WhenFull};
use crate::spool::queue::state::Spool;

impl Spool {
    /// Opens the card at `card`, whose ring is `ring`, and its `stage`, as a start of the program would. Acknowledgements change only memory.
    ///
    /// # Errors
    /// None in practice: no lock is taken.
    pub(crate) fn look(card: &Path, stage: Option<&Path>, ring: &Ring) -> Result<Self, Locked> {
        let stage: Box<dyn Slot> = match stage {
            Some(path) => Box::new(LookSlot(path.to_owned())),
            None => Box::new(NoSlot),
        };
        let options = Options {
            card: card.to_owned(),
            stage: None,
            size_bytes: Ring::len_bytes(ring.blocks()),
            when_full: WhenFull::Block,
            durable_within: Duration::MAX,
        };
        let clock = Arc::new(SystemClock::default());
        Self::open_in(
            Box::new(LookSlot(card.to_owned())),
            stage,
            STAGE_BYTES,
            options,
            clock,
        )
    }

    /// The blocks of the card that are needed, from the oldest to the newest.
    pub(crate) fn card_span(&self) -> Range<Vblk> {
        let state = self.lock();
        state
            .card
            .as_ref()
            .map_or(0..0, |card| card.oldest..card.tail)
    }
}
