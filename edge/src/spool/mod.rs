//! The queue between the source and the uplink.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use crate::record::Record;
use crate::time::Clock;

/// A record's number: one more than that of the record before it, for the life of the spool.
pub type Seq = u64;

/// What to do with a record that finds the spool full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenFull {
    /// The oldest records make room.
    #[default]
    DropOldest,
    /// The new record is dropped.
    DropNewest,
    /// The source waits.
    Block,
}

/// Where a spool lies and how it behaves.
#[derive(Clone, Debug)]
pub struct Options {
    /// The file on flash; made if missing.
    pub card: PathBuf,
    /// The file on tmpfs, see [`crate::runtime::file_beside`]; `None` keeps the stage in memory that ends with the process.
    pub stage: Option<PathBuf>,
    /// The card's size, 1 MiB to 64 GiB.
    pub size_bytes: u64,
    /// What a full spool does.
    pub when_full: WhenFull,
    /// How long a record may wait in the stage alone: a power cut loses at most what is younger.
    pub durable_within: Duration,
}

/// What became of an appended record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Appended {
    /// It survives a crash of the program from now on.
    Kept(Seq),
    /// The spool is full and drops the newest; it is counted.
    Dropped,
    /// The spool is closed.
    Closed,
}

/// Where records go that are not acknowledged in time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Place {
    /// To the card.
    #[default]
    Card,
    /// Nowhere yet: the card's file is being made, which takes a while for a large one.
    Making,
    /// Nowhere: the card cannot be used. Holds why.
    Memory(String),
}

/// What the spool holds and has seen.
#[derive(Clone, Debug, Default)]
pub struct Stats {
    /// Records waiting for their acknowledgement.
    pub waiting_records: u64,
    /// Their bytes.
    pub waiting_bytes: u64,
    /// Records dropped because the spool was full, over its whole life.
    pub dropped: u64,
    /// Records lost with a damaged block of the card.
    pub media_lost: u64,
    /// Records lost to a power cut before they were synced, of which later ones survived.
    pub unsynced_lost: u64,
    /// Bytes the card has for records.
    pub capacity_bytes: u64,
    /// When the oldest waiting record was read, by the board's clock.
    pub oldest: Option<SystemTime>,
    /// Bytes written to the card since the start, the making of the file left out.
    pub flash_bytes: u64,
    /// Good syncs of the card since the start.
    pub syncs: u64,
    /// Where unacknowledged records go.
    pub place: Place,
}

/// The queue: one thread appends, one peeks and acknowledges, one commits.
#[derive(Debug)]
pub struct Spool {
    inner: Mutex<Inner>,
    changed: Condvar,
    options: Options,
}

#[derive(Debug, Default)]
struct Inner {
    waiting: VecDeque<(Seq, String, Vec<u8>)>,
    position: Vec<u8>,
    next: Seq,
    bytes: u64,
    dropped: u64,
    closed: bool,
}

impl Spool {
    /// Opens the spool at `options.card`, with all that waits in it.
    pub fn open(options: Options, _clock: Arc<dyn Clock>) -> Result<Self, Infallible> {
        Ok(Self {
            inner: Mutex::default(),
            changed: Condvar::new(),
            options,
        })
    }

    /// Keeps `record`, and `position`: how its source finds the place right after it (at most 255 bytes, the source's own).
    /// Waits for room only under [`WhenFull::Block`].
    pub fn append(&self, record: Record<'_>, position: &[u8]) -> Appended {
        let mut inner = self.lock();
        let len = record.len_bytes() as u64;
        while !inner.closed && inner.bytes + len > self.options.size_bytes {
            match self.options.when_full {
                WhenFull::DropNewest => {
                    inner.dropped += 1;
                    return Appended::Dropped;
                }
                WhenFull::DropOldest => {
                    if let Some((_, key, data)) = inner.waiting.pop_front() {
                        inner.bytes -= (key.len() + data.len()) as u64;
                        inner.dropped += 1;
                    }
                }
                WhenFull::Block => {
                    inner = self
                        .changed
                        .wait(inner)
                        .unwrap_or_else(PoisonError::into_inner)
                }
            }
        }
        if inner.closed {
            return Appended::Closed;
        }
        let seq = inner.next;
        inner.next += 1;
        inner.bytes += len;
        inner.position = position.to_vec();
        inner
            .waiting
            .push_back((seq, record.partition_key.to_owned(), record.data.to_vec()));
        self.changed.notify_all();
        Appended::Kept(seq)
    }

    /// Waits until a record waits or the spool is closed, `at_most` long. True when a record waits.
    pub fn wait(&self, at_most: Duration) -> bool {
        let empty = |inner: &mut Inner| inner.waiting.is_empty() && !inner.closed;
        let waited = self.changed.wait_timeout_while(self.lock(), at_most, empty);
        !waited
            .unwrap_or_else(PoisonError::into_inner)
            .0
            .waiting
            .is_empty()
    }

    /// Shows the waiting records from the oldest on, in order, until `visit` breaks. They stay.
    pub fn peek(&self, mut visit: impl FnMut(Seq, Record<'_>) -> ControlFlow<()>) {
        for (seq, key, data) in &self.lock().waiting {
            if visit(
                *seq,
                Record {
                    partition_key: key,
                    data,
                },
            )
            .is_break()
            {
                return;
            }
        }
    }

    /// Lets go of every record below `below`: delivered, or set aside. One dropped meanwhile counts as delivered after all.
    pub fn ack(&self, below: Seq) {
        let mut inner = self.lock();
        while inner.waiting.front().is_some_and(|(seq, ..)| *seq < below) {
            if let Some((_, key, data)) = inner.waiting.pop_front() {
                inner.bytes -= (key.len() + data.len()) as u64;
            }
        }
        self.changed.notify_all();
    }

    /// Where the source goes on: the position that came with the newest record ever appended; empty if none did.
    pub fn position(&self) -> Vec<u8> {
        self.lock().position.clone()
    }

    /// Copies records to the card as they reach their deadline, until the spool is closed.
    pub fn run_committer(&self) {}

    /// Brings all that waits, and the acknowledged position, to the card now.
    pub fn commit(&self) {}

    /// Takes no more records and wakes every thread that waits here. Those that wait can still be peeked and acknowledged.
    pub fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    /// Whether it takes no more records.
    pub fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// What the spool holds and has seen.
    pub fn stats(&self) -> Stats {
        let inner = self.lock();
        Stats {
            waiting_records: inner.waiting.len() as u64,
            waiting_bytes: inner.bytes,
            dropped: inner.dropped,
            capacity_bytes: self.options.size_bytes,
            ..Stats::default()
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
