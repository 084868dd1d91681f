//! Opening and replacing files. The program's own are opened so that nothing that another user planted under their names is followed, waited
//! for or changed. Any file is opened so that reading it does not write to the card.

use std::fs::{self, File, Metadata, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;

use rustix::fs::OFlags;
use rustix::io::Errno;
use signal_hook::consts::SIGXFSZ;

/// Mode of a file that only the user of this process may read and write.
const PRIVATE: u32 = 0o600;

/// Flags for the program's own files: open follows no symbolic link, does not block on a pipe, and makes no terminal the controlling one.
const GUARDED: OFlags = OFlags::NOFOLLOW
    .union(OFlags::NONBLOCK)
    .union(OFlags::NOCTTY);

/// Magic numbers of file systems that report one owner for all files: FAT, exFAT, NTFS and FUSE.
const OWNERLESS: [u64; 4] = [0x4d44, 0x2011_bab0, 0x7366_746e, 0x6573_5546];

/// Ignores SIGXFSZ: beyond the size limit (`ulimit -f`, `LimitFSIZE=`) a write then fails as on a full disk, and does not end the program.
pub fn outlive_size_limit() {
    // Only the handler's existence matters: the write itself fails with EFBIG.
    let _ = signal_hook::flag::register(SIGXFSZ, Arc::default());
}

/// Opens the file at `path` with O_NOATIME: an atime update is a write to the card. Only the file's owner may use that flag; for other users the
/// file is opened without it.
///
/// # Errors
///
/// Those of open(2).
pub fn open_unnoted(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    open_with(path, options, OFlags::empty())
}

/// Opens the program's own file at `path` with `options`, as [`open_unnoted`] does. A file that is created gets the mode 0600.
///
/// # Errors
///
/// Those of open(2). Also if the file is not a regular file, belongs to another user, or has a hard link: it is then left unchanged.
pub fn open_own(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    let file = open_guarded(path, options.mode(PRIVATE))?;
    check_own(&file.metadata()?, &|| rustix::fs::fstatfs(&file))?;
    Ok(file)
}

/// Sets the mode of the program's own `file` to 0600, whatever an earlier version or umask gave it.
pub fn make_private(file: &File) {
    if let Ok(metadata) = file.metadata()
        && metadata.mode() & 0o077 != 0
    {
        // A file system without modes has nothing to change.
        let _ = file.set_permissions(Permissions::from_mode(metadata.mode() & 0o700));
    }
}

/// Opens any user's file for reading, without following a symbolic link or blocking on a pipe.
///
/// # Errors
///
/// Those of open(2), and if it is not a regular file.
pub fn open_to_look(path: &Path) -> io::Result<File> {
    let file = open_guarded(path, OpenOptions::new().read(true))?;
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(not_regular()),
    }
}

/// Reads the program's own file at `path`.
///
/// # Errors
///
/// Those of [`open_own`] and read(2), and if the file is larger than `max_bytes`.
pub fn read_own(path: &Path, max_bytes: u64) -> io::Result<Vec<u8>> {
    read_bounded(open_own(path, OpenOptions::new().read(true))?, max_bytes)
}

/// Reads all of `file`.
///
/// # Errors
///
/// Those of read(2), and if the file is larger than `max_bytes`.
pub fn read_bounded(file: File, max_bytes: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(max_bytes + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > max_bytes {
        true => Err(ErrorKind::FileTooLarge.into()),
        false => Ok(bytes),
    }
}

/// Who may read a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readers {
    /// The user of this process alone.
    Owner,
    /// Every user of this machine.
    Everyone,
}

/// Replaces the file at `path` atomically: a reader sees the old content or `content`. Does not sync, because these files are not worth a
/// write to flash.
///
/// # Errors
///
/// Those of open(2), write(2) and rename(2), and those of [`replaceable`].
pub fn replace(path: &Path, content: &[u8], readers: Readers) -> io::Result<()> {
    replaceable(path)?;
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let name = Path::new(&name);
    let mut file = create_own(name)?;
    if readers == Readers::Everyone {
        // Regardless of the umask: the service's is 0077.
        file.set_permissions(Permissions::from_mode(0o644))?;
    }
    let written = file
        .write_all(content)
        .and_then(|()| fs::rename(name, path));
    if written.is_err() {
        // On a full disk, a partial file would only take space.
        let _ = fs::remove_file(name);
    }
    written
}

/// Creates the program's own file at `path`, empty, with the mode 0600, and removes one that an earlier run left there.
///
/// # Errors
///
/// Those of open(2) and unlink(2), and those of [`replaceable`].
pub fn create_own(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    match open_own(path, &mut options) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            replaceable(path)?;
            fs::remove_file(path)?;
            open_own(path, &mut options)
        }
        made => made,
    }
}

/// Checks that `path` may be replaced: nothing is there, or a regular file of this user.
///
/// # Errors
///
/// It is a device, a pipe, a symbolic link, a folder, or another user's file. It is left unchanged.
pub fn replaceable(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(metadata) => check_owner(&metadata, &|| rustix::fs::statfs(path)),
    }
}

type StatFs<'a> = &'a dyn Fn() -> rustix::io::Result<rustix::fs::StatFs>;

/// Besides the owner, checks the number of hard links: with a second name, writing here could change a file that matters elsewhere.
fn check_own(metadata: &Metadata, system: StatFs<'_>) -> io::Result<()> {
    check_owner(metadata, system)?;
    match metadata.nlink() {
        0 | 1 => Ok(()),
        _ => Err(io::Error::other(
            "it is a file with a second name (a hard link), and is left as it is",
        )),
    }
}

fn check_owner(metadata: &Metadata, system: StatFs<'_>) -> io::Result<()> {
    if !metadata.is_file() {
        return Err(not_regular_but(metadata));
    }
    let ours = metadata.uid() == rustix::process::geteuid().as_raw();
    let ownerless = || {
        let kind = system().map(|stat| u64::try_from(stat.f_type).unwrap_or_default());
        kind.is_ok_and(|kind| OWNERLESS.contains(&kind))
    };
    match ours || ownerless() {
        true => Ok(()),
        false => Err(io::Error::other(format!(
            "it is a file of another user (uid {}), and is left as it is",
            metadata.uid()
        ))),
    }
}

fn not_regular_but(metadata: &Metadata) -> io::Error {
    let kind = metadata.file_type();
    let what = match () {
        () if kind.is_dir() => "a folder",
        () if kind.is_symlink() => "a symbolic link",
        () if kind.is_fifo() => "a pipe",
        () if kind.is_char_device() || kind.is_block_device() => "a device",
        () => return not_regular(),
    };
    io::Error::other(format!("it is {what}, and is left as it is"))
}

fn not_regular() -> io::Error {
    io::Error::other("it is not a regular file, and is left as it is")
}

fn open_guarded(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    open_with(path, options, GUARDED).map_err(|error| match Errno::from_io_error(&error) {
        Some(Errno::LOOP) => io::Error::other("it is a symbolic link, and is left as it is"),
        // A pipe without a reader, or a socket.
        Some(Errno::NXIO) => not_regular(),
        _ => error,
    })
}

fn open_with(path: &Path, options: &mut OpenOptions, flags: OFlags) -> io::Result<File> {
    let flags_of = |flags: OFlags| flags.bits().cast_signed();
    match options
        .custom_flags(flags_of(flags | OFlags::NOATIME))
        .open(path)
    {
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            options.custom_flags(flags_of(flags)).open(path)
        }
        result => result,
    }
}

#[cfg(test)]
mod tests;
