//! Files in RAM that outlive the process: the spool's stage, the state, the status.
//!
//! They are in a tmpfs folder that no other user may write to. Their names are derived from the path of the card's spool file, so that two
//! producers never share one.

use std::collections::BTreeSet;
use std::env;
use std::fs::{self, DirBuilder};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::process::geteuid;

use crate::platform::crc32c;
use crate::platform::file::Readers;

/// Prefix of every file name.
const NAME_START: &str = "headwater-";

/// The RUNTIME_DIRECTORY of `headwater.service`.
const SERVICE_FOLDER: &str = "/run/headwater";

/// Where a user's own folder `headwater-UID` is created.
const SHARED: &str = "/dev/shm";

/// Mode bits that must be off: writing, for anyone but the folder's owner.
const WRITABLE_BY_OTHERS: u32 = 0o022;

/// Mode bits that must be off: any access, for anyone but the folder's owner.
const OPEN_TO_OTHERS: u32 = 0o077;

/// Path of the file that belongs to the spool at `card`: `<tmpfs>/headwater-<CRC of its absolute path>.<kind>`. `None` if there is no
/// [`folder`].
pub fn file_beside(card: &Path, kind: &str) -> Option<PathBuf> {
    folder().ok().map(|folder| folder.join(name(card, kind)))
}

/// The folder in RAM: systemd's RUNTIME_DIRECTORY, else XDG_RUNTIME_DIR, else this user's own below /dev/shm, which is created.
///
/// # Errors
///
/// This machine has no tmpfs that the program may write to, or something else has the name of the user's own folder.
pub fn folder() -> io::Result<PathBuf> {
    choose(named(), Path::new(SHARED))
}

fn choose(named: impl Iterator<Item = PathBuf>, shared: &Path) -> io::Result<PathBuf> {
    let mut refused = String::new();
    for folder in named {
        if is_tmpfs(&folder) && is_ours(&folder) {
            return Ok(folder);
        }
        refused += &format!(
            "{} is no tmpfs that this user alone may write to; ",
            folder.display()
        );
    }
    own_folder(shared).map_err(|error| io::Error::other(format!("{refused}{error}")))
}

/// Who may read the status file at `path`. The service's file is for everyone, because the mode of its folder decides who gets there; any other
/// is for its owner.
pub fn status_readers(path: &Path) -> Readers {
    let service = runtime_folder("RUNTIME_DIRECTORY");
    match path.parent().map(Path::to_owned) == service {
        true => Readers::Everyone,
        false => Readers::Owner,
    }
}

/// The files of this `kind` of this user's programs and of the service, and for root those of every user. With `card`, only the one of that spool.
pub fn files(kind: &str, card: Option<&Path>) -> impl Iterator<Item = PathBuf> {
    let wanted = card.map(|card| name(card, kind));
    let end = format!(".{kind}");
    let is_wanted = move |path: &PathBuf| {
        path.file_name()
            .and_then(|name| name.to_str())
            .is_some_and(|name| match &wanted {
                Some(wanted) => name == wanted,
                None => name.starts_with(NAME_START) && name.ends_with(&end),
            })
    };
    let trusted = named().filter(|folder| is_ours(folder));
    let folders: BTreeSet<_> = trusted
        .chain([PathBuf::from(SERVICE_FOLDER)])
        .chain(own_folders())
        .collect();
    folders
        .into_iter()
        .filter_map(|folder| fs::read_dir(folder).ok())
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(is_wanted)
}

fn name(card: &Path, kind: &str) -> String {
    let crc = crc32c::of(absolute(card).as_os_str().as_encoded_bytes());
    format!("{NAME_START}{crc:08x}.{kind}")
}

fn named() -> impl Iterator<Item = PathBuf> {
    ["RUNTIME_DIRECTORY", "XDG_RUNTIME_DIR"]
        .into_iter()
        .filter_map(runtime_folder)
}

fn runtime_folder(variable: &str) -> Option<PathBuf> {
    // systemd joins several folders with a colon. The first one is headwater's.
    let folders = env::var(variable).ok()?;
    let first = folders.split(':').next().map(PathBuf::from);
    first.filter(|folder| folder.is_absolute())
}

/// The private folder of this user in the world-writable folder `shared`. It is created if missing.
fn own_folder(shared: &Path) -> io::Result<PathBuf> {
    if !is_tmpfs(shared) {
        let why = format!("{} is no tmpfs to write to", shared.display());
        return Err(io::Error::other(why));
    }
    let folder = shared.join(format!("{NAME_START}{}", geteuid().as_raw()));
    match DirBuilder::new().mode(0o700).create(&folder) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    match is_private(&folder, geteuid().as_raw())? {
        true => Ok(folder),
        false => Err(io::Error::other(format!(
            "{} is not a folder of this user alone: remove it",
            folder.display()
        ))),
    }
}

/// The private folders that this user may read: its own, and for root every user's.
fn own_folders() -> Vec<PathBuf> {
    let us = geteuid().as_raw();
    let theirs = |entry: fs::DirEntry| {
        let uid = entry
            .file_name()
            .to_str()?
            .strip_prefix(NAME_START)?
            .parse();
        let uid = uid.ok().filter(|uid| us == 0 || us == *uid)?;
        let folder = entry.path();
        is_private(&folder, uid).ok()?.then_some(folder)
    };
    let entries = fs::read_dir(SHARED).into_iter().flatten();
    entries.filter_map(|entry| theirs(entry.ok()?)).collect()
}

/// Whether `folder` is a folder, not a link to one, and accessible to the user `uid` only.
fn is_private(folder: &Path, uid: u32) -> io::Result<bool> {
    let metadata = fs::symlink_metadata(folder)?;
    Ok(metadata.is_dir() && metadata.uid() == uid && metadata.mode() & OPEN_TO_OTHERS == 0)
}

/// Whether no other user may write to `folder`, which systemd or the login session created.
fn is_ours(folder: &Path) -> bool {
    fs::metadata(folder).is_ok_and(|metadata| {
        metadata.uid() == geteuid().as_raw() && metadata.mode() & WRITABLE_BY_OTHERS == 0
    })
}

/// Whether `folder` is on a tmpfs, and this program may write to it.
pub fn is_tmpfs(folder: &Path) -> bool {
    const TMPFS_MAGIC: u64 = 0x0102_1994;
    let writable = rustix::fs::access(folder, rustix::fs::Access::WRITE_OK).is_ok();
    writable
        && rustix::fs::statfs(folder)
            .is_ok_and(|stat| u64::try_from(stat.f_type) == Ok(TMPFS_MAGIC))
}

/// The absolute path of `card` with the links of its folder resolved, so that one file has one name whatever the working directory.
fn absolute(card: &Path) -> PathBuf {
    let absolute = std::path::absolute(card).unwrap_or_else(|_| card.to_owned());
    match (
        absolute.parent().map(fs::canonicalize),
        absolute.file_name(),
    ) {
        (Some(Ok(folder)), Some(name)) => folder.join(name),
        _ => absolute,
    }
}

#[cfg(test)]
mod tests;
