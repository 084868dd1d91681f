//! The format of a ring: superblocks, blocks, fragments. No I/O, and no panic on damaged bytes.
//!
//! All numbers are little-endian. A file is `[superblock A][block 0] ... [block N-1][superblock B]`, each 4 KiB.
//!
//! ```text
//! superblock  0 magic "headwatr"   8 major u16  10 minor u16  12 block size u32  16 N u64
//!            24 salt u64          32 card salt u64           40 CRC-32C of bytes 0..40
//!            major 1: no batch is longer than 320 blocks; 2: one may have 2,640, for a record of more than 1 MiB
//! block       0 magic "HWBK"       4 version u8  5 flags u8    6 bytes used u16   8 salt u64
//!            16 vblk u64          24 first seq u64            32 ack seq u64     40 durable vblk u64
//!            48 epoch u32         52 first start u16          54 run u16         56 CRC-32C of the fragments and then of bytes 0..56
//!            60 fragments up to `bytes used`, then zeros
//! fragment    0 kind u8            1 codec u8    2 length u16  4 record CRC u32   8 payload
//! record      0 when u32 (unix s)  4 key length u16            6 key, then data
//! cursor      0 card next u64      8 card tail u64    16 dropped  24 skipped  32 refused  40 media lost  48 unsynced lost
//!            56 position
//! acked       0 base u64           8 bitmap: bit i for record base + i, delivered although some before it are not
//! runs        0 base u64           8 count u16   10 so many times: from u64, to u64: the records from..to are delivered, though far above
//!            then a bitmap, as that of acked: those ahead of the last run
//! ```
//!
//! - A record is one FULL fragment, or FIRST, any number of MIDDLE, and LAST in the blocks that follow. Each carries the CRC of the
//!   whole record *and its sequence number*, so pieces of two records never join.
//! - `first seq` is the number of the first record that starts in this block or, if none does, after it. `first start` is that
//!   record's offset, 0 if none starts here: where reading goes on after a damaged block.
//! - `ack seq`: all records below it are done: delivered, or counted as dropped or lost.
//! - `epoch` counts the openings of the spool, `run` is drawn at random at each. Along the ring, epochs never fall.

use crate::platform::crc32c;
use crate::post::record::Record;
use crate::spool::format::crc;

/// A record's number, counted from 0 over the spool's whole life.
pub type Seq = u64;

/// A block's number, counted from 0 over the file's whole life; `vblk mod N` is its place in the file.
pub type Vblk = u64;

/// Bytes of a block and of a superblock.
pub const BLOCK: usize = 4096;
/// Bytes of a block before its first fragment.
pub const HEADER: usize = 60;
/// Bytes of a fragment before its payload.
pub const FRAGMENT: usize = 8;
/// Bytes of the longest position of a source.
pub const MAX_POSITION: usize = 255;
/// Bytes of the longest CURSOR fragment.
pub const MAX_CURSOR: usize = FRAGMENT + CURSOR + MAX_POSITION;
pub(in crate::spool) const RECORD_PREFIX: usize = 6;
const CURSOR: usize = 56;

const MAGIC: &[u8; 4] = b"HWBK";
const VERSION: u8 = 1;
const CRC_AT: usize = 56;

/// No real block or record reaches this number: it keeps arithmetic on damaged numbers in range.
pub(in crate::spool) const MAX_NUMBER: u64 = 1 << 60;

const _: () = assert!(CRC_AT + 4 == HEADER && HEADER + 2 * MAX_CURSOR < BLOCK);
const _: () = assert!(BLOCK <= u16::MAX as usize);

/// A block's header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// Where the fragments end.
    pub used: usize,
    /// The salt of the file.
    pub salt: u64,
    /// The block's number.
    pub vblk: Vblk,
    /// The first record that starts in this block or, if none does, after it.
    pub first_seq: Seq,
    /// All records below this number are done: delivered, dropped or lost.
    pub ack_seq: Seq,
    /// All blocks below this number were synced when this one was written.
    pub durable_vblk: Vblk,
    /// The opening that wrote the block.
    pub epoch: u32,
    /// The offset at which `first_seq` starts; 0 if not in this block.
    pub first_start: usize,
    /// Tells two openings of the same epoch apart.
    pub run: u16,
}

impl Header {
    /// Writes this header into `bytes`, with the block's CRC, which continues that of its `fragments`.
    pub(in crate::spool) fn encode(&self, bytes: &mut [u8; BLOCK], fragments: u32) {
        bytes[..4].copy_from_slice(MAGIC);
        bytes[4] = VERSION;
        bytes[5] = 0;
        bytes[6..8].copy_from_slice(&(self.used as u16).to_le_bytes());
        bytes[8..16].copy_from_slice(&self.salt.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.vblk.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.first_seq.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.ack_seq.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.durable_vblk.to_le_bytes());
        bytes[48..52].copy_from_slice(&self.epoch.to_le_bytes());
        bytes[52..54].copy_from_slice(&(self.first_start as u16).to_le_bytes());
        bytes[54..56].copy_from_slice(&self.run.to_le_bytes());
        let crc = crc_of(bytes, fragments);
        bytes[CRC_AT..HEADER].copy_from_slice(&crc.to_le_bytes());
    }
}

