//! The bytes of a ring: a file or memory. All I/O of the spool goes through here.
//!
//! - A file is filled with real zeros to its full length before it gets its name. With unwritten extents each later write would be a metadata
//!   transaction, and a full disk would be noticed only in the middle of an outage.
//! - A file must belong to this user: one of another user, or one that is not a regular file, is not touched (see [`crate::platform::file`]).
//! - A process that opens a file to write holds its lock. The lock ends with the process, so no stale lock can be left.

use std::fmt;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::num::NonZeroU64;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::fs::Advice;

use crate::platform::file::{make_private, open_own, open_to_look, replaceable};

/// Bytes of a fixed length, read and written by several threads.
pub trait Storage: Send + Sync + fmt::Debug {
    /// The current length in bytes.
    fn len(&self) -> u64;
    /// Fills `to` with the bytes from `at` on.
    ///
    /// # Errors
    /// If they cannot be read, or there are fewer.
    fn read_at(&self, to: &mut [u8], at: u64) -> io::Result<()>;
    /// Writes all of `bytes` from byte `at` on. They survive a power cut after the next successful [`Storage::sync`].
    ///
    /// # Errors
    /// If some of them could not be written.
    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<()>;
    /// Makes all that was written survive a power cut.
    ///
    /// # Errors
    /// If that is not certain. Then it is unknown what survives, and a second call that succeeds proves nothing: the kernel may have dropped the
    /// dirty pages (PostgreSQL wiki, "Fsync Errors").
    fn sync(&self) -> io::Result<()>;
    /// Says whether the file was removed or truncated since it was opened, in words; `None` if not.
    fn gone(&self) -> Option<&'static str> {
        None
    }
    /// Releases the page cache of these bytes, which will not be read again soon.
    fn forget(&self, _at: u64, _len: u64) {}
}

/// A path at which a storage can be found again.
pub trait Slot: Send + Sync + fmt::Debug {
    /// Opens the storage at the path, and locks it.
    ///
    /// # Errors
    /// If another process has it, or it cannot be opened.
    fn open(&self) -> Result<Arc<dyn Storage>, OpenError>;
    /// Makes a storage of `len` zeros and locks it. It gets its path from [`Self::publish`]. Stops with an error when `go_on` returns false.
    ///
    /// # Errors
    /// If another process makes one, the disk has no room, or it cannot be written.
    fn create(&self, len: u64, go_on: &dyn Fn() -> bool) -> Result<Arc<dyn Storage>, OpenError>;
    /// Gives `new` the path, atomically even in a power cut. If `set_aside`, the storage that had the path is kept, under another name.
    ///
    /// # Errors
    /// If `new` cannot be synced or renamed. The old storage may have been renamed by then.
    fn publish(&self, new: &dyn Storage, set_aside: bool) -> io::Result<()>;
}

/// Why a storage could not be opened.
#[derive(Debug)]
pub enum OpenError {
    /// Another process has it.
    Locked(Locked),
    /// The system returned an error.
    Io(io::Error),
}

impl From<rustix::io::Errno> for OpenError {
    fn from(error: rustix::io::Errno) -> Self {
        Self::Io(error.into())
    }
}

impl From<io::Error> for OpenError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Another process uses this spool. Two would send every record twice, so the program must end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Locked {
    /// The file that is locked.
    pub path: PathBuf,
    /// The other process, if the system names it.
    pub pid: Option<u32>,
}

impl fmt::Display for Locked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is in use by ", self.path.display())?;
        match self.pid {
            Some(pid) => write!(f, "process {pid}")?,
            None => write!(f, "another process")?,
        }
        write!(f, ": stop that one, or give this one its own --spool FILE")
    }
}

impl std::error::Error for Locked {}

/// The slot of a file.
#[derive(Debug)]
pub struct FileSlot {
    path: PathBuf,
    /// The file whose lock this slot holds. This process may open it again.
    held: Mutex<Option<File>>,
}

