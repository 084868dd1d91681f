//! A file followed by its name, as `tail -F` does: as it grows, is rotated away, cut short, deleted
//! and made anew.
//!
//! At its end a file is looked at again and again. When its name has gone to another file, the old
//! one is read to its very end first: who writes it may not know yet. After a restart, reading goes
//! on where the spool has it, in the rotated file if need be.

use std::convert::Infallible;
use std::fs::{self, File};
use std::io::{self, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::bail;
use log::{Level, error, info, warn};

use crate::post::record::MAX_RECORD_BYTES;
use crate::source::Stopped;
use crate::source::lines::place::Place;
use crate::source::lines::{Flushed, Maker};
use crate::source::split::{LineSplitter, Next};

/// How often the end of a file is looked at.
const LOOK: Duration = Duration::from_millis(200);

/// How often a rotated file's end must be seen before it is left.
const LAST_LOOKS: u32 = 5;

/// Follows the file at `path` until the feed is stopped.
pub fn follow(path: &Path, maker: &mut Maker<'_>) -> anyhow::Result<()> {
    if path.is_dir() {
        bail!("{} is a folder: name a file", path.display());
    }
    let Err(Stopped) = Tail::open(path, maker).and_then(|mut tail| tail.follow(maker));
    Ok(())
}

/// The file that is being read.
struct Tail {
    path: PathBuf,
    file: File,
    /// Right after the last line handed over.
    place: Place,
    lines: LineSplitter,
    /// How often the end was seen in a row since the name went to another file.
    last_looks: u32,
}

impl Tail {
    /// Opens the file where an earlier run left it, else at its start; waits for it to appear.
    fn open(path: &Path, maker: &Maker<'_>) -> Result<Self, Stopped> {
        let (mut file, place) = match resume(path, maker) {
            Some(found) => found,
            None => start(path, maker)?,
        };
        if let Err(error) = file.seek(SeekFrom::Start(place.offset)) {
            warn!("{} is read from its start: {error}", path.display());
        }
        Ok(Self {
            path: path.to_owned(),
            file,
            place,
            lines: LineSplitter::new(MAX_RECORD_BYTES),
            last_looks: 0,
        })
    }

    fn follow(&mut self, maker: &mut Maker<'_>) -> Result<Infallible, Stopped> {
        loop {
            let mut result = self.read_to_end(maker)?;
            maker.feed.sleep(LOOK)?;
            if result.is_ok() {
                result = self.look(maker)?;
            }
            match result {
                Ok(()) => maker.feed.well(),
                Err(error) => {
                    let path = self.path.display();
                    let text = format!("{path} cannot be read: {error}; trying again");
                    maker.feed.trouble(Level::Warn, &text);
                }
            }
        }
    }

    /// Hands over all whole lines there are.
    fn read_to_end(&mut self, maker: &mut Maker<'_>) -> Result<io::Result<()>, Stopped> {
        let mut reader = Flushed {
            reader: &self.file,
            feed: maker.feed,
        };
        loop {
            let id = self.place.id();
            match self.lines.next(&mut reader) {
                Ok(Next::End) => return Ok(Ok(())),
                Ok(next) => {
                    self.last_looks = 0;
                    self.place.advance(next.taken(), &self.file);
                    maker.put(&next, id, self.place.position().as_bytes())?;
                }
                Err(error) => return Ok(Err(error)),
            }
        }
    }

    /// At the end of the file, before more is read: finds out whether it was cut short, or its name
    /// went to another.
    fn look(&mut self, maker: &mut Maker<'_>) -> Result<io::Result<()>, Stopped> {
        match self.change() {
            Ok(Change::None) => self.last_looks = 0,
            Ok(Change::Cut) => {
                info!(
                    "{} was cut short: reading it from its start",
                    self.path.display()
                );
                self.lines.clear();
                self.place = self.place.cut();
                return Ok(self.file.rewind());
            }
            Ok(Change::Replaced) => {
                self.last_looks += 1;
                if self.last_looks > LAST_LOOKS {
                    return self.replace(maker);
                }
            }
            Err(error) => return Ok(Err(error)),
        }
        Ok(Ok(()))
    }

    fn change(&mut self) -> io::Result<Change> {
        let own = self.file.metadata()?;
        if own.len() < self.file.stream_position()? || !self.place.fits(&self.file) {
            return Ok(Change::Cut);
        }
        match fs::metadata(&self.path) {
            Ok(named) if (named.dev(), named.ino()) == (own.dev(), own.ino()) => Ok(Change::None),
            Ok(_) => Ok(Change::Replaced),
            // Rotation takes the name away before it gives it to a new file.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Change::None),
            Err(error) => Err(error),
        }
    }

    /// Goes on with the file that has the name now.
    fn replace(&mut self, maker: &mut Maker<'_>) -> Result<io::Result<()>, Stopped> {
        let (file, place) = match open(&self.path, maker) {
            Ok(opened) => opened,
            Err(error) => return Ok(Err(error)),
        };
        let last = self.read_to_end(maker)?;
        let id = self.place.id();
        // Nobody will end the last line any more.
        if let Some(rest) = self.lines.rest() {
            self.place.advance(rest.taken(), &self.file);
            maker.put(&rest, id, self.place.position().as_bytes())?;
            maker.feed.flush();
        }
        info!(
            "{} is a new file: reading it from its start",
            self.path.display()
        );
        (self.file, self.place, self.last_looks) = (file, place, 0);
        Ok(last)
    }
}

/// What happened to a file since it was last looked at.
enum Change {
    None,
    /// It no longer holds what was read of it.
    Cut,
    /// Its name belongs to another.
    Replaced,
}

/// Finds the place where an earlier run ended, if there was one: in the file of that name, or in
/// one beside it that had the name.
fn resume(path: &Path, maker: &Maker<'_>) -> Option<(File, Place)> {
    let place = Place::parse(&maker.feed.position(), path)?;
    let named = File::open(path).ok().filter(|file| is_of(&place, file));
    let is_named = named.is_some();
    let Some(file) = named.or_else(|| rotated(path, &place)) else {
        warn!(
            "the file that was {} before is gone: what it held after byte {} is missed",
            path.display(),
            place.offset
        );
        return None;
    };
    let is_whole = file
        .metadata()
        .is_ok_and(|metadata| metadata.len() >= place.offset)
        && place.fits(&file);
    match (is_whole, is_named) {
        (true, _) => Some((file, place)),
        (false, true) => Some((file, place.cut())),
        (false, false) => None,
    }
}

/// The file that `place` is in, among those beside `path`.
fn rotated(path: &Path, place: &Place) -> Option<File> {
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    let beside = fs::read_dir(folder).ok()?.flatten();
    // An entry's own inode number spares opening, and so waking, pipes and devices.
    let same_inode = beside.filter(|entry| {
        entry
            .metadata()
            .is_ok_and(|metadata| place.is_of(&metadata))
    });
    same_inode
        .filter_map(|entry| File::open(entry.path()).ok())
        .find(|file| is_of(place, file) && place.fits(file))
}

fn is_of(place: &Place, file: &File) -> bool {
    file.metadata().is_ok_and(|metadata| place.is_of(&metadata))
}

/// Opens the file at its start, as soon as there is one.
fn start(path: &Path, maker: &Maker<'_>) -> Result<(File, Place), Stopped> {
    let mut told = None;
    loop {
        match open(path, maker) {
            Ok(opened) => return Ok(opened),
            Err(error) if told == Some(error.kind()) => {}
            Err(error) => {
                told = Some(error.kind());
                if error.kind() == io::ErrorKind::NotFound {
                    warn!("there is no {} yet: waiting for it", path.display());
                } else {
                    error!(
                        "{} cannot be read: {error}; give this program the right to",
                        path.display()
                    );
                }
            }
        }
        maker.feed.sleep(LOOK)?;
    }
}

fn open(path: &Path, maker: &Maker<'_>) -> io::Result<(File, Place)> {
    let file = File::open(path)?;
    let place = Place::start(path, &file.metadata()?, maker.feed.clock.wall());
    Ok((file, place))
}
