//! What a ring's file says of itself at its beginning and its end; see [`super::block`] for the bytes. Written when the file is made, and
//! once more before its first record of more than 1 MiB.

use crate::spool::format::block::{
    ACKED, AckedBits, BLOCK, MAX_ACKED, decode_acked, u16_at, u32_at, u64_at,
};

const MINOR: u16 = 1;
/// A ring that has no batch of more than [`BATCH`] blocks.
const MAJOR: u16 = 1;
/// The same, but for batches of up to [`LARGE_BATCH`] blocks: who opens it has to look for unsynced blocks further, and a program that
/// does not know of that must leave it alone.
const LARGE_MAJOR: u16 = 2;
const MAGIC: &[u8; 8] = b"headwatr";
const CRC_AT: usize = 40;
/// Where a stage's last superblock holds what is delivered above the head: the length of the payload of an ACKED fragment (u16), its
/// CRC-32C (u32), the payload. A page of tmpfs is old or new, never half, so it may be written again and again.
const ACKED_AT: usize = 1000;

/// Most blocks of one batch, as long as no record is larger than 1 MiB.
pub const BATCH: u64 = 320;
/// And in a ring that [takes larger ones](Super::large), of up to 10 MiB.
pub const LARGE_BATCH: u64 = 2640;

const _: () = assert!(ACKED_AT + 6 + ACKED + MAX_ACKED <= BLOCK);

/// What a superblock says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Super {
    /// Blocks in the ring.
    pub blocks: u64,
    /// Drawn when the file was made: blocks of another file are not this one's.
    pub salt: u64,
    /// The salt of the card this ring belongs to; a card's own.
    pub card_salt: u64,
    /// A batch may be one of [`LARGE_BATCH`] blocks: it holds a record of more than 1 MiB.
    pub large: bool,
}

/// What bytes in a superblock's place are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SuperKind {
    /// One of this format.
    Good(Super),
    /// One of a format this program does not know; its major number.
    Newer(u16),
    /// No superblock.
    Bad,
}

impl Super {
    /// Whether both are of one file, of which one may have been read before it was enlarged.
    pub fn is_same_file(&self, other: &Self) -> bool {
        let large = other.large;
        Self { large, ..*self } == *other
    }

    /// Most blocks of one batch.
    pub fn batch(&self) -> u64 {
        if self.large { LARGE_BATCH } else { BATCH }
    }

    /// Most blocks ever written between two good syncs: two attempts at the largest batch.
    pub fn unsynced(&self) -> u64 {
        2 * self.batch()
    }

    /// The superblock's bytes.
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
        let crc = crc32c::crc32c(&bytes[..CRC_AT]);
        bytes[CRC_AT..CRC_AT + 4].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// The superblock's bytes, with what a stage knows to be delivered above the head.
    pub fn encode_with(&self, (base, bitmap): AckedBits<'_>) -> [u8; BLOCK] {
        let mut bytes = self.encode();
        let len = ACKED + bitmap.len();
        let payload = ACKED_AT + 6..ACKED_AT + 6 + len;
        bytes[payload.start..payload.start + ACKED].copy_from_slice(&base.to_le_bytes());
        bytes[payload.start + ACKED..payload.end].copy_from_slice(bitmap);
        let crc = crc32c::crc32c(&bytes[payload.clone()]);
        bytes[ACKED_AT..ACKED_AT + 2].copy_from_slice(&(len as u16).to_le_bytes());
        bytes[ACKED_AT + 2..payload.start].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// What [`Self::encode_with`] put in, if it is whole.
    pub fn acked(bytes: &[u8; BLOCK]) -> Option<AckedBits<'_>> {
        let len = usize::from(u16_at(bytes, ACKED_AT));
        let payload = bytes.get(ACKED_AT + 6..ACKED_AT + 6 + len)?;
        let whole = u32_at(bytes, ACKED_AT + 2) == crc32c::crc32c(payload);
        decode_acked(payload).filter(|_| whole)
    }

    /// Reads a superblock. A later minor version is this format; a later major one may have moved all but its first ten bytes.
    pub fn decode(bytes: &[u8; BLOCK]) -> SuperKind {
        if &bytes[..8] != MAGIC {
            return SuperKind::Bad;
        }
        let major = u16_at(bytes, 8);
        if major > LARGE_MAJOR {
            return SuperKind::Newer(major);
        }
        let sound = major >= MAJOR
            && u32_at(bytes, CRC_AT) == crc32c::crc32c(&bytes[..CRC_AT])
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
