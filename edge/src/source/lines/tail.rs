//! One followed file: what is read, and where to go on when its name goes to another, or it is cut short.
//!
//! When the name has gone to another file, the old one is read to its very end first: who writes it may not know yet. Then come the
//! files that had the name between the two, the oldest first, and then the one that has it now.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf, absolute};

use log::info;

use crate::source::lines::Maker;
use crate::source::lines::next::{Found, Gone, Search, open_file};
use crate::source::lines::place::{Before, Place, mtime_ms};
use crate::source::lines::places::{Entry, Places};
use crate::source::lines::siblings;
use crate::source::split::{LineSplitter, Next};
use crate::source::{Feed, Stopped};

/// How often a rotated file's end must be seen before it is left.
const LAST_LOOKS: u32 = 5;

/// How much of one file is read before the others have their turn: so many reads.
const READS_A_TURN: u32 = 64;

/// What a step of a tail gives: trouble that may heal, or the end of the program.
pub type Step<T> = Result<io::Result<T>, Stopped>;

/// A file that is followed by its name.
#[derive(Debug)]
pub struct Tail {
    path: PathBuf,
    open: Option<Open>,
    /// How often the end was seen in a row since the name went to another file.
    last_looks: u32,
    is_over: bool,
}

/// The file that is being read.
#[derive(Debug)]
struct Open {
    file: File,
    /// Right after the last line handed over.
    place: Place,
    before: Before,
    lines: LineSplitter,
    /// How long the file was when it was last looked at.
    seen_bytes: u64,
    /// Whether it is known that nothing comes before it.
    is_first: bool,
}

impl Tail {
    /// Follows the file at `path`, from the next turn on.
    pub fn new(path: &Path) -> Self {
        Self {
            path: absolute(path).unwrap_or_else(|_| path.to_owned()),
            open: None,
            last_looks: 0,
            is_over: false,
        }
    }

    /// The name that is followed.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the file was deleted, and read to its end, and no other has its name.
    pub fn is_over(&self) -> bool {
        self.is_over
    }

    /// Takes what is left for a line: the file is deleted, and followed no more.
    pub fn end(mut self, maker: &mut Maker<'_>, places: &mut Places) -> Step<()> {
        let result = match &mut self.open {
            Some(open) => open.read_last(maker, places)?,
            None => Ok(()),
        };
        places.forget(&self.path);
        Ok(result)
    }

    /// Hands over the whole lines there are, up to a bound, and looks what became of the file. Returns whether there may be more at
    /// once.
    pub fn turn(&mut self, maker: &mut Maker<'_>, places: &mut Places) -> Step<bool> {
        if self.open.is_none() {
            match self.begin(maker.feed, places)? {
                Ok(()) => {}
                Err(error) => return Ok(Err(error)),
            }
        }
        match self.is_first(maker.feed, places)? {
            Ok(true) => {}
            Ok(false) => return Ok(Ok(true)),
            Err(error) => return Ok(Err(error)),
        }
        let Some(open) = &mut self.open else {
            return Ok(Ok(false));
        };
        for _ in 0..READS_A_TURN {
            match open.is_cut(places) {
                Ok(false) => {}
                Ok(true) => return self.go_on_after_a_cut(maker.feed, places),
                Err(error) => return Ok(Err(error)),
            }
            match open.read(maker, places)? {
                Ok(true) => self.last_looks = 0,
                Ok(false) => return self.at_the_end(maker, places),
                Err(error) => return Ok(Err(error)),
            }
        }
        Ok(Ok(true))
    }

    /// Opens the file, if it is there, and notes that it is followed: from now on it is found again, wherever it goes.
    pub fn enter(&mut self, feed: &Feed, places: &mut Places) -> Result<(), Stopped> {
        if self.open.is_none() {
            // The turn that follows tells what is wrong.
            let _ = self.begin(feed, places)?;
        }
        Ok(())
    }

    /// Opens the file where an earlier run left it, else at its start.
    fn begin(&mut self, feed: &Feed, places: &mut Places) -> Step<()> {
        let Some(Entry { place, real }) = places.of(&self.path).cloned() else {
            return match open_file(&self.path) {
                Ok((file, now)) => {
                    let place = Place::start(&self.path, &now, feed.clock.wall(), None);
                    let path = self.path.clone();
                    self.open(file, &path, place, feed, places).map(Ok)
                }
                Err(error) => Ok(Err(error)),
            };
        };
        let gone = if place.offset() > 0 {
            Gone::Unknown
        } else {
            Gone::Nothing
        };
        let search = Search {
            path: self.path.clone(),
            real,
            place,
        };
        match self.go_on_elsewhere(&search, gone, feed, places)? {
            Ok(true) => Ok(Ok(())),
            Ok(false) => Ok(Err(io::ErrorKind::NotFound.into())),
            Err(error) => Ok(Err(error)),
        }
    }

