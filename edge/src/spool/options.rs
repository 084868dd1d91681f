//! What a spool is told: where it lies, how large it is, what it does when it is full.

use std::path::PathBuf;
use std::time::Duration;

/// Bytes of the stage.
pub const STAGE_BYTES: u64 = 1 << 20;
/// The smallest card.
pub const MIN_SIZE_BYTES: u64 = 1 << 20;
/// The largest card.
pub const MAX_SIZE_BYTES: u64 = 64 << 30;

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
    /// The file on tmpfs, see [`crate::platform::tmpfs::file_beside`]; `None` keeps the stage in memory that ends with the process.
    pub stage: Option<PathBuf>,
    /// The card's size, [`MIN_SIZE_BYTES`] to [`MAX_SIZE_BYTES`]. A file of another size keeps it until it is empty.
    pub size_bytes: u64,
    /// What a full spool does.
    pub when_full: WhenFull,
    /// How long a record may wait in the stage alone: a power cut loses at most what is younger.
    pub durable_within: Duration,
}
