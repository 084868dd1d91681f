//! A place in a followed file, and the id of the line that begins there.
//!
//! As a position in the spool it is written `lines PATH_CRC BORN_MS IDENT INODE TURN OFFSET HEAD_BYTES HEAD_CRC BEFORE_BYTES BEFORE_CRC
//! SEEN_MS`, in decimal. What each means for the identity of a file is said at the top of [`crate::source::lines`].
//!
//! The same line of the same file has the same id whenever it is read, so that what a power cut makes the program read twice is stored
//! once. `IDENT` keeps apart what one inode held one after the other: its turn is in it, and its first line.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, absolute};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::source::lines::id::{Ulid, unix_ms};

/// The most of a file's beginning that tells it from another.
const MAX_HEAD_BYTES: usize = 256;

/// The most that is compared of what stands just before a place.
const MAX_BEFORE_BYTES: usize = 64;

/// The longest text of a position: a word and eleven numbers.
pub const MAX_POSITION_BYTES: usize = 176;

/// Right after a line that was read, or at the start of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The name the user gave, as a CRC: places under another name are none of this one's.
    path_crc: u32,
    /// When the file was made, in ms since 1970; where the file system does not know, when it was first opened.
    born_ms: u64,
    /// What the ids of its lines have in common. Stays when the file is copied to another inode.
    ident: u32,
    /// The inode it had when it was opened last.
    inode: u64,
    /// How many files this name had before, counted from the first that was read.
    turn: u64,
    /// Bytes before this place.
    offset: u64,
    head: Print,
    before: Print,
    /// All that was written until then, in ms since 1970, was read: what was written to later is younger.
    seen_ms: u64,
}

/// A few bytes, as their number and CRC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Print {
    bytes: u16,
    crc: u32,
}

impl Print {
    fn of(bytes: &[u8]) -> Self {
        Self {
            bytes: u16::try_from(bytes.len()).unwrap_or(u16::MAX),
            crc: crc32c::crc32c(bytes),
        }
    }

