//! The siblings of a followed file: files beside it that had its name, or hold a copy of its content.
//!
//! Rotation names them after the file: `FILE.1` and `FILE.2` (a higher number is older, unless the times of three or more files show the opposite),
//! `FILE-20260131`, `FILE.old`, or with the number before the extension, `app.1.log` and `app-2026-01-31.log`. If the followed name is a link, files
//! whose names differ from its target's only in digits are siblings, too. Compression adds `.gz` and the like (logrotate(8)).

use std::cmp::Reverse;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use crate::platform::file::open_unnoted;
use crate::source::lines::place::{Place, mtime_ms};

/// Extensions of compressed files.
const PACKED: [&str; 6] = [".gz", ".xz", ".zst", ".bz2", ".lz4", ".Z"];

/// A sibling of the followed file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sibling {
    /// Its path.
    pub path: PathBuf,
    /// Its device and inode.
    pub inode: (u64, u64),
    /// Its length in bytes; if it is compressed, that of its content, if known.
    pub bytes: Option<u64>,
    /// The time of its last write, in ms since 1970.
    pub mtime_ms: u64,
    /// Whether it is compressed.
    pub is_packed: bool,
    /// The number in its name: 1 for `FILE.1`.
    number: Option<u32>,
}

/// All files that may have had the name `path`, oldest first. `real` is the followed file's path, without links, when it was last opened.
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

/// Whether rotation may have renamed `original` to `name`.
pub fn is_rotated(name: &str, original: &str) -> bool {
    number_in(unpacked(name).0, original).is_some()
}

/// Whether `name` is that of a compressed file.
pub fn is_packed(name: &str) -> bool {
    unpacked(name).1
}

/// Finds the file that was read up to `place`, and its path: by inode and content, else by content, under the same name or beside it. None if
/// nothing was read: then the inode says no more than the time.
///
/// # Errors
/// If a file that may be the one cannot be read.
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
    // Inode and length are known without opening the file, which would disturb pipes and devices.
    all.retain(|(_, metadata)| metadata.is_file() && metadata.len() >= place.offset());
    let opened = |path: &Path| {
        let file = open_unnoted(path, OpenOptions::new().read(true))?;
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
    // Longest first: an early copy is shorter.
    all.sort_by_key(|(_, metadata)| Reverse(metadata.len()));
    Ok(all.iter().find_map(|(path, _)| opened(path).ok()?))
}

/// The siblings that are younger than the file `own`, or without `own` than a file whose last write was at `seen_ms`. If `is_gone`, a compressed one
/// of that time counts too: it may be that file.
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
        // A copy that was made just before its original was truncated has a later time.
        None => sibling.mtime_ms > seen_ms,
    });
    later.map(|(_, sibling)| sibling.clone()).collect()
}

/// How many of the numbers between the file `own` and the followed name have no file. Each of those files was deleted.
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

/// The file's device and inode.
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

/// The name without the extension of compression, and whether it had one.
fn unpacked(name: &str) -> (&str, bool) {
    let bare = PACKED.iter().find_map(|ending| name.strip_suffix(ending));
    (bare.unwrap_or(name), bare.is_some())
}

/// The number that rotation put into `original` to make `name`; inner `None` if it is no number, outer `None` if `name` is not made by rotation.
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
    // worker-1.log need not be a rotated worker.log.
    let is_date = number.len() >= 6 && number.as_bytes()[..4].iter().all(u8::is_ascii_digit);
    let is_number = added.starts_with('.') && short_number(number).is_some();
    (is_date || is_number).then(|| short_number(number))
}

/// A number that counts files: not a date.
fn short_number(text: &str) -> Option<u32> {
    text.parse().ok().filter(|_| text.len() < 6)
}

/// A name in which each run of digits is replaced by one 0.
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

/// Sorts them, oldest first.
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

/// Whether a higher number is newer, as shown by the times of at least three files.
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

/// Bytes of a compressed file's content, modulo 4 GiB. Only gzip stores them, at its end (RFC 1952, section 2.3.1, "Member header and trailer").
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