    fn open(
        &mut self,
        file: File,
        at: &Path,
        mut place: Place,
        feed: &Feed,
        places: &mut Places,
    ) -> Result<(), Stopped> {
        if let Ok(now) = file.metadata() {
            place.open(&now);
        }
        self.last_looks = 0;
        self.open = Some(Open {
            before: Before::read(&file, place.offset()),
            seen_bytes: place.offset(),
            is_first: false,
            lines: LineSplitter::new(feed.max_record_bytes),
            file,
            place,
        });
        let real = fs::canonicalize(at).ok();
        places.opened(&self.path, Entry { place, real }, feed)
    }

    /// Whether nothing comes before this file, of which nothing was read yet. What it held may have been copied, and cut off, while it had
    /// no beginning to know it by: then goes on with that copy.
    fn is_first(&mut self, feed: &Feed, places: &mut Places) -> Step<bool> {
        let Some(open) = self.open.as_mut().filter(|open| open.place.offset() == 0) else {
            return Ok(Ok(true));
        };
        let own = match open.file.metadata() {
            Ok(own) if own.len() > 0 && !open.is_first => own,
            Ok(_) => return Ok(Ok(true)),
            Err(error) => return Ok(Err(error)),
        };
        let search = search(&self.path, &open.place, places);
        match search.before(&own) {
            Ok(Ok(found)) => {
                self.go_on_with(found, &search.place, feed, places)?;
                return Ok(Ok(false));
            }
            Ok(Err(missed)) => {
                open.place.see(missed.until_ms);
                open.is_first = true;
                missed.tell(feed);
            }
            Err(error) => return Ok(Err(error)),
        }
        Ok(Ok(true))
    }

    /// All was read: finds out whether the name went to another file.
    fn at_the_end(&mut self, maker: &mut Maker<'_>, places: &mut Places) -> Step<bool> {
        match self.next_of_a_left_one(places) {
            Ok(Some(next)) => {
                let Some(open) = &mut self.open else {
                    return Ok(Ok(false));
                };
                if let Err(error) = open.read_last(maker, places)? {
                    return Ok(Err(error));
                }
                let place = open.place;
                self.go_on_with(next, &place, maker.feed, places)?;
                Ok(Ok(true))
            }
            Ok(None) => Ok(Ok(false)),
            Err(error) => Ok(Err(error)),
        }
    }