    /// Whether `file` holds these bytes from `offset` on.
    fn is_at(self, file: &File, offset: u64) -> io::Result<bool> {
        let mut buffer = [0; MAX_HEAD_BYTES];
        let Some(bytes) = buffer.get_mut(..usize::from(self.bytes)) else {
            return Ok(false);
        };
        match file.read_exact_at(bytes, offset) {
            Ok(()) => Ok(Self::of(bytes) == self),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// The bytes just before a place, as far as they are compared.
#[derive(Clone, Debug)]
pub struct Before {
    bytes: [u8; MAX_BEFORE_BYTES],
    len: usize,
}

impl Before {
    /// Those before `offset` in `file`; none if they cannot be read.
    pub fn read(file: &File, offset: u64) -> Self {
        let len = offset.min(MAX_BEFORE_BYTES as u64);
        let mut before = Self {
            bytes: [0; MAX_BEFORE_BYTES],
            len: usize::try_from(len).unwrap_or_default(),
        };
        if file
            .read_exact_at(&mut before.bytes[..before.len], offset - len)
            .is_err()
        {
            before.len = 0;
        }
        before
    }

    /// Moves on over `bytes`.
    fn push(&mut self, bytes: &[u8]) {
        let newest = &bytes[bytes.len().saturating_sub(MAX_BEFORE_BYTES)..];
        let kept = self.len.min(MAX_BEFORE_BYTES - newest.len());
        self.bytes.copy_within(self.len - kept..self.len, 0);
        self.len = kept + newest.len();
        self.bytes[kept..self.len].copy_from_slice(newest);
    }

    fn print(&self) -> Print {
        Print::of(&self.bytes[..self.len])
    }
}

impl Place {
    /// The start of the file with this `metadata`, first opened at `now`, `after` the place in the one that had the name before.
    pub fn start(path: &Path, metadata: &Metadata, now: SystemTime, after: Option<&Self>) -> Self {
        let turn = after.map_or(0, |after| after.turn + 1);
        let path_crc = path_crc(path);
        let born = metadata.created().unwrap_or(now);
        let mut ident = crc32c::crc32c(&path_crc.to_le_bytes());
        for number in [metadata.ino(), ns(born), turn] {
            ident = crc32c::crc32c_append(ident, &number.to_le_bytes());
        }
        Self {
            path_crc,
            born_ms: unix_ms(born),
            ident,
            inode: metadata.ino(),
            turn,
            offset: 0,
            head: Print::default(),
            before: Print::default(),
            // Just before what it holds now.
            seen_ms: after.map_or(mtime_ms(metadata).saturating_sub(1), |after| after.seen_ms),
        }
    }

    /// The name's CRC.
    pub fn path_crc(&self) -> u32 {
        self.path_crc
    }

    /// The inode the file had when it was opened last.
    pub fn inode(&self) -> u64 {
        self.inode
    }

    /// Bytes before this place.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// How many files the name had before.
    pub fn turn(&self) -> u64 {
        self.turn
    }

    /// Until when all that was written was read.
    pub fn seen_ms(&self) -> u64 {
        self.seen_ms
    }

    /// The file was opened, under whatever inode it has now.
    pub fn open(&mut self, metadata: &Metadata) {
        self.inode = metadata.ino();
    }

    /// All that was written until `mtime_ms` was read, or is missed.
    pub fn see(&mut self, mtime_ms: u64) {
        self.seen_ms = self.seen_ms.max(mtime_ms);
    }

    /// The place after the line that begins here: its `taken` bytes in `file`, of which `raw` are at hand, the last ones.
    pub fn after(&self, taken: u64, raw: &[u8], file: &File, before: &mut Before) -> Self {
        let mut after = *self;
        after.offset += taken;
        if self.offset == 0 {
            let first = &raw[..raw.len().min(MAX_HEAD_BYTES)];
            after.ident = crc32c::crc32c_append(self.ident, first);
        }
        // What was too long, or began with NUL bytes, is not all at hand.
        let is_whole = raw.len() as u64 == taken;
        if is_whole || raw.len() >= MAX_BEFORE_BYTES {
            before.push(raw);
        } else {
            *before = Before::read(file, after.offset);
        }
        after.before = before.print();
        if is_whole && u64::from(self.head.bytes) == self.offset {
            let room = MAX_HEAD_BYTES.saturating_sub(self.head.bytes.into());
            let more = &raw[..raw.len().min(room)];
            after.head = Print {
                bytes: self.head.bytes + u16::try_from(more.len()).unwrap_or_default(),
                crc: crc32c::crc32c_append(self.head.crc, more),
            };
        } else if usize::from(self.head.bytes) < MAX_HEAD_BYTES {
            let mut head = [0; MAX_HEAD_BYTES];
            let len = after.offset.min(MAX_HEAD_BYTES as u64);
            let head = &mut head[..usize::try_from(len).unwrap_or_default()];
            if file.read_exact_at(head, 0).is_ok() {
                after.head = Print::of(head);
            }
        }
        after
    }

    /// Whether `file` still holds what was read: it begins with it, has the same bytes just before this place, and is no shorter.
    pub fn fits(&self, file: &File) -> io::Result<bool> {
        let before = u64::from(self.before.bytes);
        Ok(file.metadata()?.len() >= self.offset
            && self.head.is_at(file, 0)?
            && self
                .before
                .is_at(file, self.offset.saturating_sub(before))?)
    }

    /// The id of a line of this file that begins at `offset`: the file's birth, its turn, the offset, and what tells files of the same
    /// birth apart. `self` is any place behind the first line.
    pub fn id(&self, offset: u64) -> Ulid {
        let (turn, offset) = (self.turn & 0xff, offset & 0xff_ffff_ffff);
        let rest = u128::from(turn) << 72 | u128::from(offset) << 32 | u128::from(self.ident);
        Ulid::new(self.born_ms, rest)
    }

    /// As a position in the spool.
    pub fn position(&self) -> heapless::String<MAX_POSITION_BYTES> {
        let Self {
            path_crc,
            born_ms,
            ident,
            inode,
            turn,
            offset,
            head,
            before,
            seen_ms,
        } = self;
        let (head_bytes, head_crc) = (head.bytes, head.crc);
        let (before_bytes, before_crc) = (before.bytes, before.crc);
        let mut text = heapless::String::new();
        // A word and eleven numbers fit.
        let _ = std::fmt::Write::write_fmt(
            &mut text,
            format_args!(
                "lines {path_crc} {born_ms} {ident} {inode} {turn} {offset} {head_bytes} {head_crc} {before_bytes} {before_crc} {seen_ms}"
            ),
        );
        text
    }

    /// Reads a position; `None` if it is none of a line in a file.
    pub fn parse(position: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(position).ok()?.strip_prefix("lines ")?;
        let mut numbers = text.split(' ').map(|number| number.parse::<u64>().ok());
        let mut next = || numbers.next()?;
        let place = Self {
            path_crc: next()?.try_into().ok()?,
            born_ms: next()?,
            ident: next()?.try_into().ok()?,
            inode: next()?,
            turn: next()?,
            offset: next()?,
            head: Print {
                bytes: next()?.try_into().ok()?,
                crc: next()?.try_into().ok()?,
            },
            before: Print {
                bytes: next()?.try_into().ok()?,
                crc: next()?.try_into().ok()?,
            },
            seen_ms: next()?,
        };
        numbers.next().is_none().then_some(place)
    }
}

/// A file's name as a number; a relative name and the absolute one are the same.
pub fn path_crc(path: &Path) -> u32 {
    let path = absolute(path).unwrap_or_else(|_| path.to_owned());
    crc32c::crc32c(path.as_os_str().as_bytes())
}

/// When a file was last written to, in ms since 1970.
pub fn mtime_ms(metadata: &Metadata) -> u64 {
    metadata.modified().map(unix_ms).unwrap_or_default()
}

fn ns(time: SystemTime) -> u64 {
    let since_1970 = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_1970.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
