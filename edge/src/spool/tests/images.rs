//! Media that hold what nobody wrote: any bytes open, and only what is damaged is lost.

use proptest::prelude::*;

use super::*;
use crate::spool::format::block::{BLOCK, Vblk};
use crate::spool::format::superblock::{BATCH, LARGE_BATCH};
use crate::spool::media::ring::Ring;
use crate::spool::media::storage::Storage;
use crate::spool::recover::{newest, newest_by_scan};
use crate::spool::tests::sim::{Page, zeros};

const SIZE: Size = Size {
    card_blocks: 40,
    stage_blocks: 32,
    when_full: WhenFull::DropOldest,
};

/// A card with 30 records in several batches, once around the ring.
fn committed() -> (Image, Vec<(Seq, u64)>) {
    let rig = Rig::new(SIZE);
    for batch in 0..10 {
        rig.append_all(batch * 3..batch * 3 + 3);
        rig.spool.commit();
    }
    let image = rig.disk().safe();
    (image.clone(), Rig::on(SIZE, Some(image), None).drain())
}

fn open(image: Image) -> Rig {
    Rig::on(SIZE, Some(image), None)
}

/// What is left of `all` is shown, the rest is counted, and nothing else is.
fn check_survivors(rig: &Rig, all: &[(Seq, u64)], at_most_lost: usize) {
    let shown = rig.drain();
    assert!(shown.iter().all(|record| all.contains(record)), "{shown:?}");
    assert!(shown.is_sorted());
    assert!(
        shown.len() + at_most_lost >= all.len(),
        "{shown:?} of {all:?}"
    );
    rig.check_sum();
}

#[test]
fn a_flipped_bit_costs_the_records_of_its_block_alone() {
    let (image, all) = committed();
    let mut dice = Dice::new(7);
    for place in 0..image.len() {
        for _ in 0..8 {
            let mut damaged = image.clone();
            let mut page = *damaged[place];
            page[dice.roll(BLOCK as u64) as usize] ^= 1 << dice.roll(8);
            damaged[place] = Arc::new(page);
            // a block holds parts of at most a handful of these records
            check_survivors(&open(damaged), &all, 12);
        }
    }
}

#[test]
fn a_record_that_changes_in_the_stage_is_never_shown_from_the_card() {
    let mut dice = Dice::new(11);
    for _ in 0..200 {
        // Given records in the stage alone
        let rig = Rig::new(SIZE);
        rig.append_all(0..20);
        let all = rig.peek();
        // When a bit of it changes, and all is copied to the card
        let stage = rig.stage_disk().seen();
        let place = 1 + dice.roll(stage.len() as u64 - 2);
        let mut page = *stage[place as usize];
        page[dice.roll(BLOCK as u64) as usize] ^= 1 << dice.roll(8);
        let stage = rig.stage_disk();
        stage.write_at(&page, place * BLOCK as u64).unwrap();
        rig.spool.commit();
        // Then the card shows what was there, as it was
        let shown = open(rig.disk().safe()).drain();
        assert!(shown.iter().all(|record| all.contains(record)), "{shown:?}");
    }
}

#[test]
fn a_write_to_the_wrong_place_costs_what_was_there() {
    let (image, all) = committed();
    for from in 1..image.len() - 1 {
        for to in 1..image.len() - 1 {
            let mut damaged = image.clone();
            damaged[to] = image[from].clone();
            check_survivors(&open(damaged), &all, 12);
        }
    }
}

#[test]
fn a_loss_by_damage_is_counted_to_the_record() {
    let (image, all) = committed();
    for place in 1..image.len() - 1 {
        let mut damaged = image.clone();
        damaged[place] = zeros(1)[0].clone();
        let rig = open(damaged);
        let waiting = rig.spool.stats().waiting_records;
        let shown = rig.drain().len() as u64;
        let stats = rig.spool.stats();
        assert_eq!(
            waiting - shown,
            stats.media_lost + stats.unsynced_lost,
            "{place}"
        );
        assert!(shown + 12 >= all.len() as u64);
    }
}

/// A card with three batches of several blocks, and the block after each.
fn three_batches() -> (Image, [Vblk; 3]) {
    let rig = Rig::new(LARGE_ENOUGH);
    let ends = [0, 1, 2].map(|batch| {
        rig.append_all(batch * 6..batch * 6 + 6);
        rig.spool.commit();
        rig.spool.lock().card.as_ref().unwrap().tail
    });
    (rig.disk().safe(), ends)
}

