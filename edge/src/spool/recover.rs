//! Finding what a ring holds, only by reading. Any bytes give a result, the same one each time.
//!
//! Blocks are written and synced in the order of their numbers, except the last few ([`unsynced`]): a power cut may have left those whole, torn or
//! unwritten, in any combination. So the newest block is found by bisection, then by reading every block around. If anything does not
//! fit (damage, a block of another file), every block of the file is read.
//!
//! [`unsynced`]: crate::spool::format::superblock::Super::unsynced

use crate::spool::format::acked::{AckedBits, AckedBytes};
use crate::spool::format::block::{BLOCK, Cursor, Position, Seq, Vblk};
use crate::spool::media::ring::Ring;

/// Blocks that a full scan reads at once.
const SCAN: usize = 16;

/// What a ring holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// The epoch of the newest block.
    pub epoch: u32,
    /// The run of the newest block, drawn at random at its opening.
    pub run: u16,
    /// The number after the newest block's.
    pub tail: Vblk,
    /// Blocks below this number were synced.
    pub durable_vblk: Vblk,
    /// All records below this number are done: delivered, dropped or lost.
    pub head: Seq,
    /// The next record's number.
    pub next: Seq,
    /// Whether blocks that may be unsynced are damaged or hold a batch twice. Then no copy of the batch is certain to be whole.
    pub tangled: bool,
    /// Which records above `head` are delivered, by the newest block with counters.
    pub acked: AckedBytes,
    /// The newest counters, with the position after the last record before any gap.
    pub cursor: Cursor,
}

impl Recovered {
    /// All blocks that may be unsynced are needed until every record below this number is done, because none of them is certain to hold a record
    /// whole.
    pub fn untangled_at(&self) -> Seq {
        if self.tangled { self.next } else { 0 }
    }
}

/// A block's rank, its epoch and number: of two blocks, the one with the higher rank was written later.
type Rank = (u32, Vblk);

/// Finds what `ring` holds; `None` if it has no live block.
pub fn find(ring: &Ring) -> Option<Recovered> {
    let newest = newest(ring)?;
    Some(read_back(ring, newest))
}

/// The rank of the newest block, by bisection if that is certain.
pub fn newest(ring: &Ring) -> Option<Rank> {
    if ring.blocks() <= 2 * ring.spec().unsynced() {
        return newest_by_scan(ring);
    }
    bisect(ring).or_else(|| newest_by_scan(ring))
}

/// The rank of the newest block, by reading all blocks.
pub fn newest_by_scan(ring: &Ring) -> Option<Rank> {
    let places = ring.places();
    let mut chunk = vec![0; SCAN * BLOCK];
    let mut best = None;
    let mut place = 0;
    while place < places {
        // If they cannot be read at once, they are read one by one.
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

/// Which lap of the ring a place belongs to, compared with place 0.
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
    // Blocks wiped in the middle of the lap would end the bisection too early: some places further on are checked, too.
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

/// Reads backwards from the newest block, over all blocks that may be unsynced, to the cursor before them.
fn read_back(ring: &Ring, (epoch, newest): Rank) -> Recovered {
    let mut found = Recovered {
        epoch,
        run: 0,
        tail: newest + 1,
        durable_vblk: 0,
        head: 0,
        next: 0,
        tangled: false,
        acked: AckedBytes::default(),
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
            // Records are missing here: the source must continue before them, not after.
            position = position.filter(|_| settled);
            found.tangled |= !settled;
            continue;
        };
        oldest_epoch = block.header.epoch;
        if vblk == newest {
            found.run = block.header.run;
            // Whatever the header says, no more blocks than these are ever unsynced.
            let unsynced = (newest + 1).saturating_sub(ring.spec().unsynced());
            found.durable_vblk = block.header.durable_vblk.clamp(unsynced, newest);
        }
        found.tangled |= !settled && block.header.first_seq > first_after;
        first_after = block.header.first_seq;
        found.head = found.head.max(block.header.ack_seq);
        found.next = found.next.max(block.next_seq());
        if let Some(cursor) = block.cursor() {
            found.next = found.next.max(cursor.card_next);
            if !counted {
                found.cursor = cursor.clone();
                found.acked = AckedBits::of(&block).to_bytes();
                counted = true;
            }
            position.get_or_insert(cursor.position);
        }
    }
    found.next = found.next.max(found.head);
    found.cursor.position = position.unwrap_or_default();
    found
}
