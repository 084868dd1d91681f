//! Lines of standard input or a file: sensors, logs, anything that prints. Each becomes one record, in an [`envelope`] that says
//! when and where it was read.

mod envelope;
mod id;
mod pointer;

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use log::info;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use self::envelope::Envelope;
use self::id::Run;
pub use self::pointer::Pointer;
use super::report::Unusable;
use super::split::{self, Next};
use super::{Feed, Source, Stopped};
use crate::filter::Filter;
use crate::record::{MAX_RECORD_BYTES, Record};

/// How long a stop may go unseen while no line comes.
const SLICE: Duration = Duration::from_millis(250);

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
    /// A file, followed as it grows, is rotated, cut short or made anew.
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
        match &self.settings.input {
            Input::Stdin => {
                let stdin = io::stdin().as_fd().try_clone_to_owned();
                let stdin = File::from(stdin.context("standard input cannot be read")?);
                self.read_to_end(stdin, feed)
            }
            Input::File(path) => {
                let file = File::open(path)
                    .with_context(|| format!("{} cannot be read", path.display()))?;
                self.read_to_end(file, feed)
            }
        }
    }
}

impl Lines {
    /// Reads what has a beginning and an end but no places to come back to.
    fn read_to_end(&self, file: File, feed: &Feed) -> anyhow::Result<()> {
        let mut reader = Patient { file, feed };
        let mut run = Run::new()?;
        let mut maker = Maker::new(&self.settings);
        let mut lines = split::Lines::new(MAX_RECORD_BYTES);
        loop {
            let next = match lines.next(&mut reader) {
                Ok(next) => next,
                Err(_) if feed.stop.asked() => return Ok(()),
                Err(error) => return Err(error).context("standard input cannot be read"),
            };
            let (next, is_last) = match next {
                // A last line may lack its newline.
                Next::End => match lines.rest() {
                    Some(rest) => (rest, true),
                    None => return Ok(()),
                },
                next => (next, false),
            };
            let id = run.next(feed.clock.wall());
            if maker.put(feed, &next, id, b"").is_err() {
                return Ok(());
            }
            if is_last {
                info!("the input has ended");
                return Ok(());
            }
        }
    }
}

/// Makes records of lines, in memory that is used again.
#[derive(Debug)]
struct Maker<'a> {
    settings: &'a Settings,
    envelope: Envelope,
    unusable: Unusable,
}

impl<'a> Maker<'a> {
    fn new(settings: &'a Settings) -> Self {
        Self {
            settings,
            envelope: Envelope::new(&settings.host),
            unusable: Unusable::default(),
        }
    }

    /// Hands over a line, or counts it as not wanted or not usable.
    fn put(
        &mut self,
        feed: &Feed,
        next: &Next<'_>,
        id: id::Ulid,
        position: &[u8],
    ) -> Result<(), Stopped> {
        let line = match next {
            Next::Line { line, .. } => *line,
            Next::TooLong(bytes) => {
                let why = format_args!("{bytes} bytes; a record holds {MAX_RECORD_BYTES}");
                self.unusable.count(feed, "a line", why);
                return Ok(());
            }
            Next::End => return Ok(()),
        };
        if memchr::memchr(0, line).is_some() {
            self.unusable.count(feed, "a line", "it holds a NUL byte");
            return Ok(());
        }
        let Ok(line) = std::str::from_utf8(line) else {
            self.unusable.count(feed, "a line", "it is not UTF-8");
            return Ok(());
        };
        if !self
            .settings
            .filter
            .as_ref()
            .is_none_or(|filter| filter.matches(line))
        {
            feed.counters.filtered.add(1);
            return Ok(());
        }
        let sealed = self.envelope.seal(line, id, feed.clock.wall());
        let pointed = self
            .settings
            .partition_key
            .as_ref()
            .and_then(|pointer| pointer.text_in(line));
        let key = pointed.as_deref().unwrap_or(sealed.id);
        match Record::new(key, sealed.data) {
            Ok(record) => feed.put(record, position, line),
            Err(unfit) => {
                self.unusable.count(feed, "a line", unfit);
                Ok(())
            }
        }
    }
}

/// A file that is waited for in slices, so that a stop is seen.
struct Patient<'a> {
    file: File,
    feed: &'a Feed,
}

impl Read for Patient<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let slice = Timespec {
            tv_sec: 0,
            tv_nsec: SLICE.subsec_nanos().into(),
        };
        loop {
            self.feed.alive();
            if self.feed.stop.asked() {
                return Err(io::Error::other("the program is ending"));
            }
            let mut waits = [PollFd::new(&self.file, PollFlags::IN)];
            match poll(&mut waits, Some(&slice)) {
                Ok(0) | Err(rustix::io::Errno::INTR) => {}
                Ok(_) => return self.file.read(buffer),
                Err(error) => return Err(error.into()),
            }
        }
    }
}
