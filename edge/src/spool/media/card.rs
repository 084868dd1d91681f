//! The card as it is written: batches of records, each ended by a CURSOR and made safe by one sync.
//!
//! - A batch begins with a new block and its last block is padded: what is synced is never written again.
//! - A block is overwritten only when a *synced* CURSOR says that nothing in it is needed ([`Card::floor`]). So whatever a power
//!   cut does to the blocks being written, it hurts nothing that waits. One block is always left for that CURSOR.
//! - After an error nobody knows which blocks of the batch are on the medium. Their numbers are used up; the batch is written again
//!   in the blocks after them, under a `durable vblk` that still does not vouch for them.

use std::io;
use std::ops::Range;

use crate::post::record::LARGEST_RECORD_BYTES;
use crate::spool::format::block::{AckedBits, BLOCK, Cursor, FRAGMENT, HEADER, Seq, Vblk};
use crate::spool::format::pack::{Builder, Encoded, RecordCrc, Stamp};
use crate::spool::format::superblock::LARGE_BATCH;
use crate::spool::media::ring::Ring;
use crate::spool::recover::Recovered;

const _: () = assert!(
    LARGEST_RECORD_BYTES.div_ceil(BLOCK - HEADER - FRAGMENT) as u64 + 4 <= LARGE_BATCH,
    "the largest record, and the block that ends its batch"
);

/// Blocks written in one call.
const WRITE: usize = 8;

/// The writer of a card.
#[derive(Debug)]
pub struct Card {
    /// The file.
    pub ring: Ring,
    /// The block to be written next.
    pub tail: Vblk,
    /// The synced CURSOR needs nothing below this block.
    pub floor: Vblk,
    /// Below this number there may be records in blocks that were not synced. Until synced ones have them all, `durable vblk` stays
    /// behind: an opening that found fewer would give their numbers out again.
    reached: Seq,
    /// See [`Recovered::untangled_at`]: `durable vblk` stays behind until then too, so that the next opening finds what this one did.
    untangled_at: Seq,
    /// Bytes written since it was opened.
    pub written_bytes: u64,
    stamp: Stamp,
    builder: Builder,
    batch: Vec<u8>,
}

impl Card {
    /// Begins with block 0 of a ring without any.
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

    /// Goes on behind what was found. What is synced needs nothing below `floor`.
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

    /// Blocks that can be written now, if nothing below `floor` is needed any more; the one for a CURSOR alone is not counted.
    pub fn room(&self, floor: Vblk) -> u64 {
        (floor + self.ring.blocks() - 1).saturating_sub(self.tail)
    }

    /// Whether a CURSOR alone can be written, which lets go of all below block `oldest`: the last free block is for one that frees
    /// others.
    pub fn can_note(&self, oldest: Vblk) -> bool {
        match (self.floor + self.ring.blocks()).saturating_sub(self.tail) {
            0 => false,
            1 => oldest > self.floor,
            _ => true,
        }
    }

    /// Begins a batch whose first record is `seq`. All below `ack_seq` is let go.
    pub fn begin(&mut self, ack_seq: Seq, seq: Seq) {
        self.stamp.ack_seq = ack_seq;
        self.batch.clear();
        self.builder.begin(self.tail, seq);
    }

    /// Adds a record to the batch.
    pub fn put(&mut self, seq: Seq, record: &Encoded<'_>, crc: RecordCrc) -> io::Result<()> {
        self.reached = self.reached.max(seq + 1);
        let mut done = 0;
        loop {
            done = self.builder.push(seq, record, crc, done, 0);
            if done == record.len() {
                return Ok(());
            }
            self.close_block(None, (0, &[]), seq)?;
        }
    }

    /// Ends the batch with `cursor` and what is delivered above the head, and makes it safe. `acked` holds no number that is not on the
    /// card by then: after a power cut it would be given out again.
    pub fn commit(&mut self, cursor: &Cursor, acked: AckedBits<'_>) -> io::Result<()> {
        if !self.builder.has_room_for(cursor, acked) {
            self.close_block(None, (0, &[]), cursor.card_next)?;
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

/// The lowest block from `from` on, below `tail`, that is live, and its first record; `None` if none is.
pub fn first_live(ring: &Ring, from: Vblk, tail: Vblk) -> Option<(Vblk, Seq)> {
    let mut bytes = [0; BLOCK];
    (from..tail).find_map(|vblk| {
        ring.load(vblk, &mut bytes)
            .map(|block| (vblk, block.header.first_seq))
    })
}

/// A block between `from` and `tail` from which reading on meets record `seq`, and not long before.
pub fn locate(ring: &Ring, from: Vblk, tail: Vblk, seq: Seq) -> Vblk {
    let (mut low, mut high) = (from, tail);
    while high > low + 1 {
        let middle = low + (high - low) / 2;
        match first_live(ring, middle, high) {
            Some((vblk, first)) if first <= seq => low = vblk,
            // what cannot be read does not tell: it is passed over in reading
            _ => high = middle,
        }
    }
    low
}

/// The whole blocks around `vblk` and the numbers of the records that start in each: a batch that failed is written again behind
/// itself, so that one copy of a record may be whole where the other is not.
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

/// How many numbers from `head` up to `to`, none of them `acked`, were skipped when the blocks from `from` to `end` were written: a gap between two whole
/// blocks that follow each other.
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
