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

    /// The stretches of cells that belong to one shard each, in their order; none while nothing is known. A cell of which nothing is known
    /// belongs to the nearest one below it that is, for shards are contiguous.
    pub(super) fn stretches(&self) -> Vec<Interval> {
        let mut stretches: Vec<(Shard, Interval)> = Vec::new();
        let Some(mut owner) = self.owners.iter().copied().find(|owner| *owner != 0) else {
            return Vec::new();
        };
        for (cell, known) in self.owners.iter().enumerate() {
            if *known != 0 {
                owner = *known;
            }
            match stretches.last_mut() {
                Some((last, stretch)) if *last == owner => stretch.len += 1,
                _ => stretches.push((owner, Interval::of(cell))),
            }
        }
        stretches.into_iter().map(|(_, stretch)| stretch).collect()
    }
}
