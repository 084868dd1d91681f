//! A disk whose power can be cut: between two syncs each written block may have reached the medium whole, in part, or not at all.

use std::io::{self, ErrorKind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use crate::spool::format::block::BLOCK;
use crate::spool::media::storage::{OpenError, Slot, Storage};
use crate::spool::tests::Dice;

pub const SECTOR: usize = 512;

const ALL_TORN: usize = 7;
const ALL: usize = 10;

/// A block's content, shared between images.
pub type Page = Arc<[u8; BLOCK]>;

/// What a medium holds.
pub type Image = Vec<Page>;

/// What happened to a disk, in order; the tests put in what the program was told.
#[derive(Clone, Debug)]
pub enum Event<T> {
    Write(usize, Page),
    Synced,
    /// A sync failed; these blocks of those before it reached the medium, the others are forgotten.
    Failed(Vec<bool>),
    Told(T),
}

/// What goes wrong, and how often still.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    /// Syncs that fail, with the pages marked clean: the next one knows nothing of them.
    pub failing_syncs: u32,
    /// Writes that fail.
    pub failing_writes: u32,
    /// Syncs that say yes and do nothing.
    pub lying_syncs: u32,
    /// Reads that fail, of blocks from this place on.
    pub unreadable_from: Option<usize>,
}

#[derive(Debug)]
pub struct SimDisk<T> {
    inner: Mutex<Inner<T>>,
    writes: AtomicU64,
}

#[derive(Debug)]
struct Inner<T> {
    /// What the system shows: everything written.
    seen: Image,
    /// What a power cut leaves for certain.
    safe: Image,
    pending: Vec<(usize, Page)>,
    log: Vec<Event<T>>,
    faults: Faults,
}

pub fn zeros(blocks: usize) -> Image {
    let page = Arc::new([0; BLOCK]);
    std::iter::repeat_n(page, blocks).collect()
}

impl<T> SimDisk<T> {
    pub fn new(image: Image) -> Arc<Self> {
        Arc::new(Self {
            inner: Mutex::new(Inner {
                safe: image.clone(),
                seen: image,
                pending: Vec::new(),
                log: Vec::new(),
                faults: Faults::default(),
            }),
            writes: AtomicU64::new(0),
        })
    }

    fn inner(&self) -> MutexGuard<'_, Inner<T>> {
        self.inner.lock().unwrap()
    }

    pub fn tell(&self, what: T) {
        self.inner().log.push(Event::Told(what));
    }

    pub fn set_faults(&self, faults: Faults) {
        self.inner().faults = faults;
    }

    /// Writes since it was made.
    pub fn writes(&self) -> u64 {
        self.writes.load(Ordering::Relaxed)
    }

    /// What a killed program leaves: all it wrote.
    pub fn seen(&self) -> Image {
        self.inner().seen.clone()
    }

    /// What a power cut leaves that takes everything unsynced.
    pub fn safe(&self) -> Image {
        self.inner().safe.clone()
    }

    /// The unsynced blocks, oldest first.
    pub fn pending(&self) -> Vec<(usize, Page)> {
        self.inner().pending.clone()
    }
}

impl<T: Clone> SimDisk<T> {
    pub fn log(&self) -> Vec<Event<T>> {
        self.inner().log.clone()
    }
}

impl<T: Send + std::fmt::Debug> Storage for SimDisk<T> {
    fn len(&self) -> u64 {
        (self.inner().seen.len() * BLOCK) as u64
    }

    fn read_at(&self, to: &mut [u8], at: u64) -> io::Result<()> {
        let inner = self.inner();
        let (first, count) = places(to.len(), at);
        if inner
            .faults
            .unreadable_from
            .is_some_and(|from| first + count > from)
        {
            return Err(io::Error::from_raw_os_error(5));
        }
        let pages = inner.seen.get(first..first + count);
        let pages = pages.ok_or(ErrorKind::UnexpectedEof)?;
        for (page, to) in pages.iter().zip(to.as_chunks_mut().0) {
            *to = **page;
        }
        Ok(())
    }

    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        self.writes.fetch_add(1, Ordering::Relaxed);
        let mut inner = self.inner();
        let (first, count) = places(bytes.len(), at);
        assert!(first + count <= inner.seen.len(), "the file would grow");
        if inner.faults.failing_writes > 0 {
            inner.faults.failing_writes -= 1;
            return Err(io::Error::from_raw_os_error(5));
        }
        for (i, bytes) in bytes.as_chunks().0.iter().enumerate() {
            let page = Arc::new(*bytes);
            inner.seen[first + i] = page.clone();
            inner.pending.push((first + i, page.clone()));
            inner.log.push(Event::Write(first + i, page));
        }
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut inner = self.inner();
        if inner.faults.failing_syncs > 0 {
            inner.faults.failing_syncs -= 1;
            let mut dice = Dice::new(inner.log.len() as u64);
            let pending = std::mem::take(&mut inner.pending);
            let reached: Vec<_> = pending.iter().map(|_| dice.roll(2) == 0).collect();
            for ((place, page), _) in pending
                .into_iter()
                .zip(&reached)
                .filter(|(_, reached)| **reached)
            {
                inner.safe[place] = page;
            }
            inner.log.push(Event::Failed(reached));
            return Err(io::Error::from_raw_os_error(5));
        }
        if inner.faults.lying_syncs > 0 {
            inner.faults.lying_syncs -= 1;
            return Ok(());
        }
        for (place, page) in std::mem::take(&mut inner.pending) {
            inner.safe[place] = page;
        }
        inner.log.push(Event::Synced);
        Ok(())
    }
}

