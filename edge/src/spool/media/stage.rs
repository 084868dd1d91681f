//! The stage: the newest records, in RAM that outlives the process.
//!
//! - Each flush and each note writes the last block again, whole, with one system call: a kill does not tear a page of tmpfs. There is no sync:
//!   the kernel keeps what a killed program has written.
//! - Appended records are in the program's memory until the next flush. A reader of the stage flushes it first.
//! - Each block ends with a CURSOR of the records that are complete. So a kill in the middle of a record of several blocks leaves the position
//!   before the record, and the source reads it again.
//! - Records are without gaps from [`Stage::low`] to [`Stage::next`]. Appending overwrites the oldest ones: the caller must first check whether
//!   they are still needed ([`Stage::low_after`]).
//! - The stage does not fail: if its file does, the contents move to memory, and the log says so.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use log::warn;

use crate::platform::tmpfs;
use crate::spool::format::acked::AckedBits;
use crate::spool::format::block::{BLOCK, Cursor, FRAGMENT, MAX_CURSOR, Seq, Vblk};
use crate::spool::format::pack::{Builder, Encoded, RecordCrc, Stamp};
use crate::spool::format::superblock::Super;
use crate::spool::media::ring::Ring;
use crate::spool::media::storage::{Memory, Storage};

/// The ring of the newest records.
#[derive(Debug)]
pub struct Stage {
    ring: Ring,
    stamp: Stamp,
    tail: Builder,
    /// Whether `tail` holds records that are not in the file.
    dirty: bool,
    next: Seq,
    /// The first record of each block, by the block's place.
    first_seqs: Box<[Seq]>,
    /// Blocks below this number are not used any more.
    floor: Vblk,
}

impl Stage {
    /// A new stage in `storage`, which must hold zeros. The first record will be number `next`.
    pub fn create(storage: Arc<dyn Storage>, spec: Super, stamp: Stamp, next: Seq) -> Self {
        let ring = Ring::format(storage, spec).unwrap_or_else(|error| {
            warn_in_memory(&error);
            in_memory(spec)
        });
        Self {
            ring,
            stamp: Stamp {
                salt: spec.salt,
                ..stamp
            },
            tail: Builder::new(0, next),
            dirty: false,
            next,
            first_seqs: vec![next; spec.blocks as usize].into(),
            floor: 0,
        }
    }

    /// Appends the next record, and notes that all records below `ack_seq` are done. `before` is the cursor without the new record; the one with it
    /// has a position of `position_len` bytes. The record outlives the process from the next [`Self::flush`] on.
    pub fn append(
        &mut self,
        record: &Encoded<'_>,
        ack_seq: Seq,
        before: &Cursor,
        position_len: usize,
    ) {
        self.stamp.ack_seq = ack_seq;
        let seq = self.next;
        let crc = RecordCrc::of(seq, record);
        let reserved = reserved(before, position_len);
        let mut done = 0;
        loop {
            let from = done;
            done = self.tail.push(seq, record, crc, from, reserved);
            if from > 0 {
                // The block's first record is the next one.
                self.note_first_seq();
            }
            if done == record.len() {
                break;
            }
            if done > from || self.dirty {
                self.write_tail(before);
            }
            self.tail.begin(self.tail.vblk() + 1, seq);
            self.note_first_seq();
        }
        self.next = seq + 1;
        self.dirty = true;
    }

    /// How many more blocks `record` would take, with room in each for the cursors before and after it.
    pub fn blocks_for(&self, record: &Encoded<'_>, before: &Cursor, position_len: usize) -> u64 {
        self.tail.blocks_for(record, reserved(before, position_len))
    }

    /// Writes the records appended since the last flush to the file, with `cursor`.
    pub fn flush(&mut self, cursor: &Cursor) {
        if self.dirty {
            self.write_tail(cursor);
        }
    }

    /// Writes `cursor` to the file, and that all records below `ack_seq` are done.
    pub fn note(&mut self, ack_seq: Seq, cursor: &Cursor) {
        self.stamp.ack_seq = ack_seq;
        self.write_tail(cursor);
    }

    /// Writes to the file which records above the head are delivered. They are noted by number, so they may be written before or after the head.
    pub fn note_acked(&mut self, acked: AckedBits<'_>) {
        if let Err(error) = self.ring.write_acked(acked) {
            self.move_to_memory(&error);
            let _ = self.ring.write_acked(acked);
        }
    }

    /// Continues after record `seq`, which is on the card and was never in the stage. All before it must be on the card too.
    pub fn jump_over(&mut self, seq: Seq, cursor: &Cursor) {
        self.next = seq + 1;
        self.floor = self.tail.vblk() + 1;
        self.tail.begin(self.floor, self.next);
        self.note_first_seq();
        self.write_tail(cursor);
    }

    /// The oldest record that can be read here.
    pub fn low(&self) -> Seq {
        self.low_after(0)
    }