const LARGE_ENOUGH: Size = Size {
    card_blocks: 64,
    ..SIZE
};

fn without(mut image: Image, vblk: Vblk) -> Image {
    image[vblk as usize + 1] = zeros(1)[0].clone();
    image
}

#[test]
fn damage_in_a_batch_that_a_later_one_vouches_for_is_no_power_cut() {
    // Given three batches, each synced before the next one. Once a damaged block was counted as torn by a power cut if the next whole one was of the
    // same batch, which does not vouch for itself.
    let (image, [_, second, _]) = three_batches();
    let mut lost = 0;
    for vblk in 0..second {
        // When a block of the first two is damaged
        let rig = Rig::on(LARGE_ENOUGH, Some(without(image.clone(), vblk)), None);
        rig.drain();
        // Then the card lost its records, whichever batch the next whole block is of
        let stats = rig.spool.stats();
        assert_eq!(stats.unsynced_lost, 0, "{vblk}: {stats:?}");
        lost += stats.media_lost;
    }
    assert!(lost > 0);
}

#[test]
fn what_a_power_cut_tore_stays_its_work_whoever_writes_after_it() {
    let (image, [_, second, third]) = three_batches();
    for vblk in second..third - 1 {
        // Given a card whose last batch a power cut tore
        let torn = without(image.clone(), vblk);
        // When the next run writes and syncs two batches behind it
        let next = Rig::on(LARGE_ENOUGH, Some(torn), None);
        for id in 100..102 {
            next.append(id);
            next.spool.commit();
        }
        // Then the run after that still counts what was torn as lost by a power cut
        let rig = Rig::on(LARGE_ENOUGH, Some(next.disk().safe()), None);
        rig.drain();
        let stats = rig.spool.stats();
        assert!(
            stats.unsynced_lost > 0 && stats.media_lost == 0,
            "{vblk}: {stats:?}"
        );
    }
}

#[test]
fn either_superblock_serves_and_without_both_the_blocks_do() {
    let (image, all) = committed();
    let last = image.len() - 1;
    let blank = zeros(1)[0].clone();
    for lost in [vec![0], vec![last], vec![0, last]] {
        let mut damaged = image.clone();
        for place in lost {
            damaged[place] = blank.clone();
        }
        let rig = open(damaged);
        assert_eq!(rig.drain(), all);
        // and it can be written to as before
        rig.append(100);
        rig.spool.commit();
        assert_eq!(
            open(rig.disk().safe()).drain().last().map(|r| r.1),
            Some(100)
        );
    }
}

#[test]
fn a_card_of_nothing_is_set_aside_and_a_new_one_made() {
    let mut dice = Dice::new(1);
    let noise: Image = (0..42)
        .map(|_| Arc::new(std::array::from_fn(|_| dice.roll(256) as u8)))
        .collect();
    for image in [zeros(42), noise] {
        let rig = open(image);
        rig.append_all(0..3);
        rig.spool.commit();
        assert_eq!(open(rig.disk().safe()).drain().len(), 3);
    }
}

#[test]
fn a_card_cut_short_or_grown_keeps_what_is_there() {
    let (image, all) = committed();
    for len in 0..image.len() {
        let cut = image[..len].to_vec();
        let rig = open(cut);
        let shown = rig.drain();
        assert!(shown.iter().all(|record| all.contains(record)));
        rig.check_sum();
    }
    let mut grown = image.clone();
    grown.extend(zeros(20));
    assert_eq!(open(grown).drain(), all);
}

#[test]
fn a_card_of_a_newer_format_is_left_alone() {
    let (image, _) = committed();
    let mut newer = image.clone();
    for place in [0, image.len() - 1] {
        let mut page = *newer[place];
        page[8] = 3;
        newer[place] = Arc::new(page);
    }
    let rig = open(newer.clone());
    assert!(
        matches!(&rig.spool.stats().place, crate::spool::stats::Destination::Memory(why) if why.contains("newer"))
    );
    rig.append_all(0..5);
    rig.spool.commit();
    assert_eq!(rig.drain().len(), 5);
    assert_eq!(rig.disk().writes(), 0);
}

