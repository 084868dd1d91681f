//! The records delivered above the head: the payloads of ACKED and RUNS fragments; see [`super::block`] for their layout.

use std::ops::Range;

use crate::spool::format::block::{
    BLOCK, Block, FRAGMENT, HEADER, Kind, MAX_CURSOR, MAX_NUMBER, Seq, u16_at, u64_at,
};

/// Bytes before the bitmap in an ACKED fragment's payload.
pub const ACKED: usize = 8;
/// Bytes of the longest bitmap of an ACKED fragment.
pub const MAX_ACKED: usize = 3072;
/// Most runs of a RUNS fragment.
pub const MAX_RUNS: usize = 12;
/// Bytes of the longest bitmap of a RUNS fragment.
pub const MAX_AHEAD: usize = 416;
/// Bytes of the longest payload of a RUNS fragment.
pub const MAX_RUNS_BYTES: usize = BASE + COUNT + MAX_RUNS * RUN + MAX_AHEAD;

const BASE: usize = 8;
const COUNT: usize = 2;
const RUN: usize = 16;

const _: () = assert!(
    HEADER + MAX_CURSOR + FRAGMENT + ACKED + MAX_ACKED + FRAGMENT + MAX_RUNS_BYTES <= BLOCK
);

/// Records that are delivered although some before them are not, borrowed from a block.
#[derive(Clone, Copy, Debug, Default)]
pub struct AckedBits<'a> {
    /// The number of the bitmap's first bit.
    pub base: Seq,
    /// One bit a number, 1 if it is delivered.
    pub bitmap: &'a [u8],
    /// A RUNS fragment's payload; empty if there is no run.
    pub runs: &'a [u8],
}

impl<'a> AckedBits<'a> {
    /// The ACKED and RUNS fragments of `block`.
    pub fn of(block: &Block<'a>) -> Self {
        Self::decode(block.payload(Kind::Acked), block.payload(Kind::Runs))
    }

    /// Reads the payloads of an ACKED and a RUNS fragment, each empty if there is none. An invalid bitmap is ignored: its records are sent again.
    pub fn decode(acked: &'a [u8], runs: &'a [u8]) -> Self {
        let (base, bitmap) = acked
            .split_at_checked(ACKED)
            .map(|(base, bitmap)| (u64_at(base, 0), bitmap))
            .filter(|(base, bitmap)| *base < MAX_NUMBER && bitmap.len() <= MAX_ACKED)
            .unwrap_or_default();
        Self { base, bitmap, runs }
    }

    /// An owned copy.
    pub fn to_bytes(self) -> AckedBytes {
        AckedBytes {
            base: self.base,
            bitmap: heapless::Vec::from_slice(self.bitmap).unwrap_or_default(),
            runs: heapless::Vec::from_slice(self.runs).unwrap_or_default(),
        }
    }
}

/// [`AckedBits`] with bytes of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AckedBytes {
    /// The number of the bitmap's first bit.
    pub base: Seq,
    /// One bit a number, 1 if it is delivered.
    pub bitmap: heapless::Vec<u8, MAX_ACKED>,
    /// A RUNS fragment's payload; empty if there is no run.
    pub runs: heapless::Vec<u8, MAX_RUNS_BYTES>,
}

impl AckedBytes {
    /// Borrows the bytes.
    pub fn bits(&self) -> AckedBits<'_> {
        AckedBits {
            base: self.base,
            bitmap: &self.bitmap,
            runs: &self.runs,
        }
    }
}

/// A RUNS fragment, decoded.
#[derive(Clone, Debug, Default)]
pub struct RunBits<'a> {
    /// The runs of delivered numbers, in order.
    pub runs: heapless::Vec<Range<Seq>, MAX_RUNS>,
    /// The number of the bitmap's first bit.
    pub base: Seq,
    /// One bit a number, 1 if it is delivered: the numbers after the last run.
    pub ahead: &'a [u8],
}

impl<'a> RunBits<'a> {
    /// The payload of a RUNS fragment; empty if there is no run.
    pub fn encode(&self) -> heapless::Vec<u8, MAX_RUNS_BYTES> {
        let mut bytes = heapless::Vec::new();
        if self.runs.is_empty() {
            return bytes;
        }
        let count = self.runs.len() as u16;
        let numbers = self.runs.iter().flat_map(|run| [run.start, run.end]);
        // Cannot fail: there is room for all runs and the longest bitmap.
        let _ = bytes.extend_from_slice(&self.base.to_le_bytes());
        let _ = bytes.extend_from_slice(&count.to_le_bytes());
        for number in numbers {
            let _ = bytes.extend_from_slice(&number.to_le_bytes());
        }
        let _ = bytes.extend_from_slice(self.ahead);
        bytes
    }

    /// Reads a payload; `None` if any part is invalid. Runs must be in order and may not overlap.
    pub fn decode(payload: &'a [u8]) -> Option<Self> {
        let (head, rest) = payload.split_at_checked(BASE + COUNT)?;
        let (runs, ahead) = rest.split_at_checked(usize::from(u16_at(head, BASE)) * RUN)?;
        let base = u64_at(head, 0);
        let mut last = 0;
        let mut found = heapless::Vec::new();
        for run in runs.chunks_exact(RUN) {
            let run = u64_at(run, 0)..u64_at(run, 8);
            if run.start < last || run.end < run.start || run.end >= MAX_NUMBER {
                return None;
            }
            last = run.end;
            found.push(run).ok()?;
        }
        let sound = base < MAX_NUMBER && ahead.len() <= MAX_AHEAD;
        sound.then_some(Self {
            runs: found,
            base,
            ahead,
        })
    }
}
