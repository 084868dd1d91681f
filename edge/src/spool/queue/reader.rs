//! Where reading stands; [`crate::spool::Spool::peek`] moves it.

use crate::spool::format::block::Seq;
use crate::spool::queue::acked::Acked;
use crate::spool::walk::{Point, Walk};

/// Who peeks holds this.
#[derive(Debug)]
pub(in crate::spool) struct Reader {
    pub(in crate::spool) walk: Walk,
    pub(in crate::spool) source: Source,
    /// Where the record after the last shown one begins.
    pub(in crate::spool) resume: Option<(Source, Seq, Point)>,
    /// What is delivered already above the head, as of the beginning of this reading.
    pub(in crate::spool) acked: Acked,
    /// A gap above the head is passed over, not an end.
    pub(in crate::spool) passes_gaps: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::spool) enum Source {
    Stage,
    /// A card, and which opening of it.
    Card(u32),
}
