//! Following one file: reading it, and finding the next file after a rotation or a truncation.
//!
//! After a rotation the old file is read to its very end first, because its writer may not have noticed yet. Then come the files that had the name
//! between the two, oldest first, and then the file that has the name now.

use std::fs::{self, File};
use std::io;
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

/// How often the end of a rotated file must be seen before the next file is read.
const LAST_LOOKS: u32 = 5;

/// How many reads one file has in a turn.
const READS_A_TURN: u32 = 64;

/// The result of a step: the inner error is trouble with the file, which may end; the outer one means that the program is ending.
pub type Step<T> = Result<io::Result<T>, Stopped>;

/// A file that is followed by its name.
#[derive(Debug)]
pub struct Tail {
    path: PathBuf,
    open: Option<Open>,
    /// How often the end was seen in a row since the rotation.
    last_looks: u32,
    is_over: bool,
}

/// The file that is being read.
#[derive(Debug)]
struct Open {
    at: Progress,
    lines: LineSplitter,
    /// The file's length when it was last checked.
    seen_bytes: u64,
    /// Whether it is known that no unread file comes before it.
    is_first: bool,
}

/// A file, and how far its lines were passed on.
#[derive(Debug)]
struct Progress {
    file: File,
    /// The place after the last line that was passed on.
    place: Place,
    /// The bytes before that place.
    before: Before,
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

    /// The name that is followed, as an absolute path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the file was deleted and read to its end, and no other file has its name.
    pub fn is_over(&self) -> bool {
        self.is_over
    }

    /// Ends following a file that was deleted: its last bytes are a line, even without a newline.
    ///
    /// # Errors
    /// If the program is ending.
    pub fn end(mut self, maker: &mut Maker<'_>, places: &mut Places) -> Step<()> {
        let result = match &mut self.open {
            Some(open) => open.read_last(maker, places)?,
            None => Ok(()),
        };
        places.forget(&self.path);
        Ok(result)
    }

    /// Passes the next complete lines on, up to a limit, and checks for a rotation or a truncation. Returns whether there may be more to read at
    /// once.
    ///
    /// # Errors
    /// If the program is ending.
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

    /// Opens the file, if it exists, and notes its place: from now on it is found again after a rotation.
    ///
    /// # Errors
    /// If the program is ending.
    pub fn enter(&mut self, feed: &Feed, places: &mut Places) -> Result<(), Stopped> {
        if self.open.is_none() {
            // The turn that follows reports an error.
            let _ = self.begin(feed, places)?;
        }
        Ok(())
    }

