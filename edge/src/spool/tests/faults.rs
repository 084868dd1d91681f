//! Disks that fail and lie.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::*;
use crate::spool::media::storage::Storage;
use crate::spool::queue::committer::RETRY;
use crate::spool::stats::Destination;
use crate::spool::tests::planted::restamp;
use crate::spool::tests::sim::Faults;

pub const SIZE: Size = Size {
    card_blocks: 64,
    stage_blocks: 16,
    when_full: WhenFull::DropOldest,
};

fn ids(shown: &[(Seq, u64)]) -> Vec<u64> {
    shown.iter().map(|(_, id)| *id).collect()
}

#[test]
fn a_batch_whose_sync_failed_is_written_again_elsewhere() {
    let rig = Rig::new(SIZE);
    rig.spool.commit();
    rig.append_all(0..6);
    rig.disk().set_faults(Faults {
        failing_syncs: 1,
        ..Faults::default()
    });
    rig.spool.commit();
    assert_eq!(rig.spool.stats().place, Destination::Card);
    // the power goes: nothing unsynced stays, and the pages of the failed sync are gone
    let after = Rig::on(SIZE, Some(rig.disk().safe()), None);
    assert_eq!(ids(&after.drain()), (0..6).collect::<Vec<_>>());
}

#[test]
fn after_two_failures_the_spool_runs_from_memory_until_the_card_is_back() {
    let rig = Rig::new(SIZE);
    rig.spool.commit();
    rig.append_all(0..3);
    rig.disk().set_faults(Faults {
        failing_syncs: 2,
        ..Faults::default()
    });
    rig.tick(Duration::from_secs(1));
    assert!(matches!(rig.spool.stats().place, Destination::Memory(_)));
    rig.append_all(3..5);
    rig.tick(RETRY - Duration::from_millis(1));
    assert!(
        matches!(rig.spool.stats().place, Destination::Memory(_)),
        "not before its time"
    );
    rig.tick(Duration::from_millis(1));
    assert_eq!(rig.spool.stats().place, Destination::Card);
    rig.tick(Duration::from_secs(1));
    let after = Rig::on(SIZE, Some(rig.disk().safe()), None);
    assert_eq!(ids(&after.drain()), (0..5).collect::<Vec<_>>());
    assert_eq!(ids(&rig.drain()), (0..5).collect::<Vec<_>>());
    rig.check_sum();
}

#[test]
fn a_card_that_cannot_be_made_leaves_a_spool_that_works_from_memory() {
    let card = SimSlot::new(None);
    let refuse = card.refuse.clone();
    *refuse.lock().unwrap() = Some(io::ErrorKind::StorageFull);
    let rig = Rig::in_slots(SIZE, card, SimSlot::new(None));
    rig.append_all(0..4);
    rig.spool.commit();
    assert!(matches!(rig.spool.stats().place, Destination::Memory(_)));
    assert_eq!(ids(&rig.peek()), [0, 1, 2, 3]);
    // room was made
    *refuse.lock().unwrap() = None;
    rig.tick(RETRY);
    rig.spool.commit();
    assert_eq!(rig.spool.stats().place, Destination::Card);
    let after = Rig::on(SIZE, Some(rig.disk().safe()), None);
    assert_eq!(ids(&after.drain()), [0, 1, 2, 3]);
}

#[test]
fn without_a_card_the_stage_is_the_bound_and_the_oldest_go() {
    let card = SimSlot::new(None);
    *card.refuse.lock().unwrap() = Some(io::ErrorKind::ReadOnlyFilesystem);
    let rig = Rig::in_slots(SIZE, card, SimSlot::new(None));
    rig.append_all(0..100);
    let stats = rig.spool.stats();
    assert_eq!(stats.dropped + stats.waiting_records, 100);
    assert!(stats.dropped > 0 && stats.waiting_records > 3, "{stats:?}");
    assert_eq!(ids(&rig.drain()), (stats.dropped..100).collect::<Vec<_>>());
    rig.check_sum();
}

