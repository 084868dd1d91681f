use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::platform::time::TestClock;
use crate::post::record::{MAX_RECORD_BYTES, Record};
use crate::spool::{Options, Spool, WhenFull};

/// A spool in which `count` posts wait.
fn spool_with(folder: &tempfile::TempDir, count: u64) -> Spool {
    let options = Options {
        card: folder.path().join("spool"),
        stage: None,
        size_bytes: 1 << 20,
        when_full: WhenFull::Block,
        durable_within: Duration::from_secs(1),
    };
    let spool = Spool::open(options, Arc::new(TestClock::default())).unwrap();
    read(&spool, count);
    spool
}

fn read(spool: &Spool, count: u64) {
    for _ in 0..count {
        spool.append(Record::new("key", b"post", MAX_RECORD_BYTES).unwrap(), b"");
    }
}

#[test]
fn what_is_read_after_the_first_delivery_is_fresh_and_a_healthy_network_begins_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let spool = spool_with(&folder, 100);
    // Given a start with a backlog
    let mut fresh = Fresh::new(true, &spool);
    assert_eq!(fresh.turn(&spool), None);
    // When the first records arrive, then what comes from now on is fresh
    spool.ack(10);
    assert!(fresh.begins(&spool));
    assert_eq!(fresh.turn(&spool).map(|run| run.from), Some(100));
    assert_eq!(fresh.from(), 100);
    // And further ones begin nothing
    assert!(!fresh.begins(&spool));
    // When the backlog is through, nothing is fresh any more
    spool.ack(100);
    assert_eq!(fresh.turn(&spool), None);
    assert_eq!(fresh.from(), Seq::MAX);
}

#[test]
fn a_restart_goes_on_with_the_run_in_progress() {
    let folder = tempfile::tempdir().unwrap();
    let spool = spool_with(&folder, 1000);
    spool.begin_run(200);
    let mut fresh = Fresh::new(true, &spool);
    assert!(!fresh.begins(&spool));
    assert_eq!(fresh.turn(&spool).map(|run| run.from), Some(200));
    // And a program without the option leaves it alone
    assert_eq!(Fresh::new(false, &spool).turn(&spool), None);
}

#[test]
fn each_outage_begins_a_run_of_its_own_where_posts_piled_up_as_far_as_one_can_be_noted() {
    let folder = tempfile::tempdir().unwrap();
    let spool = spool_with(&folder, 10);
    let mut fresh = Fresh::new(true, &spool);
    assert!(fresh.begins(&spool));
    let mut begun = 1;
    for _ in 0..20 {
        // Given a post of the newest run that arrived
        read(&spool, 1);
        let run = spool.newest_run().unwrap();
        spool.ack_each([run.to]);
        // When the network goes and comes back, and few posts came meanwhile, the run goes on
        read(&spool, 100);
        fresh.broke();
        assert!(!fresh.begins(&spool));
        assert_eq!(spool.newest_run().map(|run| run.from), Some(run.from));
        // And where many came, the next one begins, until there are too many
        read(&spool, PILED_UP);
        fresh.broke();
        let is_new = fresh.begins(&spool);
        let newest = spool.newest_run().unwrap();
        assert_eq!(is_new, newest.from == spool.next());
        assert_eq!(is_new, newest.from != run.from);
        begun += u64::from(is_new);
    }
    assert_eq!(begun, 12);
}
