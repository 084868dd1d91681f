//! Files in RAM that outlive the process: the spool's stage, the state, the status.
//!
//! They stand in a tmpfs folder and carry the name of the card's spool file, so that two producers never share one.

use std::path::{Path, PathBuf};
use std::{env, fs};

/// The file that belongs to the spool at `card`, as `<tmpfs>/headwater-<crc of its absolute path>.<kind>`; `None` where this machine has
/// no tmpfs the program may write to. The folder is systemd's RUNTIME_DIRECTORY, else XDG_RUNTIME_DIR, else /dev/shm.
pub fn file_beside(card: &Path, kind: &str) -> Option<PathBuf> {
    let name = format!(
        "headwater-{:08x}.{kind}",
        crc32c::crc32c(absolute(card).as_os_str().as_encoded_bytes())
    );
    folders()
        .find(|folder| is_tmpfs(folder))
        .map(|folder| folder.join(name))
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

fn is_tmpfs(folder: &Path) -> bool {
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