#[test]
fn a_card_that_cannot_be_read_costs_its_records_and_no_more() {
    let rig = Rig::new(SIZE);
    rig.append_all(0..6);
    rig.spool.commit();
    // more than the stage holds, so that what was committed is on the card alone
    rig.append_all(6..40);
    let waiting = rig.spool.stats().waiting_records;
    rig.disk().set_faults(Faults {
        unreadable_from: Some(0),
        ..Faults::default()
    });
    let shown = ids(&rig.drain());
    let stats = rig.spool.stats();
    assert_eq!(
        shown.len() as u64 + stats.media_lost,
        waiting,
        "{shown:?} {stats:?}"
    );
    assert!(stats.media_lost > 0 && !shown.is_empty(), "{stats:?}");
    rig.check_sum();
}

#[test]
fn a_stage_that_fails_goes_on_in_memory() {
    let rig = Rig::new(SIZE);
    rig.append_all(0..3);
    rig.stage_disk().set_faults(Faults {
        failing_writes: 1000,
        ..Faults::default()
    });
    rig.append_all(3..9);
    rig.spool.ack(2);
    assert_eq!(ids(&rig.drain()), (2..9).collect::<Vec<_>>());
}

/// A disk whose sync takes as long as somebody holds the gate.
#[derive(Debug)]
struct Slow(Arc<Disk>);

static GATE: Mutex<()> = Mutex::new(());
static SYNCING: AtomicBool = AtomicBool::new(false);

impl Storage for Slow {
    fn len(&self) -> u64 {
        self.0.len()
    }

    fn read_at(&self, to: &mut [u8], at: u64) -> io::Result<()> {
        self.0.read_at(to, at)
    }

    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        self.0.write_at(bytes, at)
    }

    fn sync(&self) -> io::Result<()> {
        SYNCING.store(true, Ordering::SeqCst);
        let _gate = GATE.lock().unwrap();
        SYNCING.store(false, Ordering::SeqCst);
        self.0.sync()
    }
}

#[test]
fn a_slow_card_holds_up_neither_source_nor_uplink() {
    let slow = SimSlot::wrapped(None, |disk| Arc::new(Slow(disk)));
    let rig = Rig::in_slots(SIZE, slow, SimSlot::new(None));
    rig.spool.commit();
    rig.append_all(0..3);
    thread::scope(|scope| {
        // Given a commit that waits for the card
        let gate = GATE.lock().unwrap();
        scope.spawn(|| rig.spool.commit());
        while !SYNCING.load(Ordering::SeqCst) {
            thread::yield_now();
        }
        // Then records are taken, shown and let go meanwhile
        rig.append_all(3..5);
        assert_eq!(ids(&rig.peek()), [0, 1, 2, 3, 4]);
        rig.spool.ack(4);
        assert_eq!(ids(&rig.peek()), [4]);
        drop(gate);
    });
    assert_eq!(ids(&rig.drain()), [4]);
    rig.check_sum();
}

/// A stage from before the card's newest batches knows less than the card: believed, it would send delivered records again and give
/// out numbers twice.
fn with_a_stage_older_than_the_card(patch: fn(Image) -> Image) -> (Vec<u64>, u64) {
    let rig = Rig::new(SIZE);
    rig.append_all(0..4);
    let old_stage = rig.stage_disk().seen();
    rig.spool.commit();
    rig.append_all(4..8);
    rig.spool.commit();
    rig.spool.ack(6);
    rig.spool.commit();
    let after = Rig::on(SIZE, Some(rig.disk().seen()), Some(patch(old_stage)));
    (ids(&after.drain()), after.append(99))
}

#[test]
fn a_stage_older_than_the_card_is_not_believed() {
    assert_eq!(
        with_a_stage_older_than_the_card(|image| image),
        (vec![6, 7], 8)
    );
}

#[test]
fn planted_a_stage_older_than_the_card_that_is_believed_is_caught() {
    // as if nobody looked how much of the card it knows
    let patch = |image: Image| image.iter().map(|page| restamp(page, true)).collect();
    assert_ne!(with_a_stage_older_than_the_card(patch), (vec![6, 7], 8));
}

#[test]
fn a_stage_of_another_card_is_appended_not_thrown_away() {
    let other = Rig::new(SIZE);
    other.append_all(50..53);
    other.spool.ack(1);
    let (_, stage) = other.kill();
    let rig = Rig::new(SIZE);
    rig.append_all(0..2);
    rig.spool.commit();
    let (card, _) = rig.kill();
    let after = Rig::on(SIZE, card, stage);
    assert_eq!(after.drain(), [(0, 0), (1, 1), (2, 51), (3, 52)]);
    after.check_sum();
}