impl FileSlot {
    /// The slot at `path`.
    pub fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            held: Mutex::new(None),
        }
    }

    fn beside(&self, suffix: &str) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(suffix);
        name.into()
    }

    fn lock(&self, file: &File) -> Result<(), OpenError> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let id = |file: &File| {
            file.metadata()
                .map(|metadata| (metadata.dev(), metadata.ino()))
        };
        if let Some(held) = &*held
            && id(held)? == id(file)?
        {
            return Ok(());
        }
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(OpenError::Locked(Locked {
                    path: self.path.clone(),
                    pid: holder(file),
                }));
            }
            // The file system has no locks: a spool without a lock is better than none.
            Err(TryLockError::Error(error)) if error.kind() == ErrorKind::Unsupported => {}
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
        *held = Some(file.try_clone()?);
        Ok(())
    }
}

impl Slot for FileSlot {
    fn open(&self) -> Result<Arc<dyn Storage>, OpenError> {
        let mut options = OpenOptions::new();
        let (file, refusal) = match open_own(&self.path, options.read(true).write(true)) {
            Ok(file) => (file, None),
            Err(error) if error.kind() == ErrorKind::NotFound => return Err(error.into()),
            // The records of a file that cannot be written can still be delivered.
            Err(error) => match open_own(&self.path, OpenOptions::new().read(true)) {
                Ok(file) => (file, error.raw_os_error()),
                Err(_) => return Err(error.into()),
            },
        };
        make_private(&file);
        self.lock(&file)?;
        Ok(Arc::new(FileStorage::new(file, refusal)?))
    }

    fn create(&self, len: u64, go_on: &dyn Fn() -> bool) -> Result<Arc<dyn Storage>, OpenError> {
        if let Some(folder) = self.path.parent() {
            fs::create_dir_all(folder)?;
        }
        let path = self.beside(".new");
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let file = open_own(&path, &mut options)?;
        make_private(&file);
        self.lock(&file)?;
        file.set_len(0)?;
        let system = rustix::fs::fstatvfs(&file)?;
        if system.f_bavail.saturating_mul(system.f_frsize) < len {
            // Found without writing to the flash.
            let _ = fs::remove_file(&path);
            return Err(rustix::io::Errno::NOSPC.into());
        }
        if let Err(error) = fill_with_zeros(&file, len, go_on) {
            // A useless file must not take space on a full disk.
            let _ = fs::remove_file(&path);
            return Err(error.into());
        }
        Ok(Arc::new(FileStorage::new(file, None)?))
    }

    fn publish(&self, new: &dyn Storage, set_aside: bool) -> io::Result<()> {
        // Power cut before this line: the old file remains, and the next opening makes the new one again.
        new.sync()?;
        replaceable(&self.path)?;
        if set_aside {
            replaceable(&self.beside(".damaged"))?;
            match fs::rename(&self.path, self.beside(".damaged")) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        // Power cut here: no file has the path, and the next opening makes one.
        fs::rename(self.beside(".new"), &self.path)?;
        // Power cut here: the old or the new file has the path. Both are whole.
        let folder = self.path.parent().filter(|p| !p.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
    }
}

fn fill_with_zeros(file: &File, len: u64, go_on: &dyn Fn() -> bool) -> io::Result<()> {
    const CHUNK: u64 = 256 << 10;
    let zeros = vec![0; CHUNK as usize];
    let mut at = 0;
    while at < len {
        if !go_on() {
            return Err(ErrorKind::Interrupted.into());
        }
        let now = CHUNK.min(len - at);
        file.write_all_at(&zeros[..now as usize], at)?;
        at += now;
        if at.is_multiple_of(64 * CHUNK) {
            // In steps, so that other users of the card do not wait for gigabytes at once.
            file.sync_data()?;
            forget(file, 0, at);
        }
    }
    Ok(())
}

/// The process that holds the lock on `file`, from /proc/locks (proc(5)).
fn holder(file: &File) -> Option<u32> {
    let inode = file.metadata().ok()?.ino().to_string();
    let locks = fs::read_to_string("/proc/locks").ok()?;
    // 1: FLOCK  ADVISORY  WRITE 4711 fe:01:393226 0 EOF
    locks.lines().find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [_, "FLOCK", _, _, pid, place, ..] = fields[..] else {
            return None;
        };
        (place.rsplit(':').next() == Some(&inode))
            .then(|| pid.parse().ok())
            .flatten()
    })
}