/// A block whose CRC matches, unless it was read [unchecked](Self::unchecked). Whether it belongs to its place, its file and its lap is decided by the ring.
#[derive(Clone, Copy, Debug)]
pub struct Block<'a> {
    /// Its header.
    pub header: Header,
    bytes: &'a [u8; BLOCK],
}

impl<'a> Block<'a> {
    /// Reads `bytes` as a block; `None` if they are damaged or no block.
    pub fn decode(bytes: &'a [u8; BLOCK]) -> Option<Self> {
        Self::unchecked(bytes).filter(|block| {
            let fragments = &bytes[HEADER..block.header.used];
            u32_at(bytes, CRC_AT) == crc_of(bytes, crc32c::of(fragments))
        })
    }

    /// Reads `bytes` as a block; `None` if they are none. Damage is found only where it is in the header.
    pub fn unchecked(bytes: &'a [u8; BLOCK]) -> Option<Self> {
        let header = Header {
            used: usize::from(u16_at(bytes, 6)),
            salt: u64_at(bytes, 8),
            vblk: u64_at(bytes, 16),
            first_seq: u64_at(bytes, 24),
            ack_seq: u64_at(bytes, 32),
            durable_vblk: u64_at(bytes, 40),
            epoch: u32_at(bytes, 48),
            first_start: usize::from(u16_at(bytes, 52)),
            run: u16_at(bytes, 54),
        };
        let sound = &bytes[..4] == MAGIC
            && bytes[4] == VERSION
            && (HEADER..=BLOCK).contains(&header.used)
            && header.first_start < header.used
            && [header.vblk, header.first_seq, header.ack_seq]
                .iter()
                .all(|number| *number < MAX_NUMBER);
        sound.then_some(Self { header, bytes })
    }

    /// The number after the last record that is complete at the end of this block, if the blocks before it are whole.
    pub fn next_seq(&self) -> Seq {
        let records = self.fragments().filter(|f| f.kind.is_of_a_record());
        let last = records.last();
        let open = last.is_some_and(|f| matches!(f.kind, Kind::First | Kind::Middle));
        self.after_starts().saturating_sub(u64::from(open))
    }

    /// The number of the first record that starts after this block.
    pub fn after_starts(&self) -> Seq {
        let starts = self
            .fragments()
            .filter(|f| matches!(f.kind, Kind::Full | Kind::First));
        self.header.first_seq + starts.count() as u64
    }

    /// The last CURSOR of this block.
    pub fn cursor(&self) -> Option<Cursor> {
        let cursors = self.fragments().filter(|f| f.kind == Kind::Cursor);
        cursors.filter_map(|f| Cursor::decode(f.payload)).last()
    }

    /// The payload of the last fragment of this kind; empty if there is none.
    pub fn payload(&self, kind: Kind) -> &'a [u8] {
        let fragment = self.fragments().filter(|f| f.kind == kind).last();
        fragment.map_or(&[][..], |fragment| fragment.payload)
    }

    fn fragments(&self) -> impl Iterator<Item = Fragment<'a>> {
        let Self { header, bytes } = *self;
        let mut at = HEADER;
        std::iter::from_fn(move || {
            let fragment = Fragment::decode(bytes, header.used, at)?;
            at = fragment.end;
            Some(fragment)
        })
    }
}

/// The kind of a fragment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A whole record.
    Full = 1,
    /// The beginning of a record.
    First = 2,
    /// A middle part of a record.
    Middle = 3,
    /// The end of a record.
    Last = 4,
    /// Not a record: a [`Cursor`].
    Cursor = 5,
    /// Not a record: which records above `ack_seq` are delivered.
    Acked = 6,
    /// Not a record: which records far above `ack_seq` are delivered.
    Runs = 7,
}

impl Kind {
    fn is_of_a_record(self) -> bool {
        !matches!(self, Self::Cursor | Self::Acked | Self::Runs)
    }

    fn from_byte(byte: u8) -> Option<Self> {
        [
            Self::Full,
            Self::First,
            Self::Middle,
            Self::Last,
            Self::Cursor,
            Self::Acked,
            Self::Runs,
        ]
        .into_iter()
        .find(|kind| *kind as u8 == byte)
    }
}

