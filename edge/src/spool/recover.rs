//! What a ring holds, found by reading alone: any bytes at all give an answer, the same one each time.
//!
//! Blocks are written in the order of their numbers and synced in that order, but for the last [few](Super::unsynced): those a
//! power cut may have left whole, torn or unwritten, in any combination. So the newest block is found by bisection and then by
//! looking at every block around; where anything looks unlike that (damage, a foreign block), every block of the file is read.

use crate::spool::format::block::{BLOCK, Cursor, Position, Seq, Vblk};
use crate::spool::media::ring::Ring;

/// How many blocks the full scan reads at once.
const SCAN: usize = 16;

/// What a ring holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// The newest block's opening.
    pub epoch: u32,
    /// The same, at random.
    pub run: u16,
    /// The block after the newest.
    pub tail: Vblk,
    /// Blocks below this were synced.
    pub durable_vblk: Vblk,
    /// Everything below is let go.
    pub head: Seq,
    /// The next record's number.
    pub next: Seq,
    /// Whether blocks that may be unsynced are damaged, or hold a batch twice: then no copy of it is whole for certain.
    pub tangled: bool,
    /// What the newest counters' block says of records above `head`: the bitmap's first number, and the bitmap.
    pub acked: (Seq, Vec<u8>),
    /// The newest counters, and the position after the last record before any gap.
    pub cursor: Cursor,
}

impl Recovered {
    /// All blocks that may be unsynced are needed until everything below this number is let go: no one of them is known to hold
    /// any record whole.
    pub fn untangled_at(&self) -> Seq {
        if self.tangled { self.next } else { 0 }
    }
}

/// A block's rank: of two blocks, the one with the higher rank was written later.
type Rank = (u32, Vblk);

/// Finds what `ring` holds; `None` if there is not one live block.
pub fn find(ring: &Ring) -> Option<Recovered> {
    let newest = newest(ring)?;
    Some(read_back(ring, newest))
}

/// The newest block.
pub fn newest(ring: &Ring) -> Option<Rank> {
    if ring.blocks() <= 2 * ring.spec().unsynced() {
        return newest_by_scan(ring);
    }
    bisect(ring).or_else(|| newest_by_scan(ring))
}

/// The newest block, by reading them all.
pub fn newest_by_scan(ring: &Ring) -> Option<Rank> {
    let mut chunk = vec![0; SCAN * BLOCK];
    let mut best = None;
    let mut place = 0;
    while place < ring.blocks() {
        // what cannot be read at once is read block by block
        let read = ring.read(place, &mut chunk);
        let count = read.as_ref().map_or(1, |count| *count);
        if read.is_err() && ring.read(place, &mut chunk[..BLOCK]).is_err() {
            chunk[..BLOCK].fill(0);
        }
        for (i, bytes) in blocks_of(&chunk).take(count as usize).enumerate() {
            let block = ring.block_in_place(place + i as u64, bytes);
            best = best.max(block.map(|block| (block.header.epoch, block.header.vblk)));
        }
        place += count;
    }
    best
}

/// The raw blocks of `chunk`.
pub fn blocks_of(chunk: &[u8]) -> impl Iterator<Item = &[u8; BLOCK]> {
    chunk.as_chunks::<BLOCK>().0.iter()
}

/// What lies in a place, as seen from the block in place 0.
#[derive(PartialEq)]
enum Lap {
    Same,
    Before,
    Unclear,
}

fn bisect(ring: &Ring) -> Option<Rank> {
    let blocks = ring.blocks();
    let unsynced = ring.spec().unsynced();
    let mut bytes = [0; BLOCK];
    ring.read(0, &mut bytes).ok()?;
    let first = ring.block_in_place(0, &bytes)?.header;
    let mut lap = |place: u64| {
        if ring.read(place, &mut bytes).is_err() {
            return Lap::Unclear;
        }
        match ring.block_in_place(place, &bytes).map(|block| block.header) {
            Some(header) if header.vblk == first.vblk + place => Lap::Same,
            Some(header) if header.vblk + blocks == first.vblk + place => Lap::Before,
            None if first.vblk == 0 && bytes.iter().all(|byte| *byte == 0) => Lap::Before,
            _ => Lap::Unclear,
        }
    };
    let (mut same, mut before) = (0, blocks);
    while before - same > 1 {
        let middle = same + (before - same) / 2;
        match lap(middle) {
            Lap::Same => same = middle,
            Lap::Before => before = middle,
            Lap::Unclear => return None,
        }
    }
    // Blocks wiped in the middle of the lap would end the bisection early: a few looks further on tell.
    const LOOKS: u64 = 32;
    let beyond = (same + unsynced).min(blocks);
    let further = (1..LOOKS).map(|i| beyond + i * (blocks - beyond) / LOOKS);
    if !further
        .filter(|place| *place < blocks)
        .all(|place| lap(place) == Lap::Before)
    {
        return None;
    }
    let found = first.vblk + same;
    (found.saturating_sub(unsynced)..=found + unsynced)
        .filter_map(|vblk| ring.load(vblk, &mut bytes).map(|b| (b.header.epoch, vblk)))
        .max()
}

/// Reads from the newest block backwards: over all blocks that may be unsynced, and on to the cursor before them.
fn read_back(ring: &Ring, (epoch, newest): Rank) -> Recovered {
    let mut found = Recovered {
        epoch,
        run: 0,
        tail: newest + 1,
        durable_vblk: 0,
        head: 0,
        next: 0,
        tangled: false,
        acked: (0, Vec::new()),
        cursor: Cursor::default(),
    };
    let mut first_after = Seq::MAX;
    let mut oldest_epoch = epoch;
    let mut counted = false;
    let mut position: Option<Position> = None;
    let mut bytes = [0; BLOCK];
    let window = (newest + 1).saturating_sub(ring.blocks())..=newest;
    for vblk in window.rev() {
        let settled = vblk < found.durable_vblk;
        let far = vblk + 2 * ring.spec().unsynced() < found.durable_vblk;
        if (settled && counted && position.is_some()) || far {
            break;
        }
        let block = ring.load(vblk, &mut bytes);
        let Some(block) = block.filter(|block| block.header.epoch <= oldest_epoch) else {
            // Records are missing here: the source shall go on before them, not after.
            position = position.filter(|_| settled);
            found.tangled |= !settled;
            continue;
        };
        oldest_epoch = block.header.epoch;
        if vblk == newest {
            found.run = block.header.run;
            found.durable_vblk = block.header.durable_vblk.min(newest);
        }
        found.tangled |= !settled && block.header.first_seq > first_after;
        first_after = block.header.first_seq;
        found.head = found.head.max(block.header.ack_seq);
        found.next = found.next.max(block.next_seq());
        if let Some(cursor) = block.cursor() {
            found.next = found.next.max(cursor.card_next);
            if !counted {
                found.cursor = cursor.clone();
                let (base, bitmap) = block.acked().unwrap_or_default();
                found.acked = (base, bitmap.to_vec());
                counted = true;
            }
            position.get_or_insert(cursor.position);
        }
    }
    found.next = found.next.max(found.head);
    found.cursor.position = position.unwrap_or_default();
    found
}
