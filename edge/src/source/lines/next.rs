//! Which file comes after the one that is being read, and what is lost between the two.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::platform::file::open_unnoted;
use crate::source::Feed;
use crate::source::lines::place::{Place, mtime_ms};
use crate::source::lines::siblings::{self, Sibling};

/// How far a file was read, and where to search for the files after it.
#[derive(Clone, Debug)]
pub struct Search {
    /// The name that is followed.
    pub path: PathBuf,
    /// The file's path when it was opened, without links.
    pub real: Option<PathBuf>,
    /// How far it was read.
    pub place: Place,
}

/// How much is lost of a file that is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gone {
    /// Nothing: the file exists, or nothing of it was read.
    Nothing,
    /// This many bytes.
    Bytes(u64),
    /// It is unknown how much, if anything.
    Unknown,
}

/// The next file to read.
#[derive(Debug)]
pub struct Found {
    /// The open file.
    pub file: File,
    /// Its metadata when it was opened.
    pub now: Metadata,
    /// Its path.
    pub path: PathBuf,
    /// What is lost between the last file and this one.
    pub missed: Missed,
}

/// What is lost between two files.
#[derive(Debug, Default)]
pub struct Missed {
    /// For each gap its bytes, if known, and what it is.
    gaps: Vec<(Option<u64>, String)>,
    /// The time of the last write to the youngest lost file, in ms since 1970.
    pub until_ms: u64,
}

impl Missed {
    /// Logs and counts the gaps.
    pub fn tell(self, feed: &Feed) {
        for (bytes, what) in self.gaps {
            feed.gap(bytes, what);
        }
    }
}

impl Search {
    /// The file that had the name after this one; `None` if there is none yet. `own` is this one's metadata if it still exists.
    ///
    /// # Errors
    /// If the next file cannot be opened.
    pub fn after(&self, own: Option<&Metadata>, gone: Gone) -> io::Result<Option<Found>> {
        let beside = siblings::beside(&self.path, self.real.as_deref());
        let own_inode = own.map(siblings::inode);
        let named = fs::metadata(&self.path).ok().map(|it| siblings::inode(&it));
        // The content of a file of which nothing was read may have been copied and truncated: the copy may be older or younger than the file.
        let known = own_inode.filter(|_| self.place.offset() > 0);
        let mut later = self.younger(&beside, known, gone);
        later.retain(|sibling| ![own_inode, named].contains(&Some(sibling.inode)));
        let holes = holes(&beside, &later, own_inode);
        let (next, mut missed) = self.walk(&later, own, gone);
        let own_ms = own.map_or(0, mtime_ms);
        let is_older = |next: &Sibling| !next.is_packed && next.mtime_ms < own_ms;
        if !later.iter().any(is_older) {
            missed.until_ms = missed.until_ms.max(own_ms);
        }
        if holes > 0 {
            let shown = self.path.display();
            let what = format!("{holes} files that had the name {shown} were deleted");
            missed.gaps.push((None, what));
        }
        let Some(path) = next.or(named.map(|_| self.path.clone())) else {
            return Ok(None);
        };
        let (file, now) = open_file(&path)?;
        Ok(Some(Found {
            file,
            now,
            path,
            missed,
        }))
    }

    /// The unread file before `own`, of which nothing was read either; if there is none, what is lost before `own`.
    ///
    /// # Errors
    /// If the file cannot be opened.
    pub fn before(&self, own: &Metadata) -> io::Result<Result<Found, Missed>> {
        let beside = siblings::beside(&self.path, self.real.as_deref());
        let named = fs::metadata(&self.path).ok().map(|it| siblings::inode(&it));
        let own_inode = siblings::inode(own);
        // A deleted file is not among its siblings: only its time orders it.
        let is_there =
            named == Some(own_inode) || beside.iter().any(|sibling| sibling.inode == own_inode);
        let before: Vec<_> = beside
            .into_iter()
            .take_while(|sibling| sibling.inode != own_inode)
            .filter(|sibling| Some(sibling.inode) != named)
            .filter(|sibling| is_there || sibling.mtime_ms <= mtime_ms(own))
            .collect();
        let unread = self.younger(&before, None, Gone::Nothing);
        match self.walk(&unread, Some(own), Gone::Nothing) {
            (Some(path), missed) => {
                let (file, now) = open_file(&path)?;
                Ok(Ok(Found {
                    file,
                    now,
                    path,
                    missed,
                }))
            }
            (None, missed) => Ok(Err(missed)),
        }
    }

    /// The siblings younger than the file `own`, or without `own` than what was read.
    fn younger(&self, beside: &[Sibling], own: Option<(u64, u64)>, gone: Gone) -> Vec<Sibling> {
        siblings::after(beside, own, self.place.seen_ms(), gone != Gone::Nothing)
    }

    /// The first of `later` that is not compressed, and what is lost before it.
    fn walk(
        &self,
        later: &[Sibling],
        own: Option<&Metadata>,
        mut gone: Gone,
    ) -> (Option<PathBuf>, Missed) {
        let mut missed = Missed::default();
        let offset = self.place.offset();
        let next = later.iter().find(|sibling| !sibling.is_packed);
        for packed in later.iter().take_while(|sibling| sibling.is_packed) {
            missed.until_ms = missed.until_ms.max(packed.mtime_ms);
            // The file was compressed while it was read, and was read completely. Compression keeps the time, perhaps in whole seconds.
            let was_read = |own: &Metadata| {
                let is_as_old = mtime_ms(own) / 1000 == packed.mtime_ms / 1000;
                own.nlink() == 0 && is_as_old && packed.bytes.is_none_or(|all| all == own.len())
            };
            if own.is_some_and(was_read) {
                continue;
            }
            let mut bytes = packed.bytes;
            // The oldest is the file that was being read, unless it is too short.
            let may_be_own = missed.gaps.is_empty() && bytes.is_none_or(|all| all >= offset);
            if gone != Gone::Nothing && may_be_own {
                gone = Gone::Nothing;
                bytes = bytes.map(|all| all - offset);
            }
            if bytes != Some(0) {
                let what = format!("what {} holds is compressed", packed.path.display());
                missed.gaps.push((bytes, what));
            }
        }
        let shown = self.path.display();
        match gone {
            Gone::Nothing | Gone::Bytes(0) => {}
            Gone::Unknown => missed.gaps.push((
                None,
                format!("the file that was {shown} is gone, with what it held after byte {offset}"),
            )),
            Gone::Bytes(bytes) => missed.gaps.push((
                Some(bytes),
                format!("{shown} was cut short before its end was read"),
            )),
        }
        (next.map(|next| next.path.clone()), missed)
    }
}

/// How many deleted files had a number below that of the newest one that was read.
fn holes(beside: &[Sibling], later: &[Sibling], own: Option<(u64, u64)>) -> u32 {
    let is_read = |sibling: &&Sibling| !later.contains(sibling);
    // Numbers that were missing before do not count.
    let first = later.first();
    let newest = first.and_then(|first| beside.iter().rfind(is_read).or(Some(first)));
    let newest = own.or(newest.map(|sibling| sibling.inode));
    newest.map_or(0, |newest| siblings::holes(beside, newest))
}

/// Opens a regular file to follow it.
///
/// # Errors
/// If it cannot be opened, or is no regular file.
pub fn open_file(path: &Path) -> io::Result<(File, Metadata)> {
    // Opening a pipe would wait for its writer.
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    let file = open_unnoted(path, OpenOptions::new().read(true))?;
    let now = file.metadata()?;
    Ok((file, now))
}
