//! Whether the spool is full: the only place that decides it, for stage and card. What is done then (`--when-full`: drop the oldest, drop the new
//! one, wait) is the loop in `append.rs`.

use crate::spool::format::block::MAX_CURSOR;
use crate::spool::format::pack::Encoded;
use crate::spool::options::WhenFull;
use crate::spool::queue::state::State;

/// Blocks of the card that are kept free for cursors and for the padding of batches.
const SPARE_BLOCKS: u64 = 4;

impl State {
    /// Whether a record of `blocks` blocks can be added without dropping another.
    pub(in crate::spool) fn has_room(&self, blocks: u64, when_full: WhenFull) -> bool {
        let fits_stage =
            self.stage.low_after(blocks) <= self.ledger.unsaved().max(self.stage.low());
        // An admitted record must find room on the card by its deadline, unless the oldest may be dropped for it.
        let fits_card = when_full == WhenFull::DropOldest
            || self.card.as_ref().is_none_or(|card| {
                let used = card.tail - card.oldest + blocks + SPARE_BLOCKS;
                let fits = |staged| used + staged <= card.ring.blocks();
                // How much is staged takes a search: do it only when the card is nearly full.
                fits(self.stage.ring().blocks())
                    || fits(self.stage.blocks_from(self.ledger.unsaved()))
            });
        fits_stage && fits_card
    }

    /// Whether a record is too large for the stage, or for half of the card.
    pub(in crate::spool) fn is_large(&self, record: &Encoded<'_>) -> bool {
        let blocks = record.blocks(MAX_CURSOR);
        let card = self.card.as_ref().map(|card| card.ring.blocks());
        blocks > self.stage.ring().blocks() / 2 || card.is_some_and(|card| blocks + 1 > card / 2)
    }
}