#[test]
fn another_size_holds_once_the_spool_is_empty() {
    let (image, all) = committed();
    let larger = Size {
        card_blocks: 80,
        ..SIZE
    };
    let rig = Rig::on(larger, Some(image), None);
    assert_eq!(
        rig.spool.stats().capacity_bytes,
        40 * BLOCK as u64,
        "not while records wait"
    );
    assert_eq!(rig.drain(), all);
    rig.spool.commit();
    let appended = rig.spool.stats().appended;
    let (card, stage) = rig.kill();
    let rig = Rig::on(larger, card, stage);
    rig.spool.commit();
    let stats = rig.spool.stats();
    assert_eq!(stats.capacity_bytes, 80 * BLOCK as u64);
    assert_eq!(
        (stats.appended, stats.delivered),
        (appended, appended - stats.dropped)
    );
    assert_eq!(rig.append(1), appended, "the numbers go on");
}

/// Pages that look like parts of a spool, shuffled, altered, or of noise.
fn images() -> impl Strategy<Value = Image> {
    let (image, _) = committed();
    let page = prop_oneof![
        6 => (0..image.len()).prop_map({
            let image = image.clone();
            move |place| image[place].clone()
        }),
        2 => (0..image.len(), 0..BLOCK, any::<u8>()).prop_map(move |(place, at, byte)| {
            let mut page = *image[place];
            page[at] = byte;
            Arc::new(page)
        }),
        1 => any::<u8>().prop_map(|byte| Arc::new([byte; BLOCK]) as Page),
    ];
    prop::collection::vec(page, 0..60)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_two_images_open_and_give_nothing_that_was_not_written(card in images(), stage in images()) {
        let rig = Rig::on(SIZE, Some(card), Some(stage));
        // every record shown is checked to be one that was made
        let shown = rig.drain();
        prop_assert!(shown.is_sorted());
        rig.check_sum();
        rig.append(7);
        rig.spool.commit();
        prop_assert_eq!(rig.drain().last().map(|record| record.1), Some(7));
    }

    #[test]
    fn bisection_finds_what_a_full_scan_finds(
        blocks in 4 * BATCH + 1..8 * BATCH,
        written in 1..24 * BATCH,
        fates in prop::collection::vec(any::<bool>(), 2 * BATCH as usize),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
    ) {
        let ring = ring_with(blocks, written, &fates, &damage, false);
        prop_assert_eq!(newest(&ring), newest_by_scan(&ring));
    }
}

#[test]
fn bisection_looks_as_far_as_large_batches_reach() {
    use crate::spool::tests::Dice;
    let mut dice = Dice::new(3);
    for round in 0..4 {
        // Given a ring that takes large batches, of whose last two each block is there or not
        let unsynced = 2 * LARGE_BATCH;
        let blocks = 2 * unsynced + 1 + dice.roll(2 * unsynced);
        let written = unsynced + dice.roll(3 * blocks);
        let fates: Vec<bool> = (0..unsynced)
            .map(|_| dice.roll(40) == 0 || round == 0)
            .collect();
        let ring = ring_with(blocks, written, &fates, &[], true);
        // When it is searched, then it is found what reading all of it finds
        assert_eq!(newest(&ring), newest_by_scan(&ring), "{blocks} {written}");
    }
}

/// A ring of `blocks` where `written` were, of the last of which each is there or not, and some damaged.
fn ring_with(
    blocks: u64,
    written: u64,
    fates: &[bool],
    damage: &[(prop::sample::Index, u8)],
    large: bool,
) -> Ring {
    use crate::spool::format::pack::{Builder, Stamp};
    use crate::spool::format::superblock::Super;
    let spec = Super {
        blocks,
        salt: 5,
        card_salt: 5,
        large,
    };
    let disk = Disk::new(zeros(blocks as usize + 2));
    let ring = Ring::format(disk.clone(), spec).unwrap();
    let stamp = Stamp {
        salt: 5,
        epoch: 1,
        ..Stamp::default()
    };
    for vblk in written.saturating_sub(2 * blocks)..written {
        let from_end = (written - 1 - vblk) as usize;
        if vblk == 0 || fates.get(from_end).copied().unwrap_or(true) {
            ring.write(vblk, Builder::new(vblk, vblk).seal(&stamp, None))
                .unwrap();
        }
    }
    for (place, byte) in damage {
        let place = 1 + place.index(blocks as usize);
        let mut page = *disk.seen()[place];
        page[40] ^= byte;
        disk.write_at(&page, (place * BLOCK) as u64).unwrap();
    }
    ring
}
