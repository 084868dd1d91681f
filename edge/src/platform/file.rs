//! Files: opened without a write to the card, replaced whole.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use rustix::fs::OFlags;

/// Opens the file at `path` as `options` say, and has the system not note when it is read: that note is a write to the card. Where only the
/// file's owner may ask for that, others cause the note.
pub fn open_unnoted(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    let unnoted = OFlags::NOATIME.bits().cast_signed();
    match options.custom_flags(unnoted).open(path) {
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            options.custom_flags(0).open(path)
        }
        result => result,
    }
}

/// Who may read a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readers {
    /// As the process's umask says.
    Owner,
    /// Every user of this machine.
    Everyone,
}

/// Puts `content` in the place of the file at `path`: a reader sees the one or the other, whole. Not
/// synced: what stands here is not worth a write to flash of its own.
pub fn replace(path: &Path, content: &[u8], readers: Readers) -> io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let mut file = fs::File::create(&name)?;
    if readers == Readers::Everyone {
        // Whatever the umask takes away: the service's leaves its files to itself.
        file.set_permissions(Permissions::from_mode(0o644))?;
    }
    file.write_all(content)?;
    fs::rename(&name, path)
}

#[cfg(test)]
mod tests;
