//! One file of blocks: where block `vblk` lies, and whether what lies there is it.
//!
//! - A block is live if its CRC agrees, its salt is the file's, and its number is the one asked for: a block of an earlier lap,
//!   of another file, or written to the wrong place is none.
//! - Opening only reads. The length of the file is given by the ring, never the other way round, unless both superblocks are bad.

use std::io;
use std::sync::Arc;

use crate::spool::format::block::{AckedBits, BLOCK, Block, Vblk};
use crate::spool::format::superblock::{Super, SuperKind};
use crate::spool::media::storage::Storage;

/// The smallest ring that works.
pub const MIN_BLOCKS: u64 = 8;
/// More than any file system holds; keeps arithmetic on damaged numbers in range.
const MAX_BLOCKS: u64 = 1 << 40;

/// A file of blocks.
#[derive(Clone, Debug)]
pub struct Ring {
    storage: Arc<dyn Storage>,
    spec: Super,
}

/// Why a storage is no ring.
#[derive(Debug)]
pub enum NotARing {
    /// A newer program made it; its major version. It is to be left alone.
    Newer(u16),
    /// There is no superblock and no block in it.
    Nothing,
    /// It cannot be read.
    Unreadable(io::Error),
}

impl Ring {
    /// Bytes of a file with `blocks` blocks.
    pub fn len_bytes(blocks: u64) -> u64 {
        (blocks + 2) * BLOCK as u64
    }

    /// Blocks of a file of `bytes`.
    pub fn blocks_in(bytes: u64) -> u64 {
        (bytes / BLOCK as u64).saturating_sub(2).max(MIN_BLOCKS)
    }

    /// The ring `spec` in `storage`, whatever lies there.
    pub fn new(storage: Arc<dyn Storage>, spec: Super) -> Self {
        Self { storage, spec }
    }

    /// Makes a ring of fresh zeros.
    pub fn format(storage: Arc<dyn Storage>, spec: Super) -> io::Result<Self> {
        storage.write_at(&spec.encode(), 0)?;
        storage.write_at(&spec.encode(), BLOCK as u64 * (spec.blocks + 1))?;
        Ok(Self { storage, spec })
    }

    /// The ring in `storage`, told by either superblock, else by its blocks.
    pub fn open(storage: Arc<dyn Storage>) -> Result<Self, NotARing> {
        let places = storage.len() / BLOCK as u64;
        let mut newer = None;
        let mut unreadable = None;
        for place in [0, places.saturating_sub(1)] {
            let mut bytes = [0; BLOCK];
            if let Err(error) = storage.read_at(&mut bytes, place * BLOCK as u64) {
                unreadable = (error.kind() != io::ErrorKind::UnexpectedEof).then_some(error);
                continue;
            }
            match Super::decode(&bytes) {
                SuperKind::Good(spec) if (MIN_BLOCKS..MAX_BLOCKS).contains(&spec.blocks) => {
                    return Ok(Self { storage, spec });
                }
                SuperKind::Newer(major) => newer = Some(major),
                SuperKind::Good(_) | SuperKind::Bad => {}
            }
        }
        if let Some(major) = newer {
            return Err(NotARing::Newer(major));
        }
        match (Self::from_blocks(storage, places), unreadable) {
            (Some(ring), _) => Ok(ring),
            (None, Some(error)) => Err(NotARing::Unreadable(error)),
            (None, None) => Err(NotARing::Nothing),
        }
    }

    /// Both superblocks are bad: the file's length gives N, the first whole block in its place the salt.
    fn from_blocks(storage: Arc<dyn Storage>, places: u64) -> Option<Self> {
        let blocks = places.checked_sub(2).filter(|n| *n >= MIN_BLOCKS)?;
        let mut bytes = [0; BLOCK];
        let salt = (0..blocks).find_map(|place| {
            storage
                .read_at(&mut bytes, (place + 1) * BLOCK as u64)
                .ok()?;
            let header = Block::decode(&bytes)?.header;
            (header.vblk % blocks == place).then_some(header.salt)
        })?;
        let spec = Super {
            blocks,
            salt,
            card_salt: salt,
            // Nobody says so any more: to look too far costs time alone.
            large: true,
        };
        Some(Self { storage, spec })
    }

    /// Says in both superblocks, synced one after the other, that larger batches come from now on. A power cut amid that leaves one of
    /// them whole, and no such batch was begun.
    pub fn enlarge(&mut self) -> io::Result<()> {
        let spec = Super {
            large: true,
            ..self.spec
        };
        for place in [0, spec.blocks + 1] {
            self.storage
                .write_at(&spec.encode(), place * BLOCK as u64)?;
            self.storage.sync()?;
        }
        self.spec = spec;
        Ok(())
    }