fn places(len: usize, at: u64) -> (usize, usize) {
    assert!(len.is_multiple_of(BLOCK) && at.is_multiple_of(BLOCK as u64));
    (at as usize / BLOCK, len / BLOCK)
}

/// Calls `visit` with every state a power cut can leave after these blocks were written onto `safe`: each is there, or not, or torn, in
/// every combination up to [`ALL_TORN`] blocks, in every combination of there or not up to [`ALL`]; beyond, up to each block in the order
/// written, and in so many `samples`.
pub fn each_subset(
    safe: &Image,
    pending: &[(usize, Page)],
    samples: u64,
    dice: &mut Dice,
    mut visit: impl FnMut(&Image),
) {
    // what becomes of each block: 0 omitted, 1 written, 2 torn
    let mut apply = |fates: &mut dyn FnMut(usize, &mut Dice) -> u64, dice: &mut Dice| {
        let mut image = safe.clone();
        for (i, (place, page)) in pending.iter().enumerate() {
            image[*place] = match fates(i, dice) {
                0 => continue,
                1 => page.clone(),
                _ => torn(&image[*place], page, 1 + dice.roll(254) as u8),
            };
        }
        visit(&image);
    };
    let count = pending.len();
    if count <= ALL_TORN {
        for state in 0..3_u64.pow(count as u32) {
            apply(&mut |i, _| state / 3_u64.pow(i as u32) % 3, dice);
        }
        return;
    }
    if count <= ALL {
        for state in 0..1_u64 << count {
            apply(&mut |i, _| state >> i & 1, dice);
        }
    } else {
        for whole in 0..=count {
            apply(&mut |i, _| u64::from(i < whole), dice);
        }
    }
    for _ in 0..samples {
        apply(&mut |_, dice| dice.roll(3), dice);
    }
}

/// `new` as far as the sectors of `mask` go, else `old`.
pub fn torn(old: &Page, new: &Page, mask: u8) -> Page {
    let mut page = **old;
    for sector in (0..BLOCK / SECTOR).filter(|sector| mask >> sector & 1 == 1) {
        let range = sector * SECTOR..(sector + 1) * SECTOR;
        page[range.clone()].copy_from_slice(&new[range]);
    }
    Arc::new(page)
}

/// Makes a disk out of a sim's disk as the spool sees it: a place for planted faults.
pub type Wrap<T> = fn(Arc<SimDisk<T>>) -> Arc<dyn Storage>;

/// A slot for a [`SimDisk`].
#[derive(Debug)]
pub struct SimSlot<T> {
    disk: Arc<Mutex<Option<Arc<SimDisk<T>>>>>,
    made: Mutex<Option<Arc<SimDisk<T>>>>,
    wrap: Wrap<T>,
    /// The error for those who come to make it.
    pub refuse: Arc<Mutex<Option<ErrorKind>>>,
}

impl<T: Send + std::fmt::Debug + 'static> SimSlot<T> {
    pub fn new(image: Option<Image>) -> Self {
        Self {
            disk: Arc::new(Mutex::new(image.map(SimDisk::new))),
            made: Mutex::new(None),
            wrap: |disk| disk,
            refuse: Arc::default(),
        }
    }

    pub fn wrapped(image: Option<Image>, wrap: Wrap<T>) -> Self {
        Self {
            wrap,
            ..Self::new(image)
        }
    }

    /// What lies there, seen from outside.
    pub fn disk(&self) -> Arc<Mutex<Option<Arc<SimDisk<T>>>>> {
        self.disk.clone()
    }

    fn refused(&self) -> io::Result<()> {
        match *self.refuse.lock().unwrap() {
            Some(kind) => Err(kind.into()),
            None => Ok(()),
        }
    }
}

impl<T: Send + std::fmt::Debug + 'static> Slot for SimSlot<T> {
    fn open(&self) -> Result<Arc<dyn Storage>, OpenError> {
        let disk = self.disk.lock().unwrap().clone();
        let disk = disk.ok_or(io::Error::from(ErrorKind::NotFound))?;
        Ok((self.wrap)(disk))
    }

    fn create(&self, len: u64, _: &dyn Fn() -> bool) -> Result<Arc<dyn Storage>, OpenError> {
        self.refused()?;
        let disk = SimDisk::new(zeros(len as usize / BLOCK));
        *self.made.lock().unwrap() = Some(disk.clone());
        Ok((self.wrap)(disk))
    }

    fn publish(&self, new: &dyn Storage, _: bool) -> io::Result<()> {
        self.refused()?;
        new.sync()?;
        *self.disk.lock().unwrap() = self.made.lock().unwrap().take();
        Ok(())
    }
}