    /// What comes after this file, once its name is another's and its end was seen often enough.
    fn next_of_a_left_one(&mut self, places: &Places) -> io::Result<Option<Found>> {
        let Some(open) = &mut self.open else {
            return Ok(None);
        };
        let own = open.file.metadata()?;
        match fs::metadata(&self.path) {
            Ok(named) if siblings::inode(&named) == siblings::inode(&own) => {
                self.last_looks = 0;
                return Ok(None);
            }
            Ok(_) => {}
            // Rotation takes the name away before it gives it to a new file.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        self.last_looks += 1;
        if self.last_looks <= LAST_LOOKS {
            return Ok(None);
        }
        self.last_looks = 0;
        let next = search(&self.path, &open.place, places).after(Some(&own), Gone::Nothing)?;
        self.is_over = next.is_none() && own.nlink() == 0;
        Ok(next)
    }

    /// The file no longer holds what was read of it: goes on in a copy of what it held, if there is one.
    fn go_on_after_a_cut(&mut self, feed: &Feed, places: &mut Places) -> Step<bool> {
        let Some(open) = &self.open else {
            return Ok(Ok(false));
        };
        info!("{} was cut short", self.path.display());
        let gone = Gone::Bytes(open.seen_bytes.saturating_sub(open.place.offset()));
        self.go_on_elsewhere(&search(&self.path, &open.place, places), gone, feed, places)
    }

    /// Goes on in whatever file holds now what was read, else after what is gone. Returns whether there is any.
    fn go_on_elsewhere(
        &mut self,
        search: &Search,
        gone: Gone,
        feed: &Feed,
        places: &mut Places,
    ) -> Step<bool> {
        let Search { path, real, place } = search;
        match siblings::holding(path, real.as_deref(), place) {
            Ok(Some((file, path))) => self.open(file, &path, *place, feed, places)?,
            Ok(None) => match search.after(None, gone) {
                Ok(Some(next)) => self.go_on_with(next, place, feed, places)?,
                Ok(None) => return Ok(Ok(false)),
                Err(error) => return Ok(Err(error)),
            },
            Err(error) => return Ok(Err(error)),
        }
        Ok(Ok(true))
    }

    /// Reads that file from its start.
    fn go_on_with(
        &mut self,
        next: Found,
        before: &Place,
        feed: &Feed,
        places: &mut Places,
    ) -> Result<(), Stopped> {
        let Found {
            file,
            now,
            path,
            missed,
        } = next;
        let until_ms = missed.until_ms;
        missed.tell(feed);
        info!(
            "{} is the next file of {}: reading it from its start",
            path.display(),
            self.path.display()
        );
        let mut place = Place::start(&self.path, &now, feed.clock.wall(), Some(before));
        place.see(until_ms);
        self.open(file, &path, place, feed, places)
    }
}

/// What to go on from.
fn search(path: &Path, place: &Place, places: &Places) -> Search {
    Search {
        path: path.to_owned(),
        real: places.of(path).and_then(|entry| entry.real.clone()),
        place: *place,
    }
}

impl Open {
    /// Whether the file no longer holds what was read of it.
    fn is_cut(&mut self, places: &mut Places) -> io::Result<bool> {
        let now = self.file.metadata()?;
        let read = self.place.offset() + self.lines.pending();
        if now.len() < read || !self.place.fits(&self.file)? {
            return Ok(true);
        }
        self.seen_bytes = now.len();
        if now.len() == read && read > 0 {
            self.place.see(mtime_ms(&now));
            places.seen(&self.place);
        }
        Ok(false)
    }

    /// Reads once, and hands over the lines that this completed. Returns whether anything was read.
    fn read(&mut self, maker: &mut Maker<'_>, places: &mut Places) -> Step<bool> {
        let mut reader = Once {
            file: &self.file,
            at: Some(self.place.offset() + self.lines.pending()),
            count: 0,
        };
        let result = loop {
            match self.lines.next(&mut reader) {
                Ok(Next::End) => break Ok(reader.count > 0),
                Ok(next) => {
                    let after = put(
                        &next,
                        &self.place,
                        &self.file,
                        &mut self.before,
                        maker,
                        places,
                    )?;
                    self.place = after;
                }
                Err(error) => break Err(error),
            }
        };
        places.moved(&self.place);
        maker.feed.flush();
        maker.feed.alive();
        Ok(result)
    }

    /// Reads to the very end, and takes what stands there for a line: nobody will end it any more.
    fn read_last(&mut self, maker: &mut Maker<'_>, places: &mut Places) -> Step<()> {
        loop {
            match self.read(maker, places)? {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => return Ok(Err(error)),
            }
        }
        if let Some(rest) = self.lines.rest() {
            let after = put(
                &rest,
                &self.place,
                &self.file,
                &mut self.before,
                maker,
                places,
            )?;
            self.place = after;
            places.moved(&self.place);
            maker.feed.flush();
        }
        Ok(Ok(()))
    }
}

/// Hands over the line that begins at `place`, and returns the place after it.
fn put(
    next: &Next<'_>,
    place: &Place,
    file: &File,
    before: &mut Before,
    maker: &mut Maker<'_>,
    places: &mut Places,
) -> Result<Place, Stopped> {
    let raw = match next {
        Next::Line { raw, .. } => raw,
        Next::TooLong(_) | Next::End => &[][..],
    };
    let after = place.after(next.taken(), raw, file, before);
    places.turn_to(place.path_crc(), maker.feed)?;
    let id = after.id(place.offset());
    maker.put(next, id, after.position().as_bytes(), place.offset() == 0)?;
    Ok(after)
}

/// One read of a file at a place: then whoever asks finds out what became of the file.
struct Once<'a> {
    file: &'a File,
    at: Option<u64>,
    count: usize,
}

impl Read for Once<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.at.take() {
            Some(at) => {
                self.count = self.file.read_at(buffer, at)?;
                Ok(self.count)
            }
            None => Ok(0),
        }
    }
}
