//! Lines of standard input or of files: sensors, logs, anything that prints. Each becomes one record, in an [`envelope`] that says when
//! and where it was read.
//!
//! Standard input, a pipe or a serial port is read as it comes ([`pipe`]). Files are followed as they grow, are rotated or cut short
//! ([`tail`]), several at once ([`follow`]), and every line has a [`place`] to come back to, from which its id is made.
//!
//! # Which file is it?
//!
//! Neither a name nor an inode says so for long: rotation takes the name, a copy (`/var/log` in RAM, a restored backup) has another
//! inode, and an inode is used again. So a place holds several things that were seen together:
//!
//! - the **name** that is followed, as a CRC: one name's places are never taken for another's;
//! - the **content**: a CRC of the first 256 bytes, as far as they were read, and of the 64 just before the place. A file *fits* if it
//!   has both, and is at least as long as the place is far. Content decides; two files with the same beginning differ before the place;
//! - the **inode**, which is asked first, and alone where nothing was read yet;
//! - the **time** the file was last written to, as far as was seen: what is younger had the name later;
//! - the **turn**: how many files the name had before. It tells which of two places is the later, and keeps the ids of what one inode
//!   held one after the other apart;
//! - what the ids of the file's lines have in common: its birth, and a CRC of name, inode, birth, turn and first line. It stays when the
//!   file moves to another inode, and is the same when the file is read again from its start.
//!
//! Whenever a file is left, cut short, or not where it was at the start of the program:
//!
//! 1. What was being read is looked for: by inode, then under its name, then beside it and beside its link's target, by content. It is
//!    read to its end, with a last line that nobody will end any more.
//! 2. Then come the [`siblings`] younger than it, the oldest first, and at last the file that has the name now.
//! 3. What is gone or compressed is a gap: said with its size where that is known, and counted ([`Feed::gap`]).
//!
//! Where two answers are possible, lines are rather read again than left out.

mod access;
mod envelope;
mod follow;
mod id;
mod next;
mod pattern;
mod pipe;
mod place;
mod places;
mod pointer;
mod siblings;
mod tail;
mod text;

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

/// Which lines are read, and what becomes of them.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where they come from.
    pub input: Input,
    /// Which are wanted; `None` is all.
    pub filter: Option<Filter>,
    /// Where in a line of JSON the partition key stands; a line without it goes by its id.
    pub partition_key: Option<Pointer>,
    /// This machine's name: `from` in the envelope.
    pub host: String,
}

/// A place that lines come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// Standard input: its end ends the source.
    Stdin,
    /// Files, followed as they grow, are rotated, cut short or made anew; or one named pipe or serial port. They may appear later. A name
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
    /// Lines that are read when it is run.
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

/// Whether `path` names a pipe or device, which has no places to come back to.
fn is_special(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| !metadata.is_file() && !metadata.is_dir())
}

/// Makes records of lines, in memory that is used again.
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

    /// Hands over what was read, or counts it as not wanted or not usable; `is_first` in its file. What is handed over is to be flushed
    /// before the next read: lines come many at a time.
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
                // Of nothing but NUL bytes nothing is left.
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
