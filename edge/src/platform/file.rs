//! Files: the program's own, which are opened and replaced so that nothing another user planted under their names is followed, waited for
//! or changed; and any file, opened without a write to the card.

use std::fs::{self, File, Metadata, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;

use rustix::fs::OFlags;
use rustix::io::Errno;
use signal_hook::consts::SIGXFSZ;

/// What only the user of this process may read and write.
const PRIVATE: u32 = 0o600;

/// Opening a file of the program's own follows no link, waits for nobody at the other end of a pipe, and takes no terminal.
const GUARDED: OFlags = OFlags::NOFOLLOW
    .union(OFlags::NONBLOCK)
    .union(OFlags::NOCTTY);

/// File systems that say the same owner of every file, whoever made it: FAT, exFAT, NTFS, and those of FUSE.
const OWNERLESS: [u64; 4] = [0x4d44, 0x2011_bab0, 0x7366_746e, 0x6573_5546];

/// Where a file may grow no further (`ulimit -f`, `LimitFSIZE=`), has a write fail as on a full disk: the system's own way is to end the
/// program without a word.
pub fn outlive_size_limit() {
    // That it came is nothing to remember: the write says so.
    let _ = signal_hook::flag::register(SIGXFSZ, Arc::default());
}

/// Opens the file at `path` as `options` say, and has the system not note when it is read: that note is a write to the card. Where only the
/// file's owner may ask for that, others cause the note.
pub fn open_unnoted(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    open_with(path, options, OFlags::empty())
}

/// Opens the program's own file at `path` as `options` say; one that is made is private. See [`open_unnoted`] for what it spares the card.
///
/// # Errors
///
/// Those of the system; and what lies there is no regular file, is another user's, or has a second name, and is left as it is.
pub fn open_own(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    let file = open_guarded(path, options.mode(PRIVATE))?;
    check_own(&file.metadata()?, &|| rustix::fs::fstatfs(&file))?;
    Ok(file)
}

/// Takes from others what an earlier version, or another umask, let them do with the program's own `file`.
pub fn make_private(file: &File) {
    if let Ok(metadata) = file.metadata()
        && metadata.mode() & 0o077 != 0
    {
        // A file system without modes has nothing to take.
        let _ = file.set_permissions(Permissions::from_mode(metadata.mode() & 0o700));
    }
}

/// Opens a file of anybody's to look into it. No link is followed, no pipe waited for: what is no regular file is an error.
pub fn open_to_look(path: &Path) -> io::Result<File> {
    let file = open_guarded(path, OpenOptions::new().read(true))?;
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(not_regular()),
    }
}

/// Reads the program's own file at `path`, of at most `max_bytes`.
///
/// # Errors
///
/// Those of [`open_own`], and that it is larger.
pub fn read_own(path: &Path, max_bytes: u64) -> io::Result<Vec<u8>> {
    read_bounded(open_own(path, OpenOptions::new().read(true))?, max_bytes)
}

/// Reads all of `file`, which holds at most `max_bytes`.
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

/// Puts `content` in the place of the file at `path`: a reader sees the one or the other, whole. Not
/// synced: what stands here is not worth a write to flash of its own.
///
/// # Errors
///
/// Those of the system, and those of [`replaceable`].
pub fn replace(path: &Path, content: &[u8], readers: Readers) -> io::Result<()> {
    replaceable(path)?;
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let name = Path::new(&name);
    let mut file = create_own(name)?;
    if readers == Readers::Everyone {
        // Whatever the umask takes away: the service's leaves its files to itself.
        file.set_permissions(Permissions::from_mode(0o644))?;
    }
    let written = file
        .write_all(content)
        .and_then(|()| fs::rename(name, path));
    if written.is_err() {
        // On a full disk, half a file takes room and is of no use.
        let _ = fs::remove_file(name);
    }
    written
}

/// Makes the program's own file at `path`, empty and private, in the place of one that an earlier run left.
///
/// # Errors
///
/// Those of the system, and those of [`replaceable`].
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

/// Whether what lies at `path` may go: nothing, or a regular file of this user's.
///
/// # Errors
///
/// It is a device, a pipe, a link, a folder, or another user's file: it is left as it is.
pub fn replaceable(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(metadata) => check_owner(&metadata, &|| rustix::fs::statfs(path)),
    }
}

type StatFs<'a> = &'a dyn Fn() -> rustix::io::Result<rustix::fs::StatFs>;

/// An own file that is opened to be written has one name: under a second one it may be a file that matters.
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
        // a pipe without a reader, or a socket
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
