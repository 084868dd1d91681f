//! Reading records block by block, whatever the blocks contain.
//!
//! - Every record returned was written as it is: the CRCs of block and record match, and the record's CRC covers its number. Only a reader that
//!   [carries CRCs on](Walk::carry_crcs) leaves that to the next one.
//! - Numbers may skip ahead at damaged blocks or at records that were left out, and may repeat where a batch was written twice. The caller
//!   decides what that means, with [`Walk::damage`].
//! - The walk has its own buffer: writes to the ring do not change a record that was read.

use crate::post::record::{MAX_RECORD_BYTES, Record};
use crate::spool::format::block::{
    BLOCK, Cursor, Fragment, HEADER, Header, Kind, Seq, Vblk, decode_record, is_record,
};
use crate::spool::format::pack::RecordCrc;
use crate::spool::media::ring::Ring;

/// A place between two records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Point {
    /// The number of the block.
    pub vblk: Vblk,
    /// Bytes from the block's beginning; 0 for its first fragment.
    offset: usize,
    seq: Seq,
}

impl Point {
    /// The beginning of block `vblk`.
    pub fn start_of(vblk: Vblk) -> Self {
        Self {
            vblk,
            ..Self::default()
        }
    }
}

/// A record, with what is stored beside it.
#[derive(Clone, Copy, Debug)]
pub struct Stored<'a> {
    /// The record's number.
    pub seq: Seq,
    /// When the source read it, in unix seconds by the board's clock.
    pub when: u32,
    /// The partition key and the data.
    pub record: Record<'a>,
    /// The CRC of the record and its number.
    pub crc: RecordCrc,
}

/// Damaged or missing blocks between two records.
#[derive(Clone, Copy, Debug)]
pub struct Damage {
    /// The last of the blocks.
    pub vblk: Vblk,
    /// Blocks below this number were synced when the next whole block was written; `None` if no whole block follows.
    pub durable_vblk: Option<Vblk>,
}

/// Fills a buffer with raw blocks from a number on, and returns how many: zero after the last, `Err` if they cannot be read.
pub trait Load: FnMut(Vblk, &mut [u8]) -> Result<u64, Unreadable> {}
impl<F: FnMut(Vblk, &mut [u8]) -> Result<u64, Unreadable>> Load for F {}

/// The medium returned an error.
#[derive(Clone, Copy, Debug)]
pub struct Unreadable;

/// A reader of records.
#[derive(Debug)]
pub struct Walk {
    ring: Ring,
    /// Whether CRCs are passed on unchecked.
    carries_crcs: bool,
    buffer: Box<[u8]>,
    /// The number of the buffer's first block, and how many blocks it holds.
    first: Vblk,
    count: u64,
    place: Point,
    /// The header of the block at `place`, after that was found to be live.
    header: Option<Header>,
    epoch: u32,
    damage: Option<Damage>,
    /// Errors in a row.
    unreadable: u64,
    /// The CRC of a record that continues in the next block. Its bytes so far are in `joined`.
    open: Option<u32>,
    joined: Vec<u8>,
    cursor: Option<(Seq, Cursor)>,
}

enum Bytes {
    /// In the buffer, in the current block.
    Here(usize, usize),
    Joined,
}

impl Walk {
    /// A reader of `ring` that reads `blocks` blocks at a time.
    pub fn new(ring: Ring, blocks: usize) -> Self {
        Self {
            ring,
            carries_crcs: false,
            buffer: vec![0; blocks * BLOCK].into(),
            first: 0,
            count: 0,
            place: Point::default(),
            header: None,
            epoch: 0,
            damage: None,
            unreadable: 0,
            open: None,
            joined: Vec::new(),
            cursor: None,
        }
    }

    /// Continues with `ring`.
    pub fn switch(&mut self, ring: &Ring) {
        self.carries_crcs = false;
        self.ring = ring.clone();
        self.count = 0;
    }

    /// From now on, until [`Self::switch`], checks no CRC: for a caller that stores the records with the CRCs they have, so that whoever reads them
    /// there finds what changed here too.
    pub fn carry_crcs(&mut self) {
        self.carries_crcs = true;
    }

    /// Continues at `place`, without what was learned before.
    pub fn seek(&mut self, place: Point) {
        self.place = place;
        self.header = None;
        self.epoch = 0;
        self.damage = None;
        self.unreadable = 0;
        self.open = None;
        self.cursor = None;
    }

    /// The place after the last record that was returned.
    pub fn place(&self) -> Point {
        self.place
    }

    /// The damage met since the last call.
    pub fn damage(&mut self) -> Option<Damage> {
        self.damage.take()
    }

    /// How many blocks in a row gave an error.
    pub fn unreadable(&self) -> u64 {
        self.unreadable
    }

    /// The last CURSOR passed, and the number of the record after it.
    pub fn cursor(&self) -> Option<&(Seq, Cursor)> {
        self.cursor.as_ref()
    }

