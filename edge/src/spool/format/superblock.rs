//! The superblock, at the beginning and the end of a ring's file; see [`super::block`] for its layout. It is written when the file is made, and
//! again before the file's first record of more than 1 MiB.

use crate::platform::crc32c;
use crate::spool::format::acked::{ACKED, AckedBits, MAX_ACKED, MAX_RUNS_BYTES};
use crate::spool::format::block::{BLOCK, u16_at, u32_at, u64_at};

const MINOR: u16 = 1;
/// The format of a ring without batches of more than [`BATCH`] blocks.
const MAJOR: u16 = 1;
/// The format of a ring with batches of up to [`LARGE_BATCH`] blocks. Opening it must search more blocks for unsynced ones, so a program that
/// does not know this format must not touch it.
const LARGE_MAJOR: u16 = 2;
const MAGIC: &[u8; 8] = b"headwatr";
const CRC_AT: usize = 40;
/// Offset, in a stage's last superblock, of the records delivered above the head: the length of an ACKED fragment's payload (u16), its CRC-32C
/// (u32), the payload. The superblock may be overwritten any number of times, because a write of one page of tmpfs is never torn by a kill.
const ACKED_AT: usize = 1000;
/// Offset of a RUNS fragment's payload, in the same form.
const RUNS_AT: usize = 64;
/// Bytes of the length and the CRC before a payload.
const BEFORE: usize = 6;

/// Most blocks of one batch while no record is larger than 1 MiB.
pub const BATCH: u64 = 320;
/// Most blocks of one batch in a ring with [larger records](Super::large), of up to 10 MiB.
pub const LARGE_BATCH: u64 = 2640;

const _: () = assert!(ACKED_AT + BEFORE + ACKED + MAX_ACKED <= BLOCK);
const _: () = assert!(CRC_AT + 4 <= RUNS_AT && RUNS_AT + BEFORE + MAX_RUNS_BYTES <= ACKED_AT);

/// A superblock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Super {
    /// Blocks in the ring.
    pub blocks: u64,
    /// Drawn at random when the file was made: blocks with another salt belong to another file.
    pub salt: u64,
    /// The salt of the card that a stage belongs to; in a card, its own.
    pub card_salt: u64,
    /// Whether batches may have [`LARGE_BATCH`] blocks, for records of more than 1 MiB.
    pub large: bool,
}

/// What was found in a superblock's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SuperKind {
    /// A superblock of a known format.
    Good(Super),
    /// A superblock of a newer format, with its major version.
    Newer(u16),
    /// No superblock.
    Bad,
}

impl Super {
    /// Whether both belong to one file. `self` may have been read before the file was enlarged.
    pub fn is_same_file(&self, other: &Self) -> bool {
        let large = other.large;
        Self { large, ..*self } == *other
    }

    /// Most blocks of one batch.
    pub fn batch(&self) -> u64 {
        if self.large { LARGE_BATCH } else { BATCH }
    }

    /// Most blocks written between two successful syncs: two attempts at the largest batch.
    pub fn unsynced(&self) -> u64 {
        2 * self.batch()
    }

    /// Encodes the superblock.
    pub fn encode(&self) -> [u8; BLOCK] {
        let mut bytes = [0; BLOCK];
        bytes[..8].copy_from_slice(MAGIC);
        let major = if self.large { LARGE_MAJOR } else { MAJOR };
        bytes[8..10].copy_from_slice(&major.to_le_bytes());
        bytes[10..12].copy_from_slice(&MINOR.to_le_bytes());
        bytes[12..16].copy_from_slice(&(BLOCK as u32).to_le_bytes());
        bytes[16..24].copy_from_slice(&self.blocks.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.salt.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.card_salt.to_le_bytes());
        let crc = crc32c::of(&bytes[..CRC_AT]);
        bytes[CRC_AT..CRC_AT + 4].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Encodes the superblock of a stage, with the records delivered above the head.
    pub fn encode_with(&self, acked: AckedBits<'_>) -> [u8; BLOCK] {
        let mut bytes = self.encode();
        put(
            &mut bytes,
            ACKED_AT,
            &[&acked.base.to_le_bytes(), acked.bitmap],
        );
        put(&mut bytes, RUNS_AT, &[acked.runs]);
        bytes
    }

    /// Reads the delivered records that [`Self::encode_with`] wrote; empty if they are damaged.
    pub fn acked(bytes: &[u8; BLOCK]) -> AckedBits<'_> {
        AckedBits::decode(payload(bytes, ACKED_AT), payload(bytes, RUNS_AT))
    }

    /// Reads a superblock. A newer minor version has the same layout; a newer major one may differ in all but its first ten bytes.
    pub fn decode(bytes: &[u8; BLOCK]) -> SuperKind {
        if &bytes[..8] != MAGIC {
            return SuperKind::Bad;
        }
        let major = u16_at(bytes, 8);
        if major > LARGE_MAJOR {
            return SuperKind::Newer(major);
        }
        let sound = major >= MAJOR
            && u32_at(bytes, CRC_AT) == crc32c::of(&bytes[..CRC_AT])
            && u32_at(bytes, 12) as usize == BLOCK;
        if !sound {
            return SuperKind::Bad;
        }
        SuperKind::Good(Self {
            blocks: u64_at(bytes, 16),
            salt: u64_at(bytes, 24),
            card_salt: u64_at(bytes, 32),
            large: major == LARGE_MAJOR,
        })
    }
}

/// Writes a payload, given in `parts`, with its length and CRC before it.
fn put(bytes: &mut [u8; BLOCK], at: usize, parts: &[&[u8]]) {
    let start = at + BEFORE;
    let mut end = start;
    for part in parts {
        bytes[end..end + part.len()].copy_from_slice(part);
        end += part.len();
    }
    let crc = crc32c::of(&bytes[start..end]);
    bytes[at..at + 2].copy_from_slice(&((end - start) as u16).to_le_bytes());
    bytes[at + 2..start].copy_from_slice(&crc.to_le_bytes());
}

/// The payload that [`put`] wrote; empty if it is damaged.
fn payload(bytes: &[u8; BLOCK], at: usize) -> &[u8] {
    let start = at + BEFORE;
    let len = usize::from(u16_at(bytes, at));
    let payload = bytes.get(start..start + len).unwrap_or_default();
    match u32_at(bytes, at + 2) == crc32c::of(payload) {
        true => payload,
        false => &[],
    }
}
