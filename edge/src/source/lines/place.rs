//! A place in a followed file, and the id of the line that begins there.
//!
//! The file is known by its inode and birth, not by its name or device: both change, by rotation
//! and by a reboot. Its first bytes tell whether it still holds what was read. The same line of the
//! same file has the same id whenever it is read, so that what a power cut makes the program read
//! twice is stored once; `cuts` keeps the lines apart that a file held at one offset before and
//! after it was cut short.
//!
//! As a position in the spool it is written `file PATH_CRC INODE BORN_NS CUTS OFFSET HEAD_BYTES
//! HEAD_CRC`, in decimal.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, absolute};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::source::lines::id::Ulid;

/// The most of a file's beginning that tells it from another.
const MAX_HEAD_BYTES: usize = 256;

/// The longest text of a position: a word and seven numbers.
pub const MAX_POSITION_BYTES: usize = 160;

/// Right after a line that was read, or at the start of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The name the user gave, as a CRC: places under another name are none of this one's.
    path_crc: u32,
    inode: u64,
    /// When the file was made, in ns since 1970; where the file system does not know, when it was
    /// first opened.
    born_ns: u64,
    /// How often it was cut short.
    cuts: u64,
    /// Bytes before this place.
    pub offset: u64,
    head_bytes: u16,
    head_crc: u32,
}

impl Place {
    /// The start of the file with this `metadata`, first opened at `now`.
    pub fn start(path: &Path, metadata: &Metadata, now: SystemTime) -> Self {
        Self {
            path_crc: path_crc(path),
            inode: metadata.ino(),
            born_ns: born_ns(metadata).unwrap_or_else(|| ns(now)),
            cuts: 0,
            offset: 0,
            head_bytes: 0,
            head_crc: 0,
        }
    }

    /// The start of the same file, after it was cut short.
    pub fn cut(self) -> Self {
        Self {
            cuts: self.cuts + 1,
            offset: 0,
            head_bytes: 0,
            head_crc: 0,
            ..self
        }
    }

    /// Moves on by the `taken` bytes of a line of `file`.
    pub fn advance(&mut self, taken: u64, file: &File) {
        self.offset += taken;
        if usize::from(self.head_bytes) == MAX_HEAD_BYTES {
            return;
        }
        let head_bytes = self.offset.min(MAX_HEAD_BYTES as u64) as u16;
        // If the file was cut short meanwhile, the head known so far shows it.
        if let Ok(crc) = head_crc(file, head_bytes) {
            (self.head_bytes, self.head_crc) = (head_bytes, crc);
        }
    }

    /// Whether `file` is the one this place is in, whatever has become of its content.
    pub fn is_of(&self, metadata: &Metadata) -> bool {
        let same_birth = born_ns(metadata).is_none_or(|born| born == self.born_ns);
        metadata.is_file() && metadata.ino() == self.inode && same_birth
    }

    /// Whether `file` still begins with what was read.
    pub fn fits(&self, file: &File) -> bool {
        head_crc(file, self.head_bytes).is_ok_and(|crc| crc == self.head_crc)
    }

    /// The id of the line that begins here: the file's birth, then cuts, offset, and what tells
    /// files of the same birth apart.
    pub fn id(&self) -> Ulid {
        let mut crc = crc32c::crc32c(&self.path_crc.to_le_bytes());
        for number in [self.inode, self.born_ns, self.cuts] {
            crc = crc32c::crc32c_append(crc, &number.to_le_bytes());
        }
        let (cuts, offset) = (self.cuts & 0xff, self.offset & 0xff_ffff_ffff);
        let rest = u128::from(cuts) << 72 | u128::from(offset) << 32 | u128::from(crc);
        Ulid::new(self.born_ns / 1_000_000, rest)
    }

    /// As a position in the spool.
    pub fn position(&self) -> heapless::String<MAX_POSITION_BYTES> {
        let Self {
            path_crc,
            inode,
            born_ns,
            cuts,
            offset,
            head_bytes,
            head_crc,
        } = self;
        let mut text = heapless::String::new();
        // A word and seven numbers fit.
        let _ = std::fmt::Write::write_fmt(
            &mut text,
            format_args!(
                "file {path_crc} {inode} {born_ns} {cuts} {offset} {head_bytes} {head_crc}"
            ),
        );
        text
    }

    /// Reads a position in the file of that name; `None` if it is another's, or there is none.
    pub fn parse(position: &[u8], path: &Path) -> Option<Self> {
        let text = std::str::from_utf8(position).ok()?.strip_prefix("file ")?;
        let mut numbers = text.split(' ').map(|number| number.parse::<u64>().ok());
        let mut next = || numbers.next()?;
        let place = Self {
            path_crc: next()?.try_into().ok()?,
            inode: next()?,
            born_ns: next()?,
            cuts: next()?,
            offset: next()?,
            head_bytes: next()?.try_into().ok()?,
            head_crc: next()?.try_into().ok()?,
        };
        (place.path_crc == path_crc(path)).then_some(place)
    }
}

fn path_crc(path: &Path) -> u32 {
    let path = absolute(path).unwrap_or_else(|_| path.to_owned());
    crc32c::crc32c(path.as_os_str().as_bytes())
}

fn born_ns(metadata: &Metadata) -> Option<u64> {
    metadata.created().ok().map(ns)
}

fn ns(time: SystemTime) -> u64 {
    let since_1970 = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_1970.as_nanos()).unwrap_or(u64::MAX)
}

/// The CRC of the first `bytes` of `file`; an error if there are fewer.
fn head_crc(file: &File, bytes: u16) -> io::Result<u32> {
    let mut head = [0; MAX_HEAD_BYTES];
    let head = head
        .get_mut(..usize::from(bytes))
        .ok_or(io::ErrorKind::InvalidInput)?;
    file.read_exact_at(head, 0)?;
    Ok(crc32c::crc32c(head))
}

#[cfg(test)]
mod tests;