    /// The next record; `None` at the end.
    pub fn next(&mut self, load: &mut impl Load) -> Option<Stored<'_>> {
        let (seq, crc, bytes) = self.advance(load)?;
        let bytes = match bytes {
            Bytes::Here(from, to) => &self.buffer[from..to],
            Bytes::Joined => &self.joined[..],
        };
        decode_record(bytes).map(|(when, record)| Stored {
            seq,
            when,
            record,
            crc,
        })
    }

    /// Whether record `seq` can be read from block `vblk` on.
    pub fn reaches(&mut self, seq: Seq, vblk: Vblk, load: &mut impl Load) -> bool {
        self.seek(Point::start_of(vblk));
        while let Some((found, ..)) = self.advance(load) {
            if found >= seq {
                return found == seq;
            }
        }
        false
    }

    fn advance(&mut self, load: &mut impl Load) -> Option<(Seq, RecordCrc, Bytes)> {
        loop {
            let Some(header) = self.header else {
                self.enter(load)?;
                continue;
            };
            let at = (self.place.vblk - self.first) as usize * BLOCK;
            let block: &[u8; BLOCK] = self.buffer.get(at..)?.first_chunk()?;
            let Some(fragment) = Fragment::decode(block, header.used, self.place.offset) else {
                self.leave();
                continue;
            };
            if self.place.offset == header.first_start {
                self.place.seq = header.first_seq;
            }
            self.place.offset = fragment.end;
            let seq = self.place.seq;
            let begins = matches!(fragment.kind, Kind::Full | Kind::First);
            if begins && self.open.take().is_some() {
                // The previous record does not continue as it should.
                self.damage = Some(Damage {
                    vblk: self.place.vblk,
                    durable_vblk: Some(header.durable_vblk),
                });
            }
            match fragment.kind {
                Kind::Full => {
                    self.place.seq += 1;
                    // A record in one piece: the CRC of the block covers its bytes and its number.
                    if decode_record(fragment.payload).is_some() {
                        let end = at + fragment.end;
                        let bytes = Bytes::Here(end - fragment.payload.len(), end);
                        return Some((seq, RecordCrc(fragment.crc), bytes));
                    }
                    self.damaged(self.place.vblk);
                }
                Kind::First => {
                    self.open = Some(fragment.crc);
                    self.joined.clear();
                    self.joined.shrink_to(MAX_RECORD_BYTES);
                    self.joined.extend_from_slice(fragment.payload);
                }
                Kind::Middle | Kind::Last if self.open == Some(fragment.crc) => {
                    self.joined.extend_from_slice(fragment.payload);
                    if fragment.kind == Kind::Last {
                        self.open = None;
                        self.place.seq += 1;
                        let sound = match self.carries_crcs {
                            true => decode_record(&self.joined).is_some(),
                            false => is_record(&self.joined, seq, fragment.crc),
                        };
                        if sound {
                            return Some((seq, RecordCrc(fragment.crc), Bytes::Joined));
                        }
                        self.damaged(self.place.vblk);
                    }
                }
                // The rest of a record whose beginning is missing.
                Kind::Middle | Kind::Last => {}
                // Only the newest is used, and opening reads that.
                Kind::Acked | Kind::Runs => {}
                Kind::Cursor => {
                    let cursor = Cursor::decode(fragment.payload);
                    self.cursor = cursor.map(|cursor| (seq, cursor)).or(self.cursor.take());
                }
            }
        }
    }

    /// Makes the block at `place` the current one, or skips it if it is not live. `None` after the last.
    fn enter(&mut self, load: &mut impl Load) -> Option<()> {
        let vblk = self.place.vblk;
        let buffered = (self.first..self.first + self.count).contains(&vblk);
        let header = match buffered {
            true => self.inspect(vblk),
            false => None,
        };
        // A block that is not live is read again by itself: it may have been written while it was read.
        let header = match header {
            Some(header) => Some(header),
            None => {
                let len = if buffered { BLOCK } else { self.buffer.len() };
                match load(vblk, &mut self.buffer[..len]) {
                    Ok(0) => return None,
                    Ok(count) => {
                        (self.first, self.count) = (vblk, count);
                        self.unreadable = 0;
                        self.inspect(vblk)
                    }
                    Err(Unreadable) if len > BLOCK => self.load_one(vblk, load),
                    Err(Unreadable) => {
                        self.unreadable += 1;
                        None
                    }
                }
            }
        };
        match header {
            Some(header) => {
                self.epoch = header.epoch;
                if let Some(damage) = &mut self.damage {
                    damage.durable_vblk.get_or_insert(header.durable_vblk);
                }
                self.place.offset = self.place.offset.max(HEADER);
                self.header = Some(header);
            }
            None => {
                self.damaged(vblk);
                self.open = None;
                self.leave();
            }
        }
        Some(())
    }

    fn load_one(&mut self, vblk: Vblk, load: &mut impl Load) -> Option<Header> {
        self.count = 0;
        match load(vblk, &mut self.buffer[..BLOCK]) {
            Ok(count) if count > 0 => {
                (self.first, self.count) = (vblk, 1);
                self.unreadable = 0;
                self.inspect(vblk)
            }
            _ => {
                self.unreadable += 1;
                None
            }
        }
    }

    /// The header of the buffered block `vblk`, if it is live. Epochs never fall along a ring: a block with a lower one is from an earlier lap.
    fn inspect(&self, vblk: Vblk) -> Option<Header> {
        let at = (vblk - self.first) as usize * BLOCK;
        let bytes = self.buffer.get(at..)?.first_chunk()?;
        let block = match self.carries_crcs {
            true => self.ring.live_unchecked(vblk, bytes),
            false => self.ring.live(vblk, bytes),
        }?;
        (block.header.epoch >= self.epoch).then_some(block.header)
    }

    fn damaged(&mut self, vblk: Vblk) {
        self.damage = Some(Damage {
            vblk,
            durable_vblk: None,
        });
    }

    fn leave(&mut self) {
        self.header = None;
        self.place.vblk += 1;
        self.place.offset = 0;
    }
}
