//! Writing the card: batches of records, each with a CURSOR at its end and one sync.
//!
//! - A batch begins with a new block, and its last block is padded: a synced block is never written again in the same lap.
//! - A block is overwritten only after a *synced* CURSOR says that nothing in it is needed ([`Card::floor`]). So a power cut during a write cannot
//!   damage a waiting record. One block is always kept free for that CURSOR.
//! - After an error it is unknown which blocks of the batch are on the medium. Their numbers are not used again: the batch is written to the
//!   blocks after them, with a `durable vblk` that still does not cover them.

use std::io;
use std::ops::Range;

use crate::post::record::LARGEST_RECORD_BYTES;
use crate::spool::format::acked::AckedBits;
use crate::spool::format::block::{BLOCK, Cursor, FRAGMENT, HEADER, Seq, Vblk};
use crate::spool::format::pack::{Builder, Encoded, RecordCrc, Stamp};
use crate::spool::format::superblock::LARGE_BATCH;
use crate::spool::media::ring::Ring;
use crate::spool::recover::Recovered;

const _: () = assert!(
    LARGEST_RECORD_BYTES.div_ceil(BLOCK - HEADER - FRAGMENT) as u64 + 4 <= LARGE_BATCH,
    "the largest record, and the block that ends its batch"
);

/// Blocks written with one system call.
const WRITE: usize = 8;

/// The writer of a card.
#[derive(Debug)]
pub struct Card {
    /// The card's file.
    pub ring: Ring,
    /// The next block to be written.
    pub tail: Vblk,
    /// By the last synced CURSOR, nothing below this block is needed.
    pub floor: Vblk,
    /// Unsynced blocks may hold records below this number. Until synced blocks hold them all, `durable vblk` does not grow: an opening that found
    /// fewer records would assign their numbers again.
    reached: Seq,
    /// See [`Recovered::untangled_at`]. Until then `durable vblk` does not grow either, so that the next opening finds what this one found.
    untangled_at: Seq,
    /// Bytes written since the card was opened.
    pub written_bytes: u64,
    stamp: Stamp,
    builder: Builder,
    batch: Vec<u8>,
}

impl Card {
    /// A card that begins with block 0 of an empty ring.
    pub fn new(ring: Ring, stamp: Stamp) -> Self {
        Self {
            stamp: Stamp {
                salt: ring.spec().salt,
                ..stamp
            },
            ring,
            tail: 0,
            floor: 0,
            reached: 0,
            untangled_at: 0,
            written_bytes: 0,
            builder: Builder::new(0, 0),
            batch: Vec::with_capacity(WRITE * BLOCK),
        }
    }

    /// A card that continues after what was found. By its last synced CURSOR, nothing below `floor` is needed.
    pub fn resume(ring: Ring, stamp: Stamp, found: &Recovered, floor: Vblk) -> Self {
        let stamp = Stamp {
            durable_vblk: found.durable_vblk,
            ..stamp
        };
        Self {
            tail: found.tail,
            floor,
            reached: found.next,
            untangled_at: found.untangled_at(),
            ..Self::new(ring, stamp)
        }
    }

    /// How many blocks can be written if nothing below `floor` is needed, without the one that is kept for a CURSOR.
    pub fn room(&self, floor: Vblk) -> u64 {
        (floor + self.ring.blocks() - 1).saturating_sub(self.tail)
    }

    /// Whether a CURSOR can be written that releases all blocks below `oldest`. The last free block is only for one that releases others.
    pub fn can_note(&self, oldest: Vblk) -> bool {
        match (self.floor + self.ring.blocks()).saturating_sub(self.tail) {
            0 => false,
            1 => oldest > self.floor,
            _ => true,
        }
    }

    /// Begins a batch whose first record is `seq`. All records below `ack_seq` are done.
    pub fn begin(&mut self, ack_seq: Seq, seq: Seq) {
        self.stamp.ack_seq = ack_seq;
        self.batch.clear();
        self.builder.begin(self.tail, seq);
    }

    /// Adds a record to the batch.
    ///
    /// # Errors
    /// If blocks cannot be written.
    pub fn put(&mut self, seq: Seq, record: &Encoded<'_>, crc: RecordCrc) -> io::Result<()> {
        self.reached = self.reached.max(seq + 1);
        let mut done = 0;
        loop {
            done = self.builder.push(seq, record, crc, done, 0);
            if done == record.len() {
                return Ok(());
            }
            self.close_block(None, AckedBits::default(), seq)?;
        }
    }

