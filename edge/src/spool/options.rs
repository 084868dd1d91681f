//! The options of a spool: its files, its size, and what it does when it is full.

use std::path::PathBuf;
use std::time::Duration;

/// Bytes of the stage, of every spool.
pub const STAGE_BYTES: u64 = 1 << 20;
/// The smallest card, in bytes.
pub const MIN_SIZE_BYTES: u64 = 1 << 20;
/// The largest card, in bytes.
pub const MAX_SIZE_BYTES: u64 = 64 << 30;

/// What to do with a new record when the spool is full (`--when-full`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenFull {
    /// Drop the oldest records.
    #[default]
    DropOldest,
    /// Drop the new record.
    DropNewest,
    /// Let the source wait.
    Block,
}

/// Where the files of a spool are, and how it behaves.
#[derive(Clone, Debug)]
pub struct Options {
    /// The file on flash, made if missing.
    pub card: PathBuf,
    /// The file on tmpfs (see [`crate::platform::tmpfs::file_beside`]); `None` keeps the stage in the process's memory.
    pub stage: Option<PathBuf>,
    /// The card's size, from [`MIN_SIZE_BYTES`] to [`MAX_SIZE_BYTES`]. An existing file of another size keeps its size until it is empty.
    pub size_bytes: u64,
    /// What a full spool does.
    pub when_full: WhenFull,
    /// How long a record may wait only in the stage: a power cut loses at most younger ones.
    pub durable_within: Duration,
}
