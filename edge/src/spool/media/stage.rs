//! The newest records, in RAM that outlives the process.
//!
//! - The last block is written anew at each flush and each note, whole, in one call: a page of tmpfs is old or new, never half.
//!   No sync: what the system has taken from a killed program it keeps.
//! - What is appended is in this program's memory until the next flush; whoever reads the stage flushes it first.
//! - Each block ends with a CURSOR as of the records complete by then. So a kill amid a record of several blocks leaves the
//!   position before it, and the source reads it again.
//! - Records stand without gaps from [`Stage::low`] to [`Stage::next`]. Appending overwrites the oldest; to ask first whether
//!   they are still needed ([`Stage::low_after`]) is the caller's part.
//! - It cannot fail: where the file does, its content moves to memory, and the log says so.

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
    /// The tail holds what its file does not.
    dirty: bool,
    next: Seq,
    /// The first record of each block still there.
    first_seqs: Box<[Seq]>,
    /// Blocks below this are done with.
    floor: Vblk,
}

impl Stage {
    /// A new stage in `storage`, of fresh zeros; the first record will be number `next`.
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

    /// Appends the next record, and notes that everything below `ack_seq` is let go. `before`: what rides along without it; with it,
    /// `position_len` bytes of position do. It outlives the process from the next [`Self::flush`] on.
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
            if done == record.len() {
                break;
            }
            if done > from || self.dirty {
                self.write_tail(before);
            }
            let next = self.tail.vblk() + 1;
            self.tail.begin(next, seq);
            self.first_seqs[(next % self.ring.blocks()) as usize] = seq;
        }
        self.next = seq + 1;
        self.dirty = true;
        self.first_seqs[(self.tail.vblk() % self.ring.blocks()) as usize] = self.tail.first_seq();
    }

    /// How many blocks more the next record would take, with room in each for what rides along before and after it.
    pub fn blocks_for(&self, record: &Encoded<'_>, before: &Cursor, position_len: usize) -> u64 {
        self.tail.blocks_for(record, reserved(before, position_len))
    }

    /// Brings to the file what was appended since the last flush; `cursor` rides along.
    pub fn flush(&mut self, cursor: &Cursor) {
        if self.dirty {
            self.write_tail(cursor);
        }
    }

    /// Notes that everything below `ack_seq` is let go, and `cursor`.
    pub fn note(&mut self, ack_seq: Seq, cursor: &Cursor) {
        self.stamp.ack_seq = ack_seq;
        self.write_tail(cursor);
    }

    /// Notes which records above the head are delivered. Numbers stand for themselves, so it does not matter which is written first, this or
    /// the head.
    pub fn note_acked(&mut self, acked: AckedBits<'_>) {
        if let Err(error) = self.ring.write_acked(acked) {
            self.move_to_memory(&error);
            let _ = self.ring.write_acked(acked);
        }
    }

    /// The card holds all there is, and record `seq`, which was never here: go on after it.
    pub fn jump_over(&mut self, seq: Seq, cursor: &Cursor) {
        self.next = seq + 1;
        self.floor = self.tail.vblk() + 1;
        self.tail.begin(self.floor, self.next);
        self.write_tail(cursor);
    }

    /// The oldest record that can still be read here.
    pub fn low(&self) -> Seq {
        self.low_after(0)
    }

    /// The oldest record that can still be read after `blocks` more are written.
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

    /// The next record's number.
    pub fn next(&self) -> Seq {
        self.next
    }

    /// Blocks in use from the one where record `seq` starts on.
    pub fn blocks_from(&self, seq: Seq) -> u64 {
        if seq >= self.next {
            return 0;
        }
        self.tail.vblk() + 1 - self.block_of(seq)
    }

    /// The block where record `seq` starts; `seq` is not below [`Self::low`].
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

    /// Fills `to` with the flushed blocks from `vblk` on; returns how many. Zero where there is none, or none any more.
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
        // The newest block, which is read most often, is still at hand.
        tail[..BLOCK].copy_from_slice(self.tail.sealed());
        count
    }

    /// Moves to memory if the file was removed, or cut short: who starts next would not find what is written to it.
    pub fn look_after_file(&mut self) {
        if let Some(why) = self.ring.gone() {
            self.move_to_memory(&io::Error::other(why));
        }
    }

    /// The ring, to tell its blocks by.
    pub fn ring(&self) -> &Ring {
        &self.ring
    }

    /// Bytes of records it takes before the first is overwritten, at least.
    pub fn capacity_bytes(&self) -> u64 {
        self.ring.blocks() * (BLOCK - MAX_CURSOR) as u64
    }

    fn write_tail(&mut self, cursor: &Cursor) {
        let vblk = self.tail.vblk();
        self.first_seqs[(vblk % self.ring.blocks()) as usize] = self.tail.first_seq();
        // in this ring nothing waits for a sync
        self.stamp.durable_vblk = vblk;
        self.dirty = false;
        let bytes = self.tail.seal(&self.stamp, Some(cursor));
        if let Err(error) = self.ring.write(vblk, bytes) {
            self.move_to_memory(&error);
            // memory of the ring's own length takes every block of it
            let _ = self.ring.write(vblk, self.tail.sealed());
        }
    }

    fn move_to_memory(&mut self, error: &io::Error) {
        self.ring = copy_to_memory(&self.ring);
        warn_in_memory(error);
    }
}

/// Says that the stage ends with the process, and what that means.
pub fn warn_in_memory(error: &io::Error) {
    warn!(
        "the stage cannot be kept in RAM that outlives the program ({error}): if the program crashes, its newest records are lost"
    );
}

/// Says that there is no file for the stage, why, and that a crash loses what is younger than `within`.
pub fn warn_without_folder(within: Duration) {
    let why = tmpfs::folder().err();
    warn!(
        "there is no folder in RAM to keep the newest posts in{}: if the program crashes, those younger than {within:?} are lost",
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
