//! Lines of standard input or of files: sensors, logs, anything that prints. Each becomes one record, in an [`envelope`] with the time and the host.
//!
//! Standard input, a pipe or a serial port is read as it comes ([`pipe`]). Files are followed as they grow, are rotated or truncated ([`tail`]),
//! several at once ([`follow`]). Every line has a [`place`], from which reading can continue and from which the line's id is made.
//!
//! # How a file is recognised
//!
//! Neither its name nor its inode identifies a file for long: rotation gives the name to another file, a copy (`/var/log` in RAM, a restored backup)
//! has another inode, and an inode is used again. So a place holds several properties:
//!
//! - the **name** that is followed, as a CRC: places of different names are never confused;
//! - the **content**: CRCs of the first 256 bytes, as far as they were read, and of the 64 bytes before the place. A file *fits* if both match
//!   and it is long enough. Content decides; two files with the same beginning differ before the place;
//! - the **inode**, which is compared first, and which alone decides while nothing was read;
//! - the **time** of the file's last write that was seen: a younger file had the name later;
//! - the **turn**: how many files had the name before. It orders two places, and separates the ids of files that had one inode in turn;
//! - the common part of the ids of the file's lines: the file's birth time, and a CRC of name, inode, birth time, turn and first line. It does not
//!   change when the file moves to another inode, and is the same if the file is read again from its start.
//!
//! When a file is rotated, truncated, or missing at the start of the program:
//!
//! 1. The file that was being read is searched: by inode, then by content: under its name, beside it, and beside its link's target. It is read
//!    to its end, with a last line that has no newline.
//! 2. Then come the [`siblings`] younger than it, oldest first, and at last the file that has the name now.
//! 3. What was deleted or compressed is a gap: it is logged, with its size if that is known, and counted ([`Feed::gap`]).
//!
//! In doubt, lines are read again rather than left out.

mod access;
pub(crate) mod envelope;
mod follow;
pub(crate) mod id;
mod next;
mod pattern;
mod pipe;
mod place;
mod places;
mod pointer;
mod siblings;
mod tail;
pub(crate) mod text;

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::bail;

use self::envelope::Envelope;
use self::id::Ulid;
pub use self::pointer::{NoPointer, Pointer};
use self::text::Text;
use crate::post::filter::Filter;
use crate::post::record::{Record, Unfit};
use crate::source::lenient;
use crate::source::split::Next;
use crate::source::{Feed, Source, Stopped};

/// Which lines are read, and how they become records.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where lines come from.
    pub input: Input,
    /// Which lines are wanted; `None` for all.
    pub filter: Option<Filter>,
    /// Where the partition key is in a line of JSON. A line without it has its id as the key.
    pub partition_key: Option<Pointer>,
    /// The host's name, `from` in the envelope.
    pub host: String,
}

/// Where lines come from (`--input`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// Standard input: its end ends the source.
    Stdin,
    /// Files, which are followed as they grow, are rotated, truncated or replaced; or one named pipe or serial port. They need not exist yet. A name
    /// with `*` or `?` stands for all files that match it.
    Files(Vec<PathBuf>),
}

impl fmt::Display for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stdin => f.write_str("standard input"),
            Self::Files(paths) => {
                for (index, path) in paths.iter().enumerate() {
                    let comma = if index > 0 { ", " } else { "" };
                    write!(f, "{comma}{}", path.display())?;
                }
                Ok(())
            }
        }
    }
}

/// A source of lines.
#[derive(Debug)]
pub struct Lines {
    settings: Settings,
}

impl Lines {
    /// A source that begins to read when it is run.
    pub fn new(settings: Settings) -> Self {
        Self { settings }
    }
}

impl Source for Lines {
    fn run(&mut self, feed: &Feed) -> anyhow::Result<()> {
        let mut maker = Maker::new(&self.settings, feed);
        let paths = match &self.settings.input {
            Input::Stdin => return pipe::read_stdin(&mut maker),
            Input::Files(paths) => paths,
        };
        if let Some(folder) = paths.iter().find(|path| path.is_dir()) {
            bail!("{} is a folder: name a file", folder.display());
        }
        match paths.as_slice() {
            [path] if is_special(path) => pipe::read_device(path, &mut maker),
            paths => {
                if let Some(path) = paths.iter().find(|path| is_special(path)) {
                    bail!(
                        "{} is a pipe or a device: it must be the only --input",
                        path.display()
                    );
                }
                follow::follow(paths, &mut maker);
                Ok(())
            }
        }
    }

    fn check(&self) -> anyhow::Result<String> {
        match &self.settings.input {
            Input::Stdin => Ok("standard input, until it ends".to_owned()),
            Input::Files(paths) => access::check(paths),
        }
    }
}

/// Whether `path` names a pipe or a device, which cannot be read again from a place.
fn is_special(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| !metadata.is_file() && !metadata.is_dir())
}

/// Makes records from lines, in buffers that are reused.
#[derive(Debug)]
struct Maker<'a> {
    feed: &'a Feed,
    settings: &'a Settings,
    envelope: Envelope,
}

impl<'a> Maker<'a> {
    fn new(settings: &'a Settings, feed: &'a Feed) -> Self {
        Self {
            feed,
            settings,
            envelope: Envelope::new(&settings.host),
        }
    }

    /// Passes a line on to the feed, or counts it as filtered or unusable. `is_first` says that it is the first of its file. The caller must flush
    /// the feed before its next read.
    fn put(
        &mut self,
        next: &Next<'_>,
        id: Ulid,
        position: &[u8],
        is_first: bool,
    ) -> Result<(), Stopped> {
        match next {
            Next::Line { line, raw, taken } => {
                let Text { text, is_mended } = Text::of(line, is_first);
                let is_mended = is_mended || raw.len() as u64 != *taken;
                self.feed.counters.mended.add(is_mended.into());
                // A line of only NUL bytes is left out.
                if !(is_mended && text.is_empty()) {
                    self.put_line(&text, id, position)?;
                }
            }
            Next::TooLong(bytes) => {
                let why = Unfit::TooLarge(*bytes as usize, self.feed.max_record_bytes);
                self.feed.unusable("a line", why);
            }
            Next::End => {}
        }
        Ok(())
    }

    fn put_line(&mut self, line: &str, id: Ulid, position: &[u8]) -> Result<(), Stopped> {
        let filter = self.settings.filter.as_ref();
        if !filter.is_none_or(|filter| filter.matches(line)) {
            self.feed.counters.filtered.add(1);
            return Ok(());
        }
        let json = lenient::json(line);
        let pointer = self.settings.partition_key.as_ref();
        let pointed = pointer.and_then(|pointer| pointer.text_in(json?));
        let now = self.feed.clock.wall();
        let sealed = self.envelope.seal(line, json, id, now);
        let key = pointed.as_deref().unwrap_or(sealed.id);
        match Record::new(key, sealed.data, self.feed.max_record_bytes) {
            Ok(record) => self.feed.write(record, position, line),
            Err(unfit) => {
                self.feed.unusable("a line", unfit);
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests;