    /// The oldest record that can be read after `blocks` more blocks are written.
    pub fn low_after(&self, blocks: u64) -> Seq {
        let last = self.tail.vblk() + blocks;
        let oldest = (last + 1)
            .saturating_sub(self.ring.blocks())
            .max(self.floor);
        if oldest > self.tail.vblk() {
            return self.next;
        }
        self.first_seqs[(oldest % self.ring.blocks()) as usize]
    }

    /// The number of the next record.
    pub fn next(&self) -> Seq {
        self.next
    }

    /// How many blocks are in use, from the one where record `seq` begins.
    pub fn blocks_from(&self, seq: Seq) -> u64 {
        if seq >= self.next {
            return 0;
        }
        self.tail.vblk() + 1 - self.block_of(seq)
    }

    /// The block where record `seq` begins. `seq` must not be below [`Self::low`].
    pub fn block_of(&self, seq: Seq) -> Vblk {
        let blocks = self.ring.blocks();
        let (mut low, mut high) = (
            (self.tail.vblk() + 1)
                .saturating_sub(blocks)
                .max(self.floor),
            self.tail.vblk() + 1,
        );
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            if self.first_seqs[(middle % blocks) as usize] <= seq {
                low = middle;
            } else {
                high = middle;
            }
        }
        low
    }

    /// Fills `to` with the flushed blocks from `vblk` on, and returns how many: zero if they are not written yet, or overwritten.
    pub fn read(&self, vblk: Vblk, to: &mut [u8]) -> u64 {
        let behind = vblk + self.ring.blocks() <= self.tail.vblk();
        if vblk > self.tail.vblk() || behind {
            return 0;
        }
        let count = (self.tail.vblk() + 1 - vblk).min((to.len() / BLOCK) as u64);
        let filed = count.min(self.tail.vblk() - vblk);
        let (to, tail) = to.split_at_mut(filed as usize * BLOCK);
        let found = match filed {
            0 => 0,
            _ => self.ring.read(vblk, to).unwrap_or(0),
        };
        if found < filed || filed == count {
            return found;
        }
        // The newest block, which is read most often, is still in memory.
        tail[..BLOCK].copy_from_slice(self.tail.sealed());
        count
    }

    /// Moves to memory if the file was removed or truncated: the next start would not find what is written to it.
    pub fn look_after_file(&mut self) {
        if let Some(why) = self.ring.gone() {
            self.move_to_memory(&io::Error::other(why));
        }
    }

    /// The ring of the stage's file.
    pub fn ring(&self) -> &Ring {
        &self.ring
    }

    /// The least bytes of records that the stage holds before the first one is overwritten.
    pub fn capacity_bytes(&self) -> u64 {
        self.ring.blocks() * (BLOCK - MAX_CURSOR) as u64
    }

    fn note_first_seq(&mut self) {
        self.first_seqs[(self.tail.vblk() % self.ring.blocks()) as usize] = self.tail.first_seq();
    }

    fn write_tail(&mut self, cursor: &Cursor) {
        let vblk = self.tail.vblk();
        // This ring needs no sync.
        self.stamp.durable_vblk = vblk;
        self.dirty = false;
        let bytes = self.tail.seal(&self.stamp, Some(cursor));
        if let Err(error) = self.ring.write(vblk, bytes) {
            self.move_to_memory(&error);
            // Cannot fail: the memory is as long as the ring.
            let _ = self.ring.write(vblk, self.tail.sealed());
        }
    }

    fn move_to_memory(&mut self, error: &io::Error) {
        self.ring = copy_to_memory(&self.ring);
        warn_in_memory(error);
    }
}

/// Logs that the stage will not outlive the process, and what that means.
pub fn warn_in_memory(error: &io::Error) {
    warn!(
        "the newest records cannot be kept in a file in RAM ({error}): if the program crashes, they are lost"
    );
}

/// Logs why there is no file for the stage, and that a crash loses records younger than `within`.
pub fn warn_without_folder(within: Duration) {
    let why = tmpfs::folder().err();
    warn!(
        "there is no folder in RAM for the newest posts{}: if the program crashes, those younger than {within:?} are lost",
        why.map_or_else(String::new, |why| format!(" ({why})")),
    );
}

fn reserved(before: &Cursor, position_len: usize) -> usize {
    FRAGMENT + before.len().max(Cursor::len_with(position_len))
}

fn in_memory(spec: Super) -> Ring {
    Ring::new(Arc::new(Memory::new(Ring::len_bytes(spec.blocks))), spec)
}

fn copy_to_memory(ring: &Ring) -> Ring {
    let memory = in_memory(ring.spec());
    let mut bytes = [0; BLOCK];
    for place in 0..ring.blocks() {
        if ring.read(place, &mut bytes).is_ok() {
            let _ = memory.write(place, &bytes);
        }
    }
    memory
}