    /// Ends the batch with `cursor` and `acked`, the records delivered above the head, and syncs it. `acked` may hold only records that are on
    /// the card then: after a power cut the number of any other would be assigned again.
    ///
    /// # Errors
    /// If blocks cannot be written or synced. Then it is unknown which blocks of the batch are on the card.
    pub fn commit(&mut self, cursor: &Cursor, acked: AckedBits<'_>) -> io::Result<()> {
        if !self.builder.has_room_for(cursor, acked) {
            self.close_block(None, AckedBits::default(), cursor.card_next)?;
        }
        self.close_block(Some(cursor), acked, cursor.card_next)?;
        self.flush()?;
        self.ring.sync()?;
        let from = self
            .stamp
            .durable_vblk
            .max(self.tail - self.ring.spec().batch().min(self.tail));
        self.ring.forget(from, self.tail - from);
        if self.stamp.ack_seq >= self.untangled_at && cursor.card_next >= self.reached {
            self.stamp.durable_vblk = self.tail;
        }
        Ok(())
    }

    fn close_block(
        &mut self,
        cursor: Option<&Cursor>,
        acked: AckedBits<'_>,
        next: Seq,
    ) -> io::Result<()> {
        let bytes = self.builder.seal_with(&self.stamp, cursor, acked);
        self.batch.extend_from_slice(bytes);
        self.tail += 1;
        self.builder.begin(self.tail, next);
        if self.batch.len() == WRITE * BLOCK {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        let count = (self.batch.len() / BLOCK) as u64;
        self.written_bytes += self.batch.len() as u64;
        let result = self.ring.write(self.tail - count, &self.batch);
        self.batch.clear();
        result
    }
}

/// The first live block from `from` on, below `tail`, and its first record; `None` if there is none.
pub fn first_live(ring: &Ring, from: Vblk, tail: Vblk) -> Option<(Vblk, Seq)> {
    let mut bytes = [0; BLOCK];
    (from..tail).find_map(|vblk| {
        ring.load(vblk, &mut bytes)
            .map(|block| (vblk, block.header.first_seq))
    })
}

/// A block between `from` and `tail`, shortly before record `seq`, from which reading finds the record.
pub fn locate(ring: &Ring, from: Vblk, tail: Vblk, seq: Seq) -> Vblk {
    let (mut low, mut high) = (from, tail);
    while high > low + 1 {
        let middle = low + (high - low) / 2;
        match first_live(ring, middle, high) {
            Some((vblk, first)) if first <= seq => low = vblk,
            // Blocks that cannot be read are skipped in reading.
            _ => high = middle,
        }
    }
    low
}

/// The whole blocks around `vblk`, with the numbers of the records that start in each. A batch that failed is written again after itself, so one
/// copy of a record may be whole if the other is not.
pub fn starts_around(
    ring: &Ring,
    vblk: Vblk,
    tail: Vblk,
) -> impl Iterator<Item = (Vblk, Range<Seq>)> {
    let mut bytes = [0; BLOCK];
    let unsynced = ring.spec().unsynced();
    let around = vblk.saturating_sub(unsynced)..tail.min(vblk + unsynced);
    around.filter_map(move |vblk| {
        let block = ring.load(vblk, &mut bytes)?;
        Some((vblk, block.header.first_seq..block.after_starts()))
    })
}

/// Whether block `vblk`, which is damaged, had been synced: a later block of the same opening says so. Blocks of later openings do not count, because
/// a power cut may have damaged it before they were written.
pub fn was_synced(ring: &Ring, vblk: Vblk, tail: Vblk) -> bool {
    let mut bytes = [0; BLOCK];
    let mut opening = None;
    // The next batch begins within this many blocks, even if the damaged one was written twice.
    let after = vblk + 1..tail.min(vblk + 1 + ring.spec().unsynced());
    let headers = after.filter_map(|vblk| Some(ring.load(vblk, &mut bytes)?.header));
    headers
        .take_while(|header| {
            let of_this = (header.epoch, header.run);
            *opening.get_or_insert(of_this) == of_this
        })
        .any(|header| header.durable_vblk > vblk)
}

/// How many numbers from `head` to `to` were skipped when the blocks from `from` to `end` were written: those in gaps between two consecutive whole
/// blocks. `unacked_in` counts the numbers of a range that are not delivered.
pub fn skipped_between(
    ring: &Ring,
    from: Vblk,
    end: Vblk,
    head: Seq,
    to: Seq,
    unacked_in: &dyn Fn(Range<Seq>) -> u64,
) -> u64 {
    let mut bytes = [0; BLOCK];
    let mut expected = Some(head);
    let mut skipped = 0;
    for vblk in from..=end {
        let block = ring.load(vblk, &mut bytes);
        if let (Some(expected), Some(block)) = (expected, &block) {
            let gap_end: Seq = block.header.first_seq.min(to);
            skipped += unacked_in(head.max(expected)..gap_end);
        }
        expected = block.map(|block| block.after_starts());
    }
    skipped
}
