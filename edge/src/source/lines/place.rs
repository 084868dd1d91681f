//! A place in a followed file, and the id of the line that begins there.
//!
//! As a position in the spool it is `lines PATH_CRC BORN_MS IDENT INODE TURN OFFSET HEAD_BYTES HEAD_CRC BEFORE_BYTES BEFORE_CRC SEEN_MS`, in
//! decimal. How they identify a file is explained in [`crate::source::lines`].
//!
//! The same line of the same file has the same id whenever it is read, so that a line read twice after a power cut is stored once. `IDENT` includes
//! the turn and the first line, so it separates files that had one inode in turn.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, absolute};
use std::time::SystemTime;

use crate::platform::crc32c;
use crate::platform::time::{since_1970, unix_ms};
use crate::source::lines::id::Ulid;

/// Most bytes of a file's beginning that are compared.
const MAX_HEAD_BYTES: usize = 256;

/// Most bytes before a place that are compared.
const MAX_BEFORE_BYTES: usize = 64;

/// Bytes of the longest position: a word and eleven numbers.
pub const MAX_POSITION_BYTES: usize = 176;

/// The place after a line that was read, or at the start of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The CRC of the name that is followed.
    path_crc: u32,
    /// The file's birth time, in ms since 1970; if the file system does not keep it, when the file was first opened.
    born_ms: u64,
    /// The common part of the ids of its lines. It does not change when the file is copied to another inode.
    ident: u32,
    /// The file's inode when it was last opened.
    inode: u64,
    /// How many files had the name before, counted from the first that was read.
    turn: u64,
    /// Bytes before this place.
    offset: u64,
    head: Print,
    before: Print,
    /// All that was written until this time, in ms since 1970, was read: a file with a later write is younger.
    seen_ms: u64,
}

/// A fingerprint of some bytes: their number and CRC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Print {
    bytes: u16,
    crc: u32,
}

impl Print {
    fn of(bytes: &[u8]) -> Self {
        Self {
            bytes: u16::try_from(bytes.len()).unwrap_or(u16::MAX),
            crc: crc32c::of(bytes),
        }
    }

    /// Whether `file` has these bytes at `offset`.
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

/// The last bytes before a place, as many as are compared.
#[derive(Clone, Debug)]
pub struct Before {
    bytes: [u8; MAX_BEFORE_BYTES],
    len: usize,
}

impl Before {
    /// Reads the bytes before `offset` in `file`; none if they cannot be read.
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

    /// Moves the place over `bytes`.
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
    /// The start of the file with this `metadata`, first opened at `now`. `after` is the place in the file that had the name before.
    pub fn start(path: &Path, metadata: &Metadata, now: SystemTime, after: Option<&Self>) -> Self {
        let turn = after.map_or(0, |after| after.turn + 1);
        let path_crc = path_crc(path);
        let born = metadata.created().unwrap_or(now);
        let mut ident = crc32c::of(&path_crc.to_le_bytes());
        for number in [metadata.ino(), ns(born), turn] {
            ident = crc32c::append(ident, &number.to_le_bytes());
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
            // Just before the last write, so that the file itself is younger.
            seen_ms: after.map_or(mtime_ms(metadata).saturating_sub(1), |after| after.seen_ms),
        }
    }

    /// The CRC of the name that is followed; see [`path_crc`].
    pub fn path_crc(&self) -> u32 {
        self.path_crc
    }

    /// The file's inode when it was last opened.
    pub fn inode(&self) -> u64 {
        self.inode
    }

    /// Bytes before this place.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// How many files had the name before.
    pub fn turn(&self) -> u64 {
        self.turn
    }

    /// Until when all writes were read, in ms since 1970.
    pub fn seen_ms(&self) -> u64 {
        self.seen_ms
    }

    /// Notes the inode of the file that was opened.
    pub fn open(&mut self, metadata: &Metadata) {
        self.inode = metadata.ino();
    }

    /// Notes that all writes until `mtime_ms` were read, or are lost.
    pub fn see(&mut self, mtime_ms: u64) {
        self.seen_ms = self.seen_ms.max(mtime_ms);
    }

    /// The place after the line that begins here and takes `taken` bytes of `file`. `raw` are its last bytes, as far as they are in memory.
    pub fn after(&self, taken: u64, raw: &[u8], file: &File, before: &mut Before) -> Self {
        let mut after = *self;
        after.offset += taken;
        if self.offset == 0 {
            let first = &raw[..raw.len().min(MAX_HEAD_BYTES)];
            after.ident = crc32c::append(self.ident, first);
        }
        // A line that was too long, or began with NUL bytes, is not completely in memory.
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
                crc: crc32c::append(self.head.crc, more),
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

    /// Whether `file` fits: it begins with the same bytes, has the same bytes before this place, and is long enough.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn fits(&self, file: &File) -> io::Result<bool> {
        let before = u64::from(self.before.bytes);
        Ok(file.metadata()?.len() >= self.offset
            && self.head.is_at(file, 0)?
            && self
                .before
                .is_at(file, self.offset.saturating_sub(before))?)
    }

    /// The id of this file's line that begins at `offset`: the file's birth time, its turn, the offset, and the common part of its ids. `self` may be
    /// any place after the first line.
    pub fn id(&self, offset: u64) -> Ulid {
        let (turn, offset) = (self.turn & 0xff, offset & 0xff_ffff_ffff);
        let rest = u128::from(turn) << 72 | u128::from(offset) << 32 | u128::from(self.ident);
        Ulid::new(self.born_ms, rest)
    }

    /// The place as a position in the spool.
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
        // Cannot fail: a word and eleven numbers fit.
        let _ = std::fmt::Write::write_fmt(
            &mut text,
            format_args!(
                "lines {path_crc} {born_ms} {ident} {inode} {turn} {offset} {head_bytes} {head_crc} {before_bytes} {before_crc} {seen_ms}"
            ),
        );
        text
    }

    /// Reads a position; `None` if it is not that of a place in a file.
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

/// The CRC of a file's absolute name.
pub fn path_crc(path: &Path) -> u32 {
    let path = absolute(path).unwrap_or_else(|_| path.to_owned());
    crc32c::of(path.as_os_str().as_bytes())
}

/// When a file was last written to, in ms since 1970.
pub fn mtime_ms(metadata: &Metadata) -> u64 {
    metadata.modified().map(unix_ms).unwrap_or_default()
}

fn ns(time: SystemTime) -> u64 {
    u64::try_from(since_1970(time).as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
