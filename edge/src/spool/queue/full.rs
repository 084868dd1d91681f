//! Whether the spool is full, decided here alone, for the stage and for the card. What happens then (`--when-full`: drop the oldest, drop the new
//! one, wait) is the loop in `append.rs`.

use crate::spool::format::block::MAX_CURSOR;
use crate::spool::format::pack::Encoded;
use crate::spool::options::WhenFull;
use crate::spool::queue::state::State;

/// Blocks of the card kept free of admitted records, for the cursor and the padding of commits.
const SPARE_BLOCKS: u64 = 4;

impl State {
    /// Whether a record of `blocks` blocks can be kept without dropping another.
    pub(in crate::spool) fn has_room(&self, blocks: u64, when_full: WhenFull) -> bool {
        let fits_stage =
            self.stage.low_after(blocks) <= self.ledger.unsaved().max(self.stage.low());
        // What is admitted must find room on the card by its deadline, unless the oldest may go for it.
        let fits_card = when_full == WhenFull::DropOldest
            || self.card.as_ref().is_none_or(|card| {
                let used = card.tail - card.oldest + blocks + SPARE_BLOCKS;
                let fits = |staged| used + staged <= card.ring.blocks();
                // How much is staged takes a search: only near the end.
                fits(self.stage.ring().blocks())
                    || fits(self.stage.blocks_from(self.ledger.unsaved()))
            });
        fits_stage && fits_card
    }

    /// Whether a record is too large to pass through the stage, or for the card behind it.
    pub(in crate::spool) fn is_large(&self, record: &Encoded<'_>) -> bool {
        let blocks = record.blocks(MAX_CURSOR);
        let card = self.card.as_ref().map(|card| card.ring.blocks());
        blocks > self.stage.ring().blocks() / 2 || card.is_some_and(|card| blocks + 1 > card / 2)
    }
}
