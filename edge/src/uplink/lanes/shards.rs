//! Which cells belong to one shard, as the answers tell: a record that is accepted comes back with its shard's name.

use super::cells::{CELLS, Interval};

/// A shard, by a hash of its name. Never 0.
pub type Shard = u32;

/// The shards of the cells.
#[derive(Debug)]
pub(super) struct Shards {
    /// 0 where no record was accepted yet.
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
    /// A record of this cell was accepted by this shard.
    pub(super) fn learn(&mut self, cell: u8, shard: Shard) {
        self.owners[usize::from(cell)] = shard;
    }

    /// The stretches of cells that belong to one shard each, in their order; none while nothing is known. A shard is contiguous: what lies between
    /// two of its cells is its own. Beyond its outermost known ones nothing is known.
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
