//! The files beside a followed one: those that had its name, or hold a copy of what it held.
//!
//! Rotation names them after the file: `FILE.1` and `FILE.2` (a higher number is older, unless the times of three or more say the
//! opposite), `FILE-20260131`, `FILE.old`, or with the number before the ending, `app.1.log` and `app-2026-01-31.log`. Where the followed
//! name is a link, the files named like its target but for their digits count, too. Compression adds `.gz` and the like.

use std::cmp::Reverse;
use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use crate::source::lines::place::{Place, mtime_ms};

/// What compression adds to a name.
const PACKED: [&str; 6] = [".gz", ".xz", ".zst", ".bz2", ".lz4", ".Z"];

/// A file beside the followed one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sibling {
    /// Where it is.
    pub path: PathBuf,
    /// Which file that is.
    pub inode: (u64, u64),
    /// Its length; of a compressed one the length of its content, where that is known.
    pub bytes: Option<u64>,
    /// When it was last written to, in ms since 1970.
    pub mtime_ms: u64,
    /// Whether it is compressed.
    pub is_packed: bool,
    /// `1` of `FILE.1`.
    number: Option<u32>,
}

/// Every file that may have had the name `path`, the oldest first. `real` is where it was when it was opened last.
pub fn beside(path: &Path, real: Option<&Path>) -> Vec<Sibling> {
    let mut names: Vec<(PathBuf, bool)> = vec![(path.to_owned(), false)];
    let target = fs::canonicalize(path).ok();
    let is_link = fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_symlink());
    for other in [target.as_deref(), real].into_iter().flatten() {
        if !names.iter().any(|(name, _)| name == other) {
            names.push((other.to_owned(), is_link));
        }
    }
    let mut found: Vec<Sibling> = Vec::new();
    for (name, by_shape) in &names {
        for (path, metadata) in files_beside(name) {
            let same = |sibling: &Sibling| sibling.inode == inode(&metadata);
            if path == *name || found.iter().any(same) {
                continue;
            }
            found.extend(sibling(name, *by_shape, path, &metadata));
        }
    }
    sort(&mut found);
    found
}

/// Whether `name` is what rotation makes of `original`.
pub fn is_rotated(name: &str, original: &str) -> bool {
    number_in(unpacked(name).0, original).is_some()
}

/// Whether `name` is that of a compressed file.
pub fn is_packed(name: &str) -> bool {
    unpacked(name).1
}

