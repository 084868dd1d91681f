//! A file of blocks: where block `vblk` is, and whether the bytes there are that block.
//!
//! - A block is *live* if its CRC matches, its salt is the file's, and its number is the requested one. A block of an earlier lap, of another file
//!   or in the wrong place is not.
//! - Opening only reads. The superblock gives the number of blocks; the length of the file gives it only if both superblocks are damaged.

use std::io;
use std::sync::Arc;

use crate::spool::format::acked::AckedBits;
use crate::spool::format::block::{BLOCK, Block, Vblk};
use crate::spool::format::superblock::{Super, SuperKind};
use crate::spool::media::storage::Storage;

/// Blocks of the smallest ring that works.
pub const MIN_BLOCKS: u64 = 8;
/// More blocks than any file has: keeps arithmetic on damaged numbers in range.
const MAX_BLOCKS: u64 = 1 << 40;
/// A file that was cut short is read if it had at most so many blocks (4 GiB), or at most [`CUT`] times those it has. A superblock that counts more
/// is damaged: looking for all of them would take hours.
const CUT_BLOCKS: u64 = 1 << 20;
const CUT: u64 = 16;

/// A file of blocks.
#[derive(Clone, Debug)]
pub struct Ring {
    storage: Arc<dyn Storage>,
    spec: Super,
}

/// Why a storage cannot be opened as a ring.
#[derive(Debug)]
pub enum NotARing {
    /// A newer program made it, with this major version. It must not be changed.
    Newer(u16),
    /// It has no superblock and no block.
    Nothing,
    /// It cannot be read.
    Unreadable(io::Error),
}

impl Ring {
    /// Bytes of a file with `blocks` blocks and its two superblocks.
    pub fn len_bytes(blocks: u64) -> u64 {
        (blocks + 2) * BLOCK as u64
    }

    /// Blocks of a file of `bytes`, at least [`MIN_BLOCKS`].
    pub fn blocks_in(bytes: u64) -> u64 {
        (bytes / BLOCK as u64).saturating_sub(2).max(MIN_BLOCKS)
    }

    /// The ring `spec` in `storage`, whose bytes are not read.
    pub fn new(storage: Arc<dyn Storage>, spec: Super) -> Self {
        Self { storage, spec }
    }

    /// Writes the superblocks of a new ring into `storage`, which must hold zeros.
    ///
    /// # Errors
    /// If the storage cannot be written.
    pub fn format(storage: Arc<dyn Storage>, spec: Super) -> io::Result<Self> {
        storage.write_at(&spec.encode(), 0)?;
        storage.write_at(&spec.encode(), BLOCK as u64 * (spec.blocks + 1))?;
        Ok(Self { storage, spec })
    }

