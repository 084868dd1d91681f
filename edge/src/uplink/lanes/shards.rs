//! Which cells belong to which shard, learned from responses: each accepted record comes with its `ShardId`.

use super::cells::{CELLS, Interval};

/// A hash of a shard's name. Never 0.
pub type Shard = u32;

/// The shard of each cell, as far as known.
#[derive(Debug)]
pub(super) struct Shards {
    /// By cell; 0 if no record of the cell was accepted yet.
    owners: [Shard; CELLS as usize],
}

impl Default for Shards {
    fn default() -> Self {
        Self {
            owners: [0; CELLS as usize],
        }
    }
}

impl Shards {
    /// Notes that this shard accepted a record of this cell.
    pub(super) fn learn(&mut self, cell: u8, shard: Shard) {
        self.owners[usize::from(cell)] = shard;
    }

    /// The intervals of cells that belong to one shard each, in their order; none while nothing is known. A shard's range of hashes is contiguous:
    /// what lies between two of its cells belongs to it. Beyond its outermost known cells nothing is known.
    pub(super) fn stretches(&self) -> Vec<Interval> {
        let mut stretches: Vec<(Shard, Interval)> = Vec::new();
        for (cell, owner) in self.owners.iter().enumerate() {
            match stretches.last_mut() {
                _ if *owner == 0 => {}
                Some((last, stretch)) if last == owner => {
                    stretch.len = Interval::of(cell).first + 1 - stretch.first;
                }
                _ => stretches.push((*owner, Interval::of(cell))),
            }
        }
        stretches.into_iter().map(|(_, stretch)| stretch).collect()
    }
}
