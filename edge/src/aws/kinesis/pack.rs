//! Packs: many posts in one record. Its data is a Zstandard frame (RFC 8878) of their bytes, each followed by a newline.
//!
//! A pack holds up to [`PACK_BYTES`] before compression; a post that is larger has a pack of its own. A pack has one
//! partition key, that of its first post; posts of several lanes (parts of the stream that are throttled) are packed apart. Level 1 with a window of 64 KiB:
//! the one context takes 300 KiB, a frame 64 KiB, and each pack that is being filled 64 KiB.

use std::fmt;

use zstd_safe::{CCtx, CParameter};

use crate::aws::kinesis::MAX_RECORDS;
use crate::post::record::Record;

/// The most bytes in a pack of several posts, before compression, newlines included.
pub const PACK_BYTES: usize = 64 << 10;

/// Number of lanes whose packs are filled at the same time.
const MAX_OPEN: usize = 4;

/// Binary logarithm of the window's size in bytes.
const WINDOW_LOG: u32 = 16;

/// Binary logarithm of the number of entries in the table of matches, 32 KiB. Left to itself, Zstandard takes four times as many for a small
/// pack, for nothing: packs of 1 to 100 posts come out the same.
const HASH_LOG: u32 = 13;

/// The compression level. Even on an ARM board it saves more hashing and encryption than it costs.
const LEVEL: i32 = 1;

/// A pack being filled.
#[derive(Debug, Default)]
pub struct Open {
    /// Of which lane its posts are.
    lane: u8,
    /// The partition key of the first.
    pub key: String,
    /// They and their newlines.
    pub text: Vec<u8>,
    /// Their numbers in the spool.
    pub seqs: Vec<u64>,
    /// Bytes of their keys and data.
    pub bytes: usize,
}

impl Open {
    fn is_empty(&self) -> bool {
        self.seqs.is_empty()
    }

    fn has_room(&self, bytes: usize) -> bool {
        self.text.len() + bytes < PACK_BYTES
    }

    fn clear(&mut self) {
        self.key.clear();
        self.seqs.clear();
        self.bytes = 0;
        self.text.clear();
        self.text.shrink_to(PACK_BYTES);
    }
}

/// Fills packs and compresses them, in reused memory.
pub struct Packer {
    context: CCtx<'static>,
    frame: Vec<u8>,
    open: [Open; MAX_OPEN],
    /// Size of the last pack: bytes of its posts, bytes of its frame.
    last: (usize, usize),
}

impl fmt::Debug for Packer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Packer")
            .field("open", &self.open)
            .finish_non_exhaustive()
    }
}

impl Default for Packer {
    fn default() -> Self {
        let mut context = CCtx::create();
        let parameters = [
            CParameter::CompressionLevel(LEVEL),
            CParameter::WindowLog(WINDOW_LOG),
            CParameter::HashLog(HASH_LOG),
        ];
        for parameter in parameters {
            let set = context.set_parameter(parameter);
            debug_assert!(set.is_ok(), "all are within Zstandard's bounds");
        }
        Self {
            context,
            frame: Vec::new(),
            open: Default::default(),
            // What a post alone comes to.
            last: (3, 2),
        }
    }
}

impl Packer {
    /// Whether a post of this lane and so many bytes fits into a pack that is being filled.
    pub fn joins(&self, lane: u8, bytes: usize) -> bool {
        let mut filled = self.open.iter().filter(|open| !open.is_empty());
        filled.any(|open| open.lane == lane && open.has_room(bytes))
    }

    /// Which pack has to be closed before a post of this lane and so many bytes can be added.
    pub fn in_the_way(&self, lane: u8, bytes: usize) -> Option<usize> {
        let mut all = self.open.iter();
        if let Some(own) = all.position(|open| !open.is_empty() && open.lane == lane) {
            return (!self.open[own].has_room(bytes)).then_some(own);
        }
        let is_full = self.open.iter().all(|open| !open.is_empty());
        let fullest = (0..MAX_OPEN).max_by_key(|index| self.open[*index].text.len());
        fullest.filter(|_| is_full)
    }

    /// Adds a post; nothing may be [in the way](Self::in_the_way).
    pub fn add(&mut self, lane: u8, seq: u64, record: Record<'_>) {
        let mut all = self.open.iter();
        let own = all.position(|open| !open.is_empty() && open.lane == lane);
        let free = || self.open.iter().position(Open::is_empty);
        let open = &mut self.open[own.or_else(free).unwrap_or_default()];
        if open.is_empty() {
            open.lane = lane;
            open.key.push_str(record.partition_key);
            open.seqs.reserve(MAX_RECORDS);
            open.text.reserve(PACK_BYTES.max(record.data.len() + 1));
        }
        open.text.extend_from_slice(record.data);
        open.text.push(b'\n');
        open.seqs.push(seq);
        open.bytes += record.len_bytes();
    }

    /// Packs that are being filled.
    pub fn filled(&self) -> impl Iterator<Item = usize> + use<> {
        let filled = self.open.each_ref().map(|open| !open.is_empty());
        (0..MAX_OPEN).filter(move |index| filled[*index])
    }

    /// Posts in the packs that are being filled.
    pub fn posts(&self) -> usize {
        self.open.iter().map(|open| open.seqs.len()).sum()
    }

    /// Bytes that the packs being filled will take, judging by the last one.
    pub fn expected_bytes(&self) -> usize {
        let text: usize = self.open.iter().map(|open| open.text.len()).sum();
        let (before, after) = self.last;
        text.saturating_mul(after) / before
    }

    /// Has `put` take the pack at `index`, and its frame; then there is room for another.
    ///
    /// # Panics
    ///
    /// There is no memory left.
    pub fn close(&mut self, index: usize, put: impl FnOnce(&Open, &[u8])) {
        let Self {
            context,
            frame,
            open,
            last,
        } = self;
        let open = &mut open[index];
        frame.clear();
        frame.reserve(zstd_safe::compress_bound(open.text.len()));
        let compressed = context.compress2(frame, &open.text);
        // As where memory cannot be allocated otherwise: the spool has every post.
        compressed.expect("memory to compress in");
        *last = (open.text.len(), frame.len());
        put(open, frame);
        open.clear();
        frame.shrink_to(2 * PACK_BYTES);
    }

    /// Lets go of what is being filled.
    pub fn clear(&mut self) {
        self.open.iter_mut().for_each(Open::clear);
    }
}
