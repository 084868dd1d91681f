//! The state of reading between two calls of [`crate::spool::Spool::peek`].

use crate::spool::format::block::Seq;
use crate::spool::queue::acked::Acked;
use crate::spool::walk::{Point, Walk};

/// The lock of this is held by the thread that peeks.
#[derive(Debug)]
pub(in crate::spool) struct Reader {
    pub(in crate::spool) walk: Walk,
    pub(in crate::spool) source: Source,
    /// Where the record after the last shown one begins, and its number.
    pub(in crate::spool) resume: Option<(Source, Seq, Point)>,
    /// The records above the head that were delivered when this peek began.
    pub(in crate::spool) acked: Acked,
    /// Whether to continue after a gap above the head.
    pub(in crate::spool) passes_gaps: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::spool) enum Source {
    Stage,
    /// The card, with the number of its opening.
    Card(u32),
}