/// The file that holds what was read up to `place`, and where: by its inode and content, or by its content under the same name or beside
/// it; none where nothing was read, as an empty file is no better known by its inode than by its time.
///
/// # Errors
/// One of them cannot be read that may be it.
pub fn holding(
    path: &Path,
    real: Option<&Path>,
    place: &Place,
) -> io::Result<Option<(File, PathBuf)>> {
    if place.offset() == 0 {
        return Ok(None);
    }
    let mut all: Vec<(PathBuf, Metadata)> = Vec::new();
    match fs::metadata(path) {
        Ok(named) => all.push((path.to_owned(), named)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    all.extend(files_beside(path));
    for other in [fs::canonicalize(path).ok().as_deref(), real] {
        all.extend(other.into_iter().flat_map(files_beside));
    }
    // An entry's own inode number and length spare opening, and so waking, pipes and devices.
    all.retain(|(_, metadata)| metadata.is_file() && metadata.len() >= place.offset());
    let opened = |path: &Path| {
        let file = File::open(path)?;
        let fits = place.fits(&file)?;
        Ok::<_, io::Error>(fits.then(|| (file, path.to_owned())))
    };
    for (path, metadata) in &all {
        if metadata.ino() == place.inode()
            && let Some(found) = opened(path)?
        {
            return Ok(Some(found));
        }
    }
    if let Some((path, _)) = all.iter().find(|(other, _)| other == path)
        && let Some(found) = opened(path)?
    {
        return Ok(Some(found));
    }
    // A copy made early holds less.
    all.sort_by_key(|(_, metadata)| Reverse(metadata.len()));
    Ok(all.iter().find_map(|(path, _)| opened(path).ok()?))
}

/// Those of `siblings` that are younger than the file `own`; without it, than a file last written to at `seen_ms`, which may itself be a
/// compressed one of the same time if `is_gone`.
pub fn after(
    siblings: &[Sibling],
    own: Option<(u64, u64)>,
    seen_ms: u64,
    is_gone: bool,
) -> Vec<Sibling> {
    let at = siblings
        .iter()
        .position(|sibling| Some(sibling.inode) == own);
    let later = siblings.iter().enumerate();
    let later = later.filter(|(index, sibling)| match at {
        Some(at) => *index > at,
        None if is_gone && sibling.is_packed => sibling.mtime_ms >= seen_ms,
        // A copy made just before its original was cut short has the time of what came then.
        None => sibling.mtime_ms > seen_ms,
    });
    later.map(|(_, sibling)| sibling.clone()).collect()
}

/// How many of the numbers between the file `own` and the followed name have no file: each was deleted.
pub fn holes(siblings: &[Sibling], own: (u64, u64)) -> u32 {
    let number = |sibling: &Sibling| sibling.number.filter(|number| *number > 0);
    let all_numbered = siblings.iter().all(|sibling| number(sibling).is_some());
    let at = siblings.iter().find(|sibling| sibling.inode == own);
    match at.and_then(number) {
        Some(own) if all_numbered && !is_ascending(siblings) => {
            let between = siblings.iter().filter_map(number).filter(|it| *it < own);
            (own - 1).saturating_sub(u32::try_from(between.count()).unwrap_or(u32::MAX))
        }
        _ => 0,
    }
}

/// Which file it is on this machine.
pub fn inode(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

fn sibling(name: &Path, by_shape: bool, path: PathBuf, metadata: &Metadata) -> Option<Sibling> {
    let original = name.file_name()?.to_string_lossy();
    let own = path.file_name()?.to_string_lossy();
    let (bare, is_packed) = unpacked(&own);
    let is_like = by_shape && shape(bare) == shape(&original);
    let number = number_in(bare, &original);
    if number.is_none() && !is_like {
        return None;
    }
    let bytes = if is_packed {
        content_bytes(&path, metadata)
    } else {
        Some(metadata.len())
    };
    Some(Sibling {
        inode: inode(metadata),
        bytes,
        mtime_ms: mtime_ms(metadata),
        is_packed,
        number: number.flatten(),
        path,
    })
}

/// The name without what compression adds, and whether it had that.
fn unpacked(name: &str) -> (&str, bool) {
    let bare = PACKED.iter().find_map(|ending| name.strip_suffix(ending));
    (bare.unwrap_or(name), bare.is_some())
}

/// What rotation put into `original` to make `name` of it: a number, or something else; `None` if `name` is not made so.
fn number_in(name: &str, original: &str) -> Option<Option<u32>> {
    let (stem, ending) = match original.rfind('.') {
        Some(dot) if dot > 0 => original.split_at(dot),
        _ => (original, ""),
    };
    let at_the_end = name.strip_prefix(original);
    if let Some(added) = at_the_end.and_then(|added| added.strip_prefix(['.', '-', '_'])) {
        let is_number = added.starts_with(|c: char| c.is_ascii_digit());
        return (is_number || added == "old").then(|| short_number(added));
    }
    let added = name.strip_prefix(stem)?.strip_suffix(ending)?;
    let number = added.strip_prefix(['.', '-', '_'])?;
    // worker-1.log need not have been worker.log.
    let is_date = number.len() >= 6 && number.as_bytes()[..4].iter().all(u8::is_ascii_digit);
    let is_number = added.starts_with('.') && short_number(number).is_some();
    (is_date || is_number).then(|| short_number(number))
}

/// A number that counts files; a date is none.
fn short_number(text: &str) -> Option<u32> {
    text.parse().ok().filter(|_| text.len() < 6)
}

/// A name with one mark in the place of each run of digits.
fn shape(name: &str) -> String {
    let mut shape = String::new();
    for c in name.chars() {
        match c {
            '0'..='9' if shape.ends_with('0') => {}
            '0'..='9' => shape.push('0'),
            c => shape.push(c),
        }
    }
    shape
}

/// Sorts them, the oldest first.
fn sort(siblings: &mut [Sibling]) {
    let are_numbered = siblings.iter().all(|sibling| sibling.number.is_some());
    match are_numbered {
        true if is_ascending(siblings) => siblings.sort_by_key(|sibling| sibling.number),
        true => siblings.sort_by_key(|sibling| Reverse(sibling.number)),
        false => siblings.sort_by(|one, other| {
            (one.mtime_ms, Reverse(one.number), &one.path).cmp(&(
                other.mtime_ms,
                Reverse(other.number),
                &other.path,
            ))
        }),
    }
}

/// Whether a higher number is newer: the times of at least three files say so.
fn is_ascending(siblings: &[Sibling]) -> bool {
    let mut by_number: Vec<_> = siblings.iter().collect();
    by_number.sort_by_key(|sibling| sibling.number);
    by_number.len() >= 3 && by_number.is_sorted_by(|one, next| one.mtime_ms < next.mtime_ms)
}

/// The regular files in the folder of `path`.
fn files_beside(path: &Path) -> Vec<(PathBuf, Metadata)> {
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let files = entries.filter_map(|entry| Some((entry.path(), entry.metadata().ok()?)));
    files.filter(|(_, metadata)| metadata.is_file()).collect()
}

/// How long the content of a compressed file is, which gzip alone writes, at the end: modulo 4 GiB.
fn content_bytes(path: &Path, metadata: &Metadata) -> Option<u64> {
    let mut last = [0; 4];
    let at = metadata.len().checked_sub(last.len() as u64)?;
    if path.extension()? != "gz" {
        return None;
    }
    File::open(path).ok()?.read_exact_at(&mut last, at).ok()?;
    Some(u32::from_le_bytes(last).into())
}

#[cfg(test)]
mod tests;
