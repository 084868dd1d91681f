//! Any sequence of what happens to a log and to the program: every line that still exists somewhere is stored, none twice, and what is gone
//! is counted.

mod world;

use std::collections::hash_map::RandomState;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::BuildHasher;
use std::time::Instant;

use self::world::{Layout, Random, World};

/// Tests for the board run in an emulator, thirty times slower.
const SEQUENCES: u64 = if cfg!(target_arch = "arm") {
    300
} else {
    10_000
};

/// `HEADWATER_SEED` plays one sequence again, and prints its steps.
#[test]
fn whatever_happens_to_a_log_no_line_is_lost_or_stored_twice() {
    let began = Instant::now();
    let again = std::env::var("HEADWATER_SEED").ok();
    let first = again.as_ref().map_or_else(
        || RandomState::new().hash_one(0) >> 16,
        |seed| seed.parse().unwrap(),
    );
    let count = if again.is_some() { 1 } else { SEQUENCES };
    println!("{count} sequences from HEADWATER_SEED={first}");
    let folder = tempfile::tempdir_in("/dev/shm").unwrap();
    let spool = world::spool(folder.path());
    let mut sums: BTreeMap<&str, u64> = BTreeMap::new();
    for seed in first..first + count {
        let mut random = Random::new(seed);
        let layout = random.one_of(&[Layout::Numbered, Layout::Dated, Layout::Link]);
        let mut world = World::new(&folder.path().join(seed.to_string()), layout, &spool);
        for _ in 0..random.below(25) {
            world.step(&mut random);
        }
        world.finish();
        let why = world.verdict(&mut sums);
        if again.is_some() || why.is_some() {
            println!("{}", world.story());
        }
        assert_eq!(why, None, "HEADWATER_SEED={seed}");
        world.remove();
    }
    println!("{sums:?} in {:.1} s", began.elapsed().as_secs_f64());
    if again.is_none() {
        // What never happened was not tried.
        let idle: BTreeSet<_> = sums.iter().filter(|(_, sum)| **sum == 0).collect();
        assert!(idle.is_empty(), "{idle:?}");
    }
}
