//! Which file comes after the one that is being read, and what is missed between the two.

use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::source::Feed;
use crate::source::lines::place::{Place, mtime_ms};
use crate::source::lines::siblings::{self, Sibling};

/// Where a file was read to, and where to look for those that come after it.
#[derive(Clone, Debug)]
pub struct Search {
    /// The name that is followed.
    pub path: PathBuf,
    /// Where the file was when it was opened, behind all links.
    pub real: Option<PathBuf>,
    /// So far it was read.
    pub place: Place,
}

/// What is missed of a file that is not there any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gone {
    /// Nothing: it is there, or nothing of it was read.
    Nothing,
    /// So many bytes.
    Bytes(u64),
    /// If anything, it is not known how much.
    Unknown,
}

/// The file to go on with.
#[derive(Debug)]
pub struct Found {
    /// Opened.
    pub file: File,
    /// As it was then.
    pub now: Metadata,
    /// Where it is.
    pub path: PathBuf,
    /// What is missed before it.
    pub missed: Missed,
}

/// What is missed.
#[derive(Debug, Default)]
pub struct Missed {
    /// How many bytes, where that is known, and what.
    gaps: Vec<(Option<u64>, String)>,
    /// When the youngest of it was last written to.
    pub until_ms: u64,
}

impl Missed {
    /// Counts it.
    pub fn tell(self, feed: &Feed) {
        for (bytes, what) in self.gaps {
            feed.gap(bytes, what);
        }
    }
}

impl Search {
    /// The file that had the name after this one, which is `own` if it is still there; `None` if there is none yet.
    pub fn after(&self, own: Option<&Metadata>, gone: Gone) -> io::Result<Option<Found>> {
        let beside = siblings::beside(&self.path, self.real.as_deref());
        let own_inode = own.map(siblings::inode);
        let named = fs::metadata(&self.path).ok().map(|it| siblings::inode(&it));
        // What a file held before it was first read may have been copied, and cut off: that is younger, or older, than it.
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

    /// The file that comes before `own`, of which nothing was read; else what is missed there.
    pub fn before(&self, own: &Metadata) -> io::Result<Result<Found, Missed>> {
        let beside = siblings::beside(&self.path, self.real.as_deref());
        let named = fs::metadata(&self.path).ok().map(|it| siblings::inode(&it));
        let own_inode = siblings::inode(own);
        // One that was deleted has no place in their order but its time.
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

    /// Those that are younger than the file `own`; without it, than what was read.
    fn younger(&self, beside: &[Sibling], own: Option<(u64, u64)>, gone: Gone) -> Vec<Sibling> {
        siblings::after(beside, own, self.place.seen_ms(), gone != Gone::Nothing)
    }

    /// The first of `later` that can be read, and what is missed before it.
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
            // Compressed while it was read: all of it was. Compression keeps the time, some in whole seconds.
            let was_read = |own: &Metadata| {
                let is_as_old = mtime_ms(own) / 1000 == packed.mtime_ms / 1000;
                own.nlink() == 0 && is_as_old && packed.bytes.is_none_or(|all| all == own.len())
            };
            if own.is_some_and(was_read) {
                continue;
            }
            let mut bytes = packed.bytes;
            // The oldest is the one that was being read, unless it is too short.
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

/// How many files were deleted that had a number below that of the newest one that was read.
fn holes(beside: &[Sibling], later: &[Sibling], own: Option<(u64, u64)>) -> u32 {
    let is_read = |sibling: &&Sibling| !later.contains(sibling);
    // A number that was missing before is no news.
    let first = later.first();
    let newest = first.and_then(|first| beside.iter().rfind(is_read).or(Some(first)));
    let newest = own.or(newest.map(|sibling| sibling.inode));
    newest.map_or(0, |newest| siblings::holes(beside, newest))
}

/// Opens what can be followed.
pub fn open_file(path: &Path) -> io::Result<(File, Metadata)> {
    // To open a pipe would wait for its writer.
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    let file = File::open(path)?;
    let now = file.metadata()?;
    Ok((file, now))
}