/// A part of a block: a record, a part of one, or a note.
#[derive(Clone, Copy, Debug)]
pub struct Fragment<'a> {
    /// Which kind of part.
    pub kind: Kind,
    /// The CRC of the whole record and its number; 0 if it is no record.
    pub crc: u32,
    /// The bytes after the fragment's head.
    pub payload: &'a [u8],
    /// The offset at which the next fragment begins.
    pub end: usize,
}

impl<'a> Fragment<'a> {
    /// The fragment at offset `at` of a whole block with `used` bytes in use; `None` if there is none.
    pub fn decode(bytes: &'a [u8; BLOCK], used: usize, at: usize) -> Option<Self> {
        let start = at.checked_add(FRAGMENT)?;
        let head = bytes.get(at..start)?;
        let end = start + usize::from(u16_at(head, 2));
        let kind = Kind::from_byte(head[0])?;
        let known = head[1] == 0 && end <= used;
        known.then(|| Self {
            kind,
            crc: u32_at(head, 4),
            payload: &bytes[start..end],
            end,
        })
    }
}

/// Whether `bytes` are record number `seq`, with this CRC.
pub fn is_record(bytes: &[u8], seq: Seq, crc: u32) -> bool {
    crc32c::append(crc::of_number(seq), bytes) == crc && decode_record(bytes).is_some()
}

/// The time at which the record in `bytes` was read (unix seconds), and the record; `None` if the bytes are no record.
pub fn decode_record(bytes: &[u8]) -> Option<(u32, Record<'_>)> {
    let (prefix, rest) = bytes.split_at_checked(RECORD_PREFIX)?;
    let (key, data) = rest.split_at_checked(usize::from(u16_at(prefix, 4)))?;
    let partition_key = std::str::from_utf8(key).ok()?;
    let record = Record {
        partition_key,
        data,
    };
    Some((u32_at(prefix, 0), record))
}

/// A position of the source, in the source's own format.
pub type Position = heapless::Vec<u8, MAX_POSITION>;

/// The counters of the spool, over its whole life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Records with a number that were dropped to make room.
    pub dropped: u64,
    /// Those of `dropped` whose number is not below `ack_seq`: gaps that the reader will meet.
    pub skipped: u64,
    /// Records dropped before they got a number.
    pub refused: u64,
    /// Records lost with a block that had been synced.
    pub media_lost: u64,
    /// Records lost with a block that had not been synced yet.
    pub unsynced_lost: u64,
}

/// What is stored along with records: counters, the source's position, and how far the card was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    /// The records from `ack_seq` up to this one are on the card.
    pub card_next: Seq,
    /// The first block of the card that was not synced.
    pub card_tail: Vblk,
    /// The counters.
    pub tally: Tally,
    /// Where the source continues after the records written so far.
    pub position: Position,
}

impl Cursor {
    /// Bytes of the fragment's payload.
    pub fn len(&self) -> usize {
        Self::len_with(self.position.len())
    }

    /// Bytes of the payload of any cursor whose position has `position_len` bytes.
    pub fn len_with(position_len: usize) -> usize {
        CURSOR + position_len
    }

    /// Writes the payload to `to`, which must be [`Self::len`] bytes long.
    pub fn copy(&self, to: &mut [u8]) {
        let Tally {
            dropped,
            skipped,
            refused,
            media_lost,
            unsynced_lost,
        } = self.tally;
        let numbers = [
            self.card_next,
            self.card_tail,
            dropped,
            skipped,
            refused,
            media_lost,
            unsynced_lost,
        ];
        for (number, to) in numbers.iter().zip(to.chunks_exact_mut(8)) {
            to.copy_from_slice(&number.to_le_bytes());
        }
        to[CURSOR..].copy_from_slice(&self.position);
    }

    /// Reads the payload of a CURSOR fragment.
    pub fn decode(payload: &[u8]) -> Option<Self> {
        let (numbers, position) = payload.split_at_checked(CURSOR)?;
        let number = |i: usize| u64_at(numbers, i * 8).min(MAX_NUMBER);
        Some(Self {
            card_next: number(0),
            card_tail: number(1),
            tally: Tally {
                dropped: number(2),
                skipped: number(3),
                refused: number(4),
                media_lost: number(5),
                unsynced_lost: number(6),
            },
            position: Position::from_slice(position).ok()?,
        })
    }
}

/// The CRC of a block, which continues that of its `fragments`. The zeros after them are not covered.
fn crc_of(bytes: &[u8; BLOCK], fragments: u32) -> u32 {
    crc32c::append(fragments, &bytes[..CRC_AT])
}

pub(in crate::spool) fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(array_at(bytes, at))
}

pub(in crate::spool) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(array_at(bytes, at))
}

pub(in crate::spool) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(array_at(bytes, at))
}

fn array_at<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(&bytes[at..at + N]);
    array
}
