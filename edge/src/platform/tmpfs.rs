//! Files in RAM that outlive the process: the spool's stage, the state, the status.
//!
//! They stand in a tmpfs folder and carry the name of the card's spool file, so that two producers never share one.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::{env, fs};

/// What every file's name begins with.
const NAME_START: &str = "headwater-";

/// The RUNTIME_DIRECTORY of `headwater.service`.
const SERVICE_FOLDER: &str = "/run/headwater";

/// The file that belongs to the spool at `card`, as `<tmpfs>/headwater-<crc of its absolute path>.<kind>`; `None` where this machine has
/// no tmpfs the program may write to. The folder is systemd's RUNTIME_DIRECTORY, else XDG_RUNTIME_DIR, else /dev/shm.
pub fn file_beside(card: &Path, kind: &str) -> Option<PathBuf> {
    folders()
        .find(|folder| is_tmpfs(folder))
        .map(|folder| folder.join(name(card, kind)))
}

/// The files of this `kind` that running programs keep, of the service too: that of the spool at `card`, or all.
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
    let folders: BTreeSet<_> = folders().chain([PathBuf::from(SERVICE_FOLDER)]).collect();
    folders
        .into_iter()
        .filter_map(|folder| fs::read_dir(folder).ok())
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(is_wanted)
}

fn name(card: &Path, kind: &str) -> String {
    let crc = crc32c::crc32c(absolute(card).as_os_str().as_encoded_bytes());
    format!("{NAME_START}{crc:08x}.{kind}")
}

fn folders() -> impl Iterator<Item = PathBuf> {
    // systemd joins several folders with a colon; the first is the service's own.
    let first = |names: String| names.split(':').next().map(PathBuf::from);
    let named = ["RUNTIME_DIRECTORY", "XDG_RUNTIME_DIR"]
        .into_iter()
        .filter_map(|name| env::var(name).ok());
    named
        .filter_map(first)
        .filter(|folder| folder.is_absolute())
        .chain([PathBuf::from("/dev/shm")])
}

/// Whether `folder` is in RAM, and this program may write to it.
pub fn is_tmpfs(folder: &Path) -> bool {
    const TMPFS_MAGIC: u64 = 0x0102_1994;
    let writable = rustix::fs::access(folder, rustix::fs::Access::WRITE_OK).is_ok();
    writable
        && rustix::fs::statfs(folder)
            .is_ok_and(|stat| u64::try_from(stat.f_type) == Ok(TMPFS_MAGIC))
}

/// `card` from the root, its folder's links resolved: the same file is the same name, wherever it is called from.
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