    /// What the superblock says.
    pub fn spec(&self) -> Super {
        self.spec
    }

    /// N.
    pub fn blocks(&self) -> u64 {
        self.spec.blocks
    }

    /// Whether the file is shorter than its superblock says: what is written beyond its end would make it grow.
    pub fn is_cut_short(&self) -> bool {
        self.storage.len() < Self::len_bytes(self.spec.blocks)
    }

    /// Whether the file is as long as its superblock says.
    pub fn has_right_length(&self) -> bool {
        self.storage.len() == Self::len_bytes(self.spec.blocks)
    }

    /// Fills `to`, whole blocks long, with the raw blocks from `vblk` on, up to the end of the file. Returns how many blocks it read.
    pub fn read(&self, vblk: Vblk, to: &mut [u8]) -> io::Result<u64> {
        let count = self.run(vblk, (to.len() / BLOCK) as u64);
        let bytes = &mut to[..count as usize * BLOCK];
        self.storage
            .read_at(bytes, self.offset(vblk))
            .or_else(|_| self.storage.read_at(bytes, self.offset(vblk)))?;
        Ok(count)
    }

    /// Reads the 4 KiB in `place`, counted from the file's beginning.
    pub fn read_raw(&self, place: u64, to: &mut [u8; BLOCK]) -> io::Result<()> {
        self.storage.read_at(to, place * BLOCK as u64)
    }

    /// Notes what is delivered above the head in the last superblock. Only where a write needs no sync: on tmpfs.
    pub fn write_acked(&self, acked: AckedBits<'_>) -> io::Result<()> {
        let place = self.spec.blocks + 1;
        let bytes = self.spec.encode_with(acked);
        self.storage.write_at(&bytes, place * BLOCK as u64)
    }

    /// Reads what [`Self::write_acked`] noted, into `bytes`.
    pub fn read_acked<'a>(&self, bytes: &'a mut [u8; BLOCK]) -> Option<AckedBits<'a>> {
        self.read_raw(self.spec.blocks + 1, bytes).ok()?;
        Super::acked(bytes)
    }

    /// Block `vblk`, if it is live; `bytes` holds it.
    pub fn load<'a>(&self, vblk: Vblk, bytes: &'a mut [u8; BLOCK]) -> Option<Block<'a>> {
        self.read(vblk, bytes).ok()?;
        self.live(vblk, bytes)
    }

    /// `bytes` as block `vblk`, if they are it.
    pub fn live<'a>(&self, vblk: Vblk, bytes: &'a [u8; BLOCK]) -> Option<Block<'a>> {
        self.block_in_place(vblk % self.spec.blocks, bytes)
            .filter(|block| block.header.vblk == vblk)
    }

    /// `bytes` as whatever block of this file belongs in that `place`.
    pub fn block_in_place<'a>(&self, place: u64, bytes: &'a [u8; BLOCK]) -> Option<Block<'a>> {
        Block::decode(bytes).filter(|Block { header, .. }| {
            header.salt == self.spec.salt && header.vblk % self.spec.blocks == place
        })
    }

    /// Writes whole blocks from `vblk` on.
    pub fn write(&self, mut vblk: Vblk, mut blocks: &[u8]) -> io::Result<()> {
        while !blocks.is_empty() {
            let count = self.run(vblk, (blocks.len() / BLOCK) as u64);
            let (now, rest) = blocks.split_at(count as usize * BLOCK);
            self.storage.write_at(now, self.offset(vblk))?;
            (vblk, blocks) = (vblk + count, rest);
        }
        Ok(())
    }

    /// Makes all written blocks survive a power cut; see [`Storage::sync`] on failure.
    pub fn sync(&self) -> io::Result<()> {
        self.storage.sync()
    }

    /// See [`Storage::gone`].
    pub fn gone(&self) -> Option<&'static str> {
        self.storage.gone()
    }

    /// The `count` blocks from `vblk` on will not be read soon.
    pub fn forget(&self, vblk: Vblk, count: u64) {
        let now = self.run(vblk, count);
        self.storage.forget(self.offset(vblk), now * BLOCK as u64);
    }

    /// How many of `count` blocks from `vblk` on lie in one piece.
    fn run(&self, vblk: Vblk, count: u64) -> u64 {
        count.min(self.spec.blocks - vblk % self.spec.blocks)
    }

    fn offset(&self, vblk: Vblk) -> u64 {
        (1 + vblk % self.spec.blocks) * BLOCK as u64
    }
}
