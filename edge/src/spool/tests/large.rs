//! Records of more than 1 MiB, which a stream can be set to take.

use super::crash::{EMULATED, Model, check, each_crash, once_made};
use super::sim::{Faults, Page};
use super::*;
use crate::spool::format::block::BLOCK;
use crate::spool::format::superblock::{LARGE_BATCH, Super, SuperKind};
use crate::spool::media::storage::Storage;

/// A card that the default size makes.
const SIZE: Size = Size {
    card_blocks: (64 << 20) / 4096 - 2,
    stage_blocks: 254,
    when_full: WhenFull::Block,
};

/// What the card's first and last superblock say.
fn superblocks(image: &[Page]) -> [SuperKind; 2] {
    [0, image.len() - 1].map(|place| Super::decode(&image[place]))
}

#[test]
fn the_largest_record_goes_through_the_card_between_others() {
    // Given a spool with a record of 1 MiB, the largest as streams are by default: the file is as it always was
    let rig = Rig::new(SIZE);
    let ids = [(1, 0), (2, 1), (3, 0), (4, 10), (5, 10), (6, 0)].map(|(n, mib)| large(n, mib));
    ids[..3].iter().for_each(|id| _ = rig.append(*id));
    let plain = superblocks(&rig.disk().safe());
    assert!(
        plain
            .iter()
            .all(|kind| matches!(kind, SuperKind::Good(spec) if !spec.large))
    );

    // When records of 10 MiB come, and the power is cut
    ids[3..].iter().for_each(|id| _ = rig.append(*id));
    rig.spool.commit();
    let image = rig.disk().safe();

    // Then all are there and whole, and both superblocks say that such may be
    let rig = Rig::on(SIZE, Some(image.clone()), None);
    let drained: Vec<_> = rig.drain().into_iter().map(|(_, id)| id).collect();
    assert_eq!(drained, ids);
    let enlarged = superblocks(&image);
    assert!(
        enlarged
            .iter()
            .all(|kind| matches!(kind, SuperKind::Good(spec) if spec.large))
    );
}

#[test]
fn a_record_too_large_for_half_of_a_card_from_before_is_dropped_and_counted() {
    let small = Size {
        card_blocks: 2 * LARGE_BATCH - 100,
        ..SIZE
    };
    let rig = Rig::new(small);
    rig.append(1);
    assert_eq!(rig.try_append(large(2, 10)), Appended::Dropped);
    rig.append(3);
    assert_eq!(rig.drain(), [(0, 1), (1, 3)]);
    assert_eq!(rig.spool.stats().dropped, 1);
}

/// Cuts the power at every moment around two large records, of whose first batch a sync fails if `faulty`, and holds what is left against
/// what the program was told: one in `every` of the states that the cuts leave.
fn cut_around_large_records(size: Size, faulty: bool, every: u64) {
    let rig = Rig::new(size);
    rig.spool.commit();
    let disk = rig.disk();
    for (n, mib) in [(1, 0), (2, 0), (3, 0), (4, 2), (5, 0), (6, 2), (7, 0)] {
        let id = large(n, mib);
        let failing_syncs = u32::from(faulty && n == 4);
        disk.set_faults(Faults {
            failing_syncs,
            ..Faults::default()
        });
        let seq = rig.append(id);
        disk.tell(Told::Kept(seq, id));
        if mib > 0 {
            let (below, noted, each) = rig.committed();
            disk.tell(Told::Committed(below, noted, each));
        }
    }
    let log = disk.log();
    let (base, log) = once_made(size, &log);
    let mut tried = 0;
    let mut dice = Dice::new(7);
    each_crash(base, Model::default(), log, &mut dice, |image, model| {
        tried += 1;
        if tried % every == 0
            && let Err(why) = check(size, image, model, |disk| disk)
        {
            panic!("{why}");
        }
    });
    assert!(tried > 800, "{tried}");
}

#[test]
fn no_power_cut_amid_a_large_record_hurts_another() {
    // Given a card that is read whole at opening, and one so large that only what may be unsynced is
    let every = if EMULATED { 100 } else { 10 };
    for (card_blocks, every) in [(3000, every), (4 * LARGE_BATCH + 200, 4 * every)] {
        let size = Size {
            card_blocks,
            ..SIZE
        };
        cut_around_large_records(size, false, every);
        cut_around_large_records(size, true, every);
    }
}

#[test]
fn a_power_cut_between_the_two_superblocks_leaves_one_that_is_right() {
    // Given a card at the moment it is enlarged
    let rig = Rig::new(SIZE);
    rig.append(1);
    rig.spool.commit();
    let before = rig.disk().safe();
    rig.append(large(2, 2));
    let after = rig.disk().safe();
    for torn in [0, before.len() - 1] {
        // When one superblock is torn, and the other is old or new
        for other in [&before, &after] {
            let mut image = other.clone();
            image[torn] = sim::torn(&before[torn], &after[torn], 0);
            let mut page = *image[torn];
            page[9] ^= 0x55;
            image[torn] = Page::new(page);
            // Then the spool opens and has what it had
            let rig = Rig::on(SIZE, Some(image), None);
            assert_eq!(rig.drain().first(), Some(&(0, 1)));
        }
    }
}

#[test]
fn a_card_that_lost_both_superblocks_is_read_as_one_of_large_records() {
    let rig = Rig::new(SIZE);
    rig.append(1);
    rig.append(large(2, 10));
    let mut image = rig.disk().safe();
    let last = image.len() - 1;
    for place in [0, last] {
        image[place] = Page::new([0; BLOCK]);
    }
    let rig = Rig::on(SIZE, Some(image), None);
    assert_eq!(rig.disk().len(), ((last + 1) * BLOCK) as u64);
    assert_eq!(rig.drain(), [(0, 1), (1, large(2, 10))]);
}
