//! The three threads at once, as fast as they can, on real files: nothing is lost but what is counted, and nothing waits for ever.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use headwater::platform::time::SystemClock;
use headwater::post::record::Record;
use headwater::spool::{Appended, Options, Spool, WhenFull};

const RECORDS: u64 = 30_000;

/// Mostly small records, some of several blocks, a few too large for the stage.
fn len_of(id: u64) -> usize {
    match id {
        _ if id % 9973 == 5 => 600_000,
        _ if id % 101 == 3 => 20_000,
        _ => 8 + (id * 37 % 900) as usize,
    }
}

fn data_of(id: u64) -> Vec<u8> {
    let mut data = vec![id as u8; len_of(id)];
    data[..8].copy_from_slice(&id.to_le_bytes());
    data
}

fn id_of(record: Record<'_>) -> u64 {
    let id = u64::from_le_bytes(record.data[..8].try_into().unwrap());
    assert_eq!(record.data, data_of(id));
    id
}

struct Outcome {
    kept: u64,
    refused: u64,
    delivered: BTreeSet<u64>,
}

/// Appends [`RECORDS`] while another thread delivers, and a third commits.
fn run(spool: &Spool) -> Outcome {
    thread::scope(|scope| {
        scope.spawn(|| spool.run_committer());
        let source = scope.spawn(|| {
            let (mut kept, mut refused) = (0, 0);
            for id in 0..RECORDS {
                let data = data_of(id);
                let record = Record {
                    partition_key: "k",
                    data: &data,
                };
                match spool.append(record, &id.to_le_bytes()) {
                    Appended::Kept(_) => kept += 1,
                    Appended::Dropped => refused += 1,
                    Appended::Closed => panic!("nobody closed it"),
                }
            }
            spool.close();
            (kept, refused)
        });
        let mut delivered = BTreeSet::new();
        loop {
            let more = spool.wait(Duration::from_secs(5));
            let mut next = None;
            let mut taken = Vec::new();
            spool.peek(|seq, record| {
                taken.push(id_of(record));
                next = Some(seq + 1);
                match taken.len() {
                    0..200 => ControlFlow::Continue(()),
                    _ => ControlFlow::Break(()),
                }
            });
            assert!(taken.is_sorted());
            assert!(taken.iter().all(|id| delivered.insert(*id)), "twice");
            if let Some(next) = next {
                spool.ack(next);
            }
            if !more && source.is_finished() && spool.stats().waiting_records == 0 {
                break;
            }
        }
        let (kept, refused) = source.join().unwrap();
        Outcome {
            kept,
            refused,
            delivered,
        }
    })
}

fn check(size_bytes: u64, when_full: WhenFull) {
    let card = tempfile::tempdir().unwrap();
    let stage = tempfile::tempdir_in("/dev/shm").unwrap();
    let options = Options {
        card: card.path().join("spool"),
        stage: Some(stage.path().join("stage")),
        size_bytes,
        when_full,
        durable_within: Duration::from_millis(20),
    };
    let spool = Spool::open(options, Arc::new(SystemClock::default())).unwrap();
    let outcome = run(&spool);
    let stats = spool.stats();
    println!(
        "{when_full:?}: {} delivered, {stats:?}",
        outcome.delivered.len()
    );
    assert_eq!(stats.appended, RECORDS);
    assert_eq!(stats.delivered, outcome.delivered.len() as u64);
    assert_eq!(stats.waiting_bytes, 0);
    assert_eq!(stats.dropped, RECORDS - stats.delivered);
    assert_eq!(stats.media_lost + stats.unsynced_lost, 0);
    assert_eq!(outcome.kept + outcome.refused, RECORDS);
    if when_full != WhenFull::DropOldest {
        assert_eq!(outcome.kept, stats.delivered);
    }
}

#[test]
fn three_threads_on_a_roomy_spool_lose_nothing() {
    check(64 << 20, WhenFull::Block);
}

#[test]
fn three_threads_on_a_small_spool_that_makes_the_source_wait_lose_nothing() {
    // half of it takes the largest record
    check(2 << 20, WhenFull::Block);
}

#[test]
fn three_threads_on_a_small_spool_that_drops_count_every_drop() {
    check(1 << 20, WhenFull::DropOldest);
    check(1 << 20, WhenFull::DropNewest);
}
