//! Lines of standard input or a file: sensors, logs, anything that prints. Each becomes one record,
//! in an [`envelope`] that says when and where it was read.
//!
//! A file is followed as it grows, is rotated or cut short ([`tail`]), and every line of it has a
//! [`place`] to come back to, from which its id is made. Standard input, a pipe or a serial port is
//! read as it comes ([`pipe`]).

mod envelope;
mod id;
mod pipe;
mod place;
mod pointer;
mod tail;

use std::fs;
use std::io::{self, Read};
use std::path::PathBuf;

use anyhow::Context;

use self::envelope::Envelope;
use self::id::Ulid;
pub use self::pointer::{NoPointer, Pointer};
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
    /// A file, followed as it grows, is rotated, cut short or made anew; or a named pipe or serial
    /// port. It may appear later.
    File(PathBuf),
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
        match &self.settings.input {
            Input::Stdin => pipe::read_stdin(&mut maker),
            Input::File(path) if is_special(path) => pipe::read_device(path, &mut maker),
            Input::File(path) => tail::follow(path, &mut maker),
        }
    }

    fn check(&self) -> anyhow::Result<String> {
        match &self.settings.input {
            Input::Stdin => Ok("standard input, until it ends".to_owned()),
            Input::File(path) if !path.exists() => Ok(format!(
                "{} does not exist yet and is waited for",
                path.display()
            )),
            Input::File(path) => {
                let cannot = || format!("{} cannot be read by this user", path.display());
                fs::File::open(path).with_context(cannot)?;
                Ok(format!("{} can be read", path.display()))
            }
        }
    }
}

/// Whether `path` names a pipe or device, which has no places to come back to.
fn is_special(path: &std::path::Path) -> bool {
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

    /// Hands over what was read, or counts it as not wanted or not usable. What is handed over is flushed before the next read (see
    /// [`Flushed`]): lines come many at a time.
    fn put(&mut self, next: &Next<'_>, id: Ulid, position: &[u8]) -> Result<(), Stopped> {
        match next {
            Next::Line { line, .. } => match plain(line) {
                Ok(line) => self.put_line(line, id, position)?,
                Err(why) => self.feed.unusable("a line", why),
            },
            Next::TooLong(bytes) => {
                let why = Unfit::TooLarge(*bytes as usize);
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
        match Record::new(pointed.as_deref().unwrap_or(sealed.id), sealed.data) {
            Ok(record) => self.feed.write(record, position, line),
            Err(unfit) => {
                self.feed.unusable("a line", unfit);
                Ok(())
            }
        }
    }
}

/// A reader that flushes what was handed over before it reads more.
struct Flushed<'a, R> {
    reader: R,
    feed: &'a Feed,
}

impl<R: Read> Read for Flushed<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.feed.flush();
        self.reader.read(buffer)
    }
}

/// The line as text, or why it is none.
fn plain(line: &[u8]) -> Result<&str, &'static str> {
    if memchr::memchr(0, line).is_some() {
        return Err("it holds a NUL byte");
    }
    std::str::from_utf8(line).map_err(|_| "it is not UTF-8")
}
