//! A card that can stop answering: a file system of the tests' own (FUSE), in memory, of one folder.
//!
//! What waits for such a card waits in the kernel, and not even `kill -9` ends it: as with a real one.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, UNIX_EPOCH};

use fuser::{
    BackgroundSession, BsdFileFlags, Config, Errno, FileAttr, FileHandle, FileType, Filesystem,
    FopenFlags, Generation, INodeNo, LockOwner, OpenFlags, RenameFlags, ReplyAttr, ReplyCreate,
    ReplyData, ReplyEmpty, ReplyEntry, ReplyStatfs, ReplyWrite, Request, TimeOrNow, WriteFlags,
};
use tempfile::TempDir;

/// Nothing the kernel could answer by itself.
const UNREMEMBERED: Duration = Duration::ZERO;

const BLOCK: u32 = 4096;

/// The card, mounted.
pub struct Card {
    // Unmounted before its folder goes.
    _mounted: BackgroundSession,
    folder: TempDir,
    gate: Arc<Gate>,
}

impl Card {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let gate = Arc::new(Gate::default());
        let files = Files {
            gate: gate.clone(),
            folder: Mutex::default(),
        };
        let mounted = fuser::spawn_mount(files, folder.path(), &Config::default());
        Self {
            _mounted: mounted.expect("FUSE: /dev/fuse, and either root or fusermount3"),
            folder,
            gate,
        }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// From now on it answers nothing, until what is returned is dropped.
    pub fn silence(&self) -> Silence {
        *self.gate.closed.lock().unwrap() = true;
        Silence(self.gate.clone())
    }
}

/// While it lives, its card is silent.
pub struct Silence(Arc<Gate>);

impl Drop for Silence {
    fn drop(&mut self) {
        *self.0.closed.lock().unwrap() = false;
        self.0.opened.notify_all();
    }
}

#[derive(Default)]
struct Gate {
    closed: Mutex<bool>,
    opened: Condvar,
}

impl Gate {
    fn pass(&self) {
        let closed = self.closed.lock().unwrap();
        drop(self.opened.wait_while(closed, |closed| *closed).unwrap());
    }
}

/// Every request passes the gate, one after the other.
struct Files {
    gate: Arc<Gate>,
    folder: Mutex<Folder>,
}

/// A file is its content; its number is its place among all there ever were.
#[derive(Default)]
struct Folder {
    names: BTreeMap<OsString, u64>,
    contents: Vec<Vec<u8>>,
}

/// The number of the first file; the folder itself has 1.
const FIRST: u64 = 2;

impl Folder {
    fn content(&mut self, ino: INodeNo) -> &mut Vec<u8> {
        &mut self.contents[(u64::from(ino) - FIRST) as usize]
    }

    fn attributes(&mut self, ino: INodeNo) -> FileAttr {
        let is_folder = ino == INodeNo::ROOT;
        let size = if is_folder {
            0
        } else {
            self.content(ino).len() as u64
        };
        FileAttr {
            ino,
            size,
            blocks: size.div_ceil(512),
            atime: UNIX_EPOCH,
            mtime: UNIX_EPOCH,
            ctime: UNIX_EPOCH,
            crtime: UNIX_EPOCH,
            kind: if is_folder {
                FileType::Directory
            } else {
                FileType::RegularFile
            },
            perm: 0o755,
            nlink: 1,
            uid: rustix::process::getuid().as_raw(),
            gid: rustix::process::getgid().as_raw(),
            rdev: 0,
            blksize: BLOCK,
            flags: 0,
        }
    }
}

impl Files {
    fn folder(&self) -> std::sync::MutexGuard<'_, Folder> {
        self.gate.pass();
        self.folder.lock().unwrap()
    }
}

impl Filesystem for Files {
    fn lookup(&self, _: &Request, _: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let mut folder = self.folder();
        match folder.names.get(name).copied() {
            Some(ino) => reply.entry(
                &UNREMEMBERED,
                &folder.attributes(INodeNo(ino)),
                Generation(0),
            ),
            None => reply.error(Errno::ENOENT),
        }
    }

    fn getattr(&self, _: &Request, ino: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        reply.attr(&UNREMEMBERED, &self.folder().attributes(ino));
    }

    fn setattr(
        &self,
        _: &Request,
        ino: INodeNo,
        _: Option<u32>,
        _: Option<u32>,
        _: Option<u32>,
        size: Option<u64>,
        _: Option<TimeOrNow>,
        _: Option<TimeOrNow>,
        _: Option<std::time::SystemTime>,
        _: Option<FileHandle>,
        _: Option<std::time::SystemTime>,
        _: Option<std::time::SystemTime>,
        _: Option<std::time::SystemTime>,
        _: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let mut folder = self.folder();
        if let Some(size) = size {
            folder.content(ino).resize(size as usize, 0);
        }
        reply.attr(&UNREMEMBERED, &folder.attributes(ino));
    }

    fn create(
        &self,
        _: &Request,
        _: INodeNo,
        name: &OsStr,
        _: u32,
        _: u32,
        _: i32,
        reply: ReplyCreate,
    ) {
        let mut folder = self.folder();
        folder.contents.push(Vec::new());
        let ino = folder.contents.len() as u64 - 1 + FIRST;
        folder.names.insert(name.to_owned(), ino);
        reply.created(
            &UNREMEMBERED,
            &folder.attributes(INodeNo(ino)),
            Generation(0),
            FileHandle(0),
            FopenFlags::empty(),
        );
    }

    fn read(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let mut folder = self.folder();
        let content = folder.content(ino);
        let from = content.len().min(offset as usize);
        let to = content.len().min(from + size as usize);
        reply.data(&content[from..to]);
    }

    fn write(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let mut folder = self.folder();
        let content = folder.content(ino);
        let end = offset as usize + data.len();
        content.resize(content.len().max(end), 0);
        content[offset as usize..end].copy_from_slice(data);
        reply.written(data.len() as u32);
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        self.gate.pass();
        reply.ok();
    }

    fn fsync(&self, _: &Request, _: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        self.gate.pass();
        reply.ok();
    }

    fn fsyncdir(&self, _: &Request, _: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        self.gate.pass();
        reply.ok();
    }

    fn rename(
        &self,
        _: &Request,
        _: INodeNo,
        name: &OsStr,
        _: INodeNo,
        new: &OsStr,
        _: RenameFlags,
        reply: ReplyEmpty,
    ) {
        let mut folder = self.folder();
        match folder.names.remove(name) {
            Some(ino) => {
                folder.names.insert(new.to_owned(), ino);
                reply.ok();
            }
            None => reply.error(Errno::ENOENT),
        }
    }

    fn unlink(&self, _: &Request, _: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        match self.folder().names.remove(name) {
            Some(_) => reply.ok(),
            None => reply.error(Errno::ENOENT),
        }
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        const BLOCKS: u64 = 1 << 20;
        self.gate.pass();
        reply.statfs(BLOCKS, BLOCKS, BLOCKS, 0, 0, BLOCK, 255, BLOCK);
    }
}