    /// Opens the ring in `storage`, by either superblock or, if both are damaged, by its blocks.
    ///
    /// # Errors
    /// If the storage cannot be read, holds no ring, or a ring of a newer format.
    pub fn open(storage: Arc<dyn Storage>) -> Result<Self, NotARing> {
        let places = storage.len() / BLOCK as u64;
        let most = (places * CUT).clamp(CUT_BLOCKS, MAX_BLOCKS);
        let mut newer = None;
        let mut unreadable = None;
        for place in [0, places.saturating_sub(1)] {
            let mut bytes = [0; BLOCK];
            if let Err(error) = storage.read_at(&mut bytes, place * BLOCK as u64) {
                unreadable = (error.kind() != io::ErrorKind::UnexpectedEof).then_some(error);
                continue;
            }
            match Super::decode(&bytes) {
                SuperKind::Good(spec) if (MIN_BLOCKS..most).contains(&spec.blocks) => {
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

    /// The ring without its superblocks: the file's length gives the number of blocks, the first whole block the salt.
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
            // Unknown. Searching too many blocks only takes time.
            large: true,
        };
        Some(Self { storage, spec })
    }

    /// Allows larger batches: rewrites both superblocks, and syncs each before the next. A power cut leaves at least one of them whole, and no
    /// larger batch was begun.
    ///
    /// # Errors
    /// If a superblock cannot be written or synced.
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

    /// The contents of the superblock.
    pub fn spec(&self) -> Super {
        self.spec
    }

    /// How many blocks the ring has: N.
    pub fn blocks(&self) -> u64 {
        self.spec.blocks
    }

    /// How many places for blocks the file has, at most [`Self::blocks`]: fewer if it was cut short, or if its superblock lies.
    pub fn places(&self) -> u64 {
        let behind_superblock = (self.storage.len() / BLOCK as u64).saturating_sub(1);
        behind_superblock.min(self.spec.blocks)
    }

    /// Whether the file is shorter than its superblock says: a write beyond its end would extend it.
    pub fn is_cut_short(&self) -> bool {
        self.storage.len() < Self::len_bytes(self.spec.blocks)
    }

    /// Whether the file is as long as its superblock says.
    pub fn has_right_length(&self) -> bool {
        self.storage.len() == Self::len_bytes(self.spec.blocks)
    }

    /// Fills `to` (a multiple of a block) with the raw blocks from `vblk` on, up to the end of the file. Returns how many blocks were read.
    ///
    /// # Errors
    /// If two attempts to read them fail.
    pub fn read(&self, vblk: Vblk, to: &mut [u8]) -> io::Result<u64> {
        let (count, offset) = self.run(vblk, (to.len() / BLOCK) as u64);
        let bytes = &mut to[..count as usize * BLOCK];
        self.storage
            .read_at(bytes, offset)
            .or_else(|_| self.storage.read_at(bytes, offset))?;
        Ok(count)
    }

    /// Reads the 4 KiB at `place`, counted from the file's beginning.
    ///
    /// # Errors
    /// If they cannot be read.
    pub fn read_raw(&self, place: u64, to: &mut [u8; BLOCK]) -> io::Result<()> {
        self.storage.read_at(to, place * BLOCK as u64)
    }

    /// Notes the records delivered above the head in the last superblock. Only for tmpfs, where a write needs no sync.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write_acked(&self, acked: AckedBits<'_>) -> io::Result<()> {
        let place = self.spec.blocks + 1;
        let bytes = self.spec.encode_with(acked);
        self.storage.write_at(&bytes, place * BLOCK as u64)
    }

    /// Reads into `bytes` what [`Self::write_acked`] noted.
    pub fn read_acked<'a>(&self, bytes: &'a mut [u8; BLOCK]) -> AckedBits<'a> {
        match self.read_raw(self.spec.blocks + 1, bytes) {
            Ok(()) => Super::acked(bytes),
            Err(_) => AckedBits::default(),
        }
    }

    /// Reads block `vblk` into `bytes`; `None` if it is not live.
    pub fn load<'a>(&self, vblk: Vblk, bytes: &'a mut [u8; BLOCK]) -> Option<Block<'a>> {
        self.read(vblk, bytes).ok()?;
        self.live(vblk, bytes)
    }

    /// `bytes` as block `vblk`; `None` if they are not that block.
    pub fn live<'a>(&self, vblk: Vblk, bytes: &'a [u8; BLOCK]) -> Option<Block<'a>> {
        self.block_in_place(vblk % self.spec.blocks, bytes)
            .filter(|block| block.header.vblk == vblk)
    }

    /// Does as [`Self::live`], without the CRC.
    pub fn live_unchecked<'a>(&self, vblk: Vblk, bytes: &'a [u8; BLOCK]) -> Option<Block<'a>> {
        Block::unchecked(bytes)
            .filter(|block| block.header.salt == self.spec.salt && block.header.vblk == vblk)
    }

    /// `bytes` as any block of this file that belongs at `place`.
    pub fn block_in_place<'a>(&self, place: u64, bytes: &'a [u8; BLOCK]) -> Option<Block<'a>> {
        Block::decode(bytes).filter(|Block { header, .. }| {
            header.salt == self.spec.salt && header.vblk % self.spec.blocks == place
        })
    }

    /// Writes whole blocks from `vblk` on, around the end of the file if necessary.
    ///
    /// # Errors
    /// If some of them could not be written.
    pub fn write(&self, mut vblk: Vblk, mut blocks: &[u8]) -> io::Result<()> {
        while !blocks.is_empty() {
            let (count, offset) = self.run(vblk, (blocks.len() / BLOCK) as u64);
            let (now, rest) = blocks.split_at(count as usize * BLOCK);
            self.storage.write_at(now, offset)?;
            (vblk, blocks) = (vblk + count, rest);
        }
        Ok(())
    }

    /// Makes all written blocks survive a power cut.
    ///
    /// # Errors
    /// See [`Storage::sync`].
    pub fn sync(&self) -> io::Result<()> {
        self.storage.sync()
    }

    /// See [`Storage::gone`].
    pub fn gone(&self) -> Option<&'static str> {
        self.storage.gone()
    }

    /// Releases the page cache of the `count` blocks from `vblk` on, up to the end of the file.
    pub fn forget(&self, vblk: Vblk, count: u64) {
        let (now, offset) = self.run(vblk, count);
        self.storage.forget(offset, now * BLOCK as u64);
    }

    /// How many of `count` blocks from `vblk` on are before the end of the file, and where in it they begin.
    fn run(&self, vblk: Vblk, count: u64) -> (u64, u64) {
        // Once: a 32-bit ARM board has no instruction for it.
        let place = vblk % self.spec.blocks;
        (
            count.min(self.spec.blocks - place),
            (1 + place) * BLOCK as u64,
        )
    }
}