fn forget(file: &File, at: u64, len: u64) {
    // Only advice: an error has no effect on the data.
    let _ = rustix::fs::fadvise(file, at, NonZeroU64::new(len), Advice::DontNeed);
}

#[derive(Debug)]
struct FileStorage {
    file: File,
    /// The error of opening it to write, if it could only be opened to read.
    refusal: Option<i32>,
    /// The file's length when it was opened. The program never changes it.
    opened_len: u64,
}

impl FileStorage {
    fn new(file: File, refusal: Option<i32>) -> io::Result<Self> {
        let opened_len = file.metadata()?.len();
        Ok(Self {
            file,
            refusal,
            opened_len,
        })
    }
}

impl Storage for FileStorage {
    fn len(&self) -> u64 {
        self.file.metadata().map_or(0, |metadata| metadata.len())
    }

    fn read_at(&self, to: &mut [u8], at: u64) -> io::Result<()> {
        self.file.read_exact_at(to, at)
    }

    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        match self.refusal {
            Some(code) => Err(io::Error::from_raw_os_error(code)),
            None => self.file.write_all_at(bytes, at),
        }
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn gone(&self) -> Option<&'static str> {
        match self.file.metadata() {
            Ok(metadata) if metadata.nlink() == 0 => Some("it was removed"),
            Ok(metadata) if metadata.len() < self.opened_len => Some("it was cut short"),
            _ => None,
        }
    }

    fn forget(&self, at: u64, len: u64) {
        forget(&self.file, at, len);
    }
}

/// Memory of the process: the stage of a machine without tmpfs.
#[derive(Debug)]
pub struct Memory(Mutex<Box<[u8]>>);

impl Memory {
    /// `len` zeros.
    pub fn new(len: u64) -> Self {
        Self(Mutex::new(vec![0; len as usize].into()))
    }
}

impl Storage for Memory {
    fn len(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len() as u64
    }

    fn read_at(&self, to: &mut [u8], at: u64) -> io::Result<()> {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let from = range(&bytes, at, to.len()).ok_or(ErrorKind::UnexpectedEof)?;
        to.copy_from_slice(&bytes[from]);
        Ok(())
    }

    fn write_at(&self, from: &[u8], at: u64) -> io::Result<()> {
        let mut bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let to = range(&bytes, at, from.len()).ok_or(ErrorKind::StorageFull)?;
        bytes[to].copy_from_slice(from);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}

fn range(bytes: &[u8], at: u64, len: usize) -> Option<std::ops::Range<usize>> {
    let at = usize::try_from(at).ok()?;
    let end = at.checked_add(len)?;
    (end <= bytes.len()).then_some(at..end)
}

/// The slot of a stage without tmpfs. It is always empty.
#[derive(Debug)]
pub struct NoSlot;

impl Slot for NoSlot {
    fn open(&self) -> Result<Arc<dyn Storage>, OpenError> {
        Err(io::Error::from(ErrorKind::NotFound).into())
    }

    fn create(&self, len: u64, _: &dyn Fn() -> bool) -> Result<Arc<dyn Storage>, OpenError> {
        Ok(Arc::new(Memory::new(len)))
    }

    fn publish(&self, _: &dyn Storage, _: bool) -> io::Result<()> {
        Ok(())
    }
}

/// The slot of a reader: it takes no lock, and new storages are made in memory.
#[derive(Debug)]
pub struct LookSlot(pub PathBuf);

impl Slot for LookSlot {
    fn open(&self) -> Result<Arc<dyn Storage>, OpenError> {
        let file = open_to_look(&self.0)?;
        let refusal = Some(rustix::io::Errno::ROFS.raw_os_error());
        Ok(Arc::new(FileStorage::new(file, refusal)?))
    }

    fn create(&self, len: u64, go_on: &dyn Fn() -> bool) -> Result<Arc<dyn Storage>, OpenError> {
        NoSlot.create(len, go_on)
    }

    fn publish(&self, new: &dyn Storage, set_aside: bool) -> io::Result<()> {
        NoSlot.publish(new, set_aside)
    }
}

/// The process that holds the lock of the file at `path`; `None` if none does, or the system does not name it.
///
/// # Errors
/// If the file cannot be opened.
pub fn user_of(path: &Path) -> io::Result<Option<u32>> {
    Ok(holder(&open_to_look(path)?))
}