    /// Opens the file at the place of an earlier run, else at its start.
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
            at: Progress {
                before: Before::read(&file, place.offset()),
                file,
                place,
            },
            seen_bytes: place.offset(),
            is_first: false,
            lines: LineSplitter::new(feed.max_record_bytes),
        });
        let real = fs::canonicalize(at).ok();
        places.opened(&self.path, Entry { place, real }, feed)
    }

    /// Whether no unread file comes before this one. Its content may have been copied and truncated before any of it was read: if so, continues with
    /// that copy.
    fn is_first(&mut self, feed: &Feed, places: &mut Places) -> Step<bool> {
        let Some(open) = self
            .open
            .as_mut()
            .filter(|open| open.at.place.offset() == 0)
        else {
            return Ok(Ok(true));
        };
        let own = match open.at.file.metadata() {
            Ok(own) if own.len() > 0 && !open.is_first => own,
            Ok(_) => return Ok(Ok(true)),
            Err(error) => return Ok(Err(error)),
        };
        let search = search(&self.path, &open.at.place, places);
        match search.before(&own) {
            Ok(Ok(found)) => {
                self.go_on_with(found, &search.place, feed, places)?;
                return Ok(Ok(false));
            }
            Ok(Err(missed)) => {
                open.at.place.see(missed.until_ms);
                open.is_first = true;
                missed.tell(feed);
            }
            Err(error) => return Ok(Err(error)),
        }
        Ok(Ok(true))
    }

    /// At the end of the file: checks for a rotation.
    fn at_the_end(&mut self, maker: &mut Maker<'_>, places: &mut Places) -> Step<bool> {
        match self.next_of_a_left_one(places) {
            Ok(Some(next)) => {
                let Some(open) = &mut self.open else {
                    return Ok(Ok(false));
                };
                if let Err(error) = open.read_last(maker, places)? {
                    return Ok(Err(error));
                }
                let place = open.at.place;
                self.go_on_with(next, &place, maker.feed, places)?;
                Ok(Ok(true))
            }
            Ok(None) => Ok(Ok(false)),
            Err(error) => Ok(Err(error)),
        }
    }

    /// The next file, if this one was rotated and its end was seen often enough.
    fn next_of_a_left_one(&mut self, places: &Places) -> io::Result<Option<Found>> {
        let Some(open) = &mut self.open else {
            return Ok(None);
        };
        let own = open.at.file.metadata()?;
        match fs::metadata(&self.path) {
            Ok(named) if siblings::inode(&named) == siblings::inode(&own) => {
                self.last_looks = 0;
                return Ok(None);
            }
            Ok(_) => {}
            // Rotation renames the file before it makes the new one.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        self.last_looks += 1;
        if self.last_looks <= LAST_LOOKS {
            return Ok(None);
        }
        self.last_looks = 0;
        let next = search(&self.path, &open.at.place, places).after(Some(&own), Gone::Nothing)?;
        self.is_over = next.is_none() && own.nlink() == 0;
        Ok(next)
    }

    /// After a truncation: continues in a copy of the old content, if there is one.
    fn go_on_after_a_cut(&mut self, feed: &Feed, places: &mut Places) -> Step<bool> {
        let Some(open) = &self.open else {
            return Ok(Ok(false));
        };
        info!("{} was truncated", self.path.display());
        let gone = Gone::Bytes(open.seen_bytes.saturating_sub(open.at.place.offset()));
        let search = search(&self.path, &open.at.place, places);
        self.go_on_elsewhere(&search, gone, feed, places)
    }

    /// Continues in the file that has the content now, else with the next file. Returns false if there is neither.
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

    /// Continues with the next file, from its start.
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

/// A search from this place on.
fn search(path: &Path, place: &Place, places: &Places) -> Search {
    Search {
        path: path.to_owned(),
        real: places.of(path).and_then(|entry| entry.real.clone()),
        place: *place,
    }
}

impl Open {
    /// Whether the file was truncated: it no longer has the content that was read.
    fn is_cut(&mut self, places: &mut Places) -> io::Result<bool> {
        let Progress { file, place, .. } = &mut self.at;
        let now = file.metadata()?;
        let read = place.offset() + self.lines.pending();
        if now.len() < read || !place.fits(file)? {
            return Ok(true);
        }
        self.seen_bytes = now.len();
        if now.len() == read && read > 0 {
            place.see(mtime_ms(&now));
            places.seen(place);
        }
        Ok(false)
    }

    /// Reads once, and passes on the lines that are complete. Returns whether anything was read.
    fn read(&mut self, maker: &mut Maker<'_>, places: &mut Places) -> Step<bool> {
        let mut at = Some(self.at.place.offset() + self.lines.pending());
        let mut count = 0;
        let result = loop {
            let mut reader = Once {
                file: &self.at.file,
                at: &mut at,
                count: &mut count,
            };
            match self.lines.next(&mut reader) {
                Ok(Next::End) => break Ok(count > 0),
                Ok(next) => self.at.pass(&next, maker, places)?,
                Err(error) => break Err(error),
            }
        };
        places.moved(&self.at.place);
        maker.feed.flush();
        maker.feed.alive();
        Ok(result)
    }

    /// Reads to the very end, and takes the rest as a line: its newline will not come.
    fn read_last(&mut self, maker: &mut Maker<'_>, places: &mut Places) -> Step<()> {
        loop {
            match self.read(maker, places)? {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => return Ok(Err(error)),
            }
        }
        if let Some(rest) = self.lines.rest() {
            self.at.pass(&rest, maker, places)?;
            places.moved(&self.at.place);
            maker.feed.flush();
        }
        Ok(Ok(()))
    }
}

impl Progress {
    /// Passes on the line that begins at the place, and moves the place after it.
    fn pass(
        &mut self,
        next: &Next<'_>,
        maker: &mut Maker<'_>,
        places: &mut Places,
    ) -> Result<(), Stopped> {
        let raw = match next {
            Next::Line { raw, .. } => raw,
            Next::TooLong(_) | Next::End => &[][..],
        };
        let after = self
            .place
            .after(next.taken(), raw, &self.file, &mut self.before);
        places.turn_to(after.path_crc(), maker.feed)?;
        let offset = self.place.offset();
        maker.put(
            next,
            after.id(offset),
            after.position().as_bytes(),
            offset == 0,
        )?;
        self.place = after;
        Ok(())
    }
}

/// One read of a file. After it the caller checks the file again.
struct Once<'a> {
    file: &'a File,
    /// Where to read; `None` after the read.
    at: &'a mut Option<u64>,
    /// How many bytes were read.
    count: &'a mut usize,
}

impl io::Read for Once<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.at.take() {
            Some(at) => {
                *self.count = self.file.read_at(buffer, at)?;
                Ok(*self.count)
            }
            None => Ok(0),
        }
    }
}
