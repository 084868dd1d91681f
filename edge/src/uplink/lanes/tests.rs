mod sim;

use sim::{Limit, SECOND, Shard, Sim};

use super::*;
use crate::uplink::lanes::lane::LEAST_RATE;

/// Tests for the board run in an emulator, thirty times slower.
const SEEDS: std::ops::Range<u64> = if cfg!(target_arch = "arm") {
    1..2
} else {
    1..4
};

const LIMITS: [Limit; 2] = [Limit::Bucket, Limit::EachSecond];
const TRIPS: [Duration; 2] = [Duration::from_millis(5), Duration::from_millis(200)];

/// `part` of `whole`.
#[allow(clippy::cast_precision_loss, reason = "small")]
fn share(part: u64, whole: u64) -> f64 {
    part as f64 / whole as f64
}

#[test]
fn a_cell_is_the_top_of_the_hash() {
    // The first bytes of their MD5: d4, 0c, 92, e1.
    let table = [("", 0xd4), ("a", 0x0c), ("b", 0x92), ("x", 0x9d)];
    for (key, first) in table {
        assert_eq!(cell_of(key), first >> 2, "{key}");
    }
}

#[test]
fn where_nothing_is_throttled_nothing_is_limited_and_nothing_kept() {
    let mut lanes = Lanes::default();
    for call in 1..100 {
        let now = SECOND / 100 * call;
        assert!((0..CELLS).all(|cell| lanes.take(cell, now)));
        lanes.accepted(now, 64);
    }
    assert!(lanes.is_empty() && lanes.next_at(SECOND).is_none());
}

#[test]
fn one_board_gets_the_pace_of_its_shard_and_repeats_little() {
    for trip in TRIPS {
        for seed in SEEDS {
            // Given a shard that takes 1,000 records a second, and 20,000 that wait
            let shard = Shard::new(0, 1000.0, Limit::Bucket);
            let mut sim = Sim::new(vec![shard], 1, 20_000, trip, seed);
            // When they are delivered
            while sim.step() {}
            // Then at 95% of the pace, in calls that are worth their while
            let took = sim.boards[0].done_at.unwrap();
            assert!(took < SECOND * 21, "{trip:?}, {seed}: {took:?}");
            assert!(
                sim.shards[0].repeats() < 1.11,
                "{trip:?}, {seed}: {}",
                sim.shards[0].repeats()
            );
            assert!(
                sim.boards[0].calls < 300,
                "{trip:?}, {seed}: {}",
                sim.boards[0].calls
            );
        }
    }
}

#[test]
fn boards_share_a_shard_without_knowing_of_each_other() {
    for (limit, rate, seconds, most_repeats, part) in [
        (Limit::Bucket, 1000.0, 40, 1.3, 0.5),
        (Limit::Bucket, 100.0, 60, 1.6, 0.5),
        (Limit::Bucket, 20.0, 100, 2.5, 0.4),
        (Limit::EachSecond, 1000.0, 40, 1.4, 0.4),
    ] {
        for trip in TRIPS {
            for seed in SEEDS {
                // Given four boards with more than a shard can take
                let shard = Shard::new(0, rate, limit);
                let mut sim = Sim::new(vec![shard], 4, 20_000, trip, seed);
                // When they deliver for a while
                sim.run_until(SECOND * seconds);
                // Then together they use the shard, and none has much less than its part
                let case = format!("{limit:?}, {rate} a second, {trip:?}, {seed}");
                let (sent, accepted) = (sim.shards[0].sent, sim.shards[0].accepted);
                let pace = to_f64(usize::try_from(accepted).unwrap()) / rate / f64::from(seconds);
                assert!(pace > 0.9, "{case}: {pace} of the pace");
                let least = sim.boards.iter().map(|board| board.accepted).min().unwrap();
                assert!(
                    share(least * 4, accepted) > part,
                    "{case}: {least} of {accepted}"
                );
                // And one shard is one lane
                assert!(
                    sim.boards.iter().all(|board| board.lanes.len() <= 2),
                    "{case}"
                );
                // Their first calls are most of what is repeated: they cannot know
                assert!(
                    share(sent, accepted) < most_repeats,
                    "{case}: {sent} sent, {accepted} accepted"
                );
            }
        }
    }
}

#[test]
fn a_shard_that_counts_by_whole_seconds_is_used_too() {
    for trip in TRIPS {
        for seed in SEEDS {
            let shard = Shard::new(0, 1000.0, Limit::EachSecond);
            let mut sim = Sim::new(vec![shard], 1, 20_000, trip, seed);
            while sim.step() {}
            let took = sim.boards[0].done_at.unwrap();
            assert!(took < SECOND * 27, "{trip:?}, {seed}: {took:?}");
            assert!(
                sim.shards[0].repeats() < 1.3,
                "{trip:?}, {seed}: {}",
                sim.shards[0].repeats()
            );
        }
    }
}

#[test]
fn a_hot_shard_does_not_hold_up_the_others() {
    for limit in LIMITS {
        for trip in TRIPS {
            // Given four shards, one of which takes five records a second
            let rate = |index| if index == 2 { 5.0 } else { 10_000.0 };
            let shards = (0..4)
                .map(|index| Shard::new(index * 16, rate(index), limit))
                .collect();
            let mut sim = Sim::new(shards, 1, 20_000, trip, 1);
            sim.window = 8192;
            let waiting = sim.boards[0].waiting.iter();
            let hot = waiting.filter(|cell| (32..48).contains(*cell)).count() as u64;
            // When ten seconds have passed, then all that the others take is delivered
            sim.run_until(SECOND * 10);
            let others = [0, 1, 3].map(|index| sim.shards[index].accepted);
            assert_eq!(
                others.iter().sum::<u64>(),
                20_000 - hot,
                "{limit:?}, {trip:?}"
            );
            assert!(
                [0, 1, 3]
                    .iter()
                    .all(|index| sim.shards[*index].repeats() < 1.01)
            );
            // And the hot one goes on at its own pace
            sim.run_until(SECOND * 300);
            let shard = &sim.shards[2];
            assert!(
                shard.accepted > 1350,
                "{limit:?}, {trip:?}: {}",
                shard.accepted
            );
            assert!(
                shard.repeats() < 1.4,
                "{limit:?}, {trip:?}: {}",
                shard.repeats()
            );
        }
    }
}

#[test]
fn a_shard_that_is_full_of_bytes_is_like_one_that_is_full_of_records() {
    for trip in TRIPS {
        // Given records of 10 KB, and a megabyte a second
        let shard = Shard {
            each: 10_000.0,
            ..Shard::new(0, 1_000_000.0, Limit::Bucket)
        };
        let mut sim = Sim::new(vec![shard], 1, 2_000, trip, 1);
        while sim.step() {}
        let took = sim.boards[0].done_at.unwrap();
        assert!(took < SECOND * 21, "{trip:?}: {took:?}");
        // The first call, of 500 records, is a fourth of it all
        assert!(
            sim.shards[0].repeats() < 1.5,
            "{trip:?}: {}",
            sim.shards[0].repeats()
        );
    }
}

#[test]
fn a_lane_grows_with_its_shard_and_vanishes_when_it_limits_nothing() {
    for trip in TRIPS {
        // Given a lane of a shard that took five a second
        let shard = Shard::new(0, 5.0, Limit::Bucket);
        let mut sim = Sim::new(vec![shard], 1, 20_000, trip, 1);
        sim.run_until(SECOND * 60);
        assert_eq!(sim.boards[0].lanes.len(), 1);
        // When it takes whatever comes
        sim.shards[0].rate = 1e9;
        while sim.step() {}
        // Then the rest is delivered before long
        let took = sim.boards[0].done_at.unwrap();
        assert!(took < SECOND * 120, "{trip:?}: {took:?}");
        // And a while later nothing is left of the lane
        let lanes = &mut sim.boards[0].lanes;
        lanes.forget_idle(took + UNREFUSED.max(UNBOUND));
        assert!(lanes.is_empty());
    }
}

#[test]
fn a_part_of_a_throttled_stream_that_recovers_goes_free() {
    // Given a stream whose two shards are both throttled
    let shards = vec![
        Shard::new(0, 50.0, Limit::Bucket),
        Shard::new(32, 50.0, Limit::Bucket),
    ];
    let mut sim = Sim::new(shards, 1, 20_000, TRIPS[0], 1);
    sim.run_until(SECOND * 10);
    assert!(sim.shards[1].accepted < 600, "{}", sim.shards[1].accepted);
    // When one of them takes whatever comes
    sim.shards[1].rate = 1e9;
    sim.window = 20_000;
    sim.run_until(SECOND * 60);
    // Then what it takes is delivered, and the rest waits
    assert!(sim.shards[1].accepted > 9_000, "{}", sim.shards[1].accepted);
    assert!(sim.shards[0].accepted < 3_100, "{}", sim.shards[0].accepted);
}

#[test]
fn a_token_that_is_given_back_can_be_taken_again() {
    // Given a lane with some tokens
    let mut lanes = Lanes::with_seed(1);
    lanes.answered(SECOND, (0..CELLS).map(|cell| (cell, cell % 2 == 0)));
    let mut taken = 0;
    while lanes.take(0, SECOND * 2) {
        taken += 1;
    }
    assert!(taken > 0 && !lanes.take(0, SECOND * 2));
    // When they are given back, then they are there; and no sooner than then
    for _ in 0..taken {
        lanes.give_back(0);
    }
    let opens = lanes.next_at(SECOND * 2).unwrap();
    let again = (0..100).filter(|_| lanes.take(0, opens)).count();
    assert!(again >= taken, "{again} of {taken}");
}

#[test]
fn what_was_held_back_is_told_once() {
    let mut lanes = Lanes::with_seed(1);
    lanes.answered(SECOND, (0..CELLS).map(|cell| (cell, false)));
    while lanes.take(0, SECOND) {}
    let opens = lanes.next_at(SECOND).unwrap();
    assert!(opens > SECOND);
    assert_eq!(lanes.next_at(SECOND), None);
    assert!(lanes.take(0, opens));
}

#[test]
fn time_that_stands_still_or_jumps_harms_nothing() {
    let mut lanes = Lanes::with_seed(1);
    for now in [SECOND * 9, SECOND, SECOND, SECOND * 1_000_000_000, SECOND] {
        lanes.take(0, now);
        lanes.answered(now, (0..CELLS).map(|cell| (cell, cell % 3 == 0)));
        assert!(
            lanes
                .lanes
                .iter()
                .all(|lane| lane.rate.is_finite() && lane.rate >= LEAST_RATE)
        );
        assert!(lanes.lanes.iter().all(|lane| lane.tokens.is_finite()));
    }
}

/// A board with 20,000 records for four shards of Kinesis, of which the first takes five records a second, and answers that name them.
fn one_hot_of_four(trip: Duration) -> Sim {
    let rate = |index| if index == 0 { 5.0 } else { 1000.0 };
    let shards = (0..4)
        .map(|index| Shard::new(index * 16, rate(index), Limit::Bucket))
        .collect();
    let mut sim = Sim::new(shards, 1, 20_000, trip, 1);
    (sim.names, sim.window) = (true, 20_000);
    sim
}

#[test]
fn shards_named_by_the_answers_are_a_lane_each() {
    for trip in TRIPS {
        // Given four shards of Kinesis, one of which takes five records a second, and answers that name them
        let mut sim = one_hot_of_four(trip);
        let hot = sim.boards[0].waiting.iter().filter(|cell| **cell < 16);
        let hot = hot.count() as u64;
        // When the three others have more than they can take at once
        sim.run_until(SECOND * 2);
        // Then no lane has cells of two shards
        let lanes = &sim.boards[0].lanes.lanes;
        assert!(!lanes.is_empty(), "{trip:?}");
        for lane in lanes {
            assert_eq!(
                lane.cells.first / 16,
                (lane.cells.first + lane.cells.len - 1) / 16,
                "{trip:?}: {:?}",
                lane.cells
            );
        }
        // And each goes at its own pace
        sim.run_until(SECOND * 7);
        let taken = sim.shards[1..].iter().map(|shard| shard.accepted);
        assert_eq!(taken.sum::<u64>(), 20_000 - hot, "{trip:?}");
        let all = sim.shards.iter();
        let sent = all.clone().map(|shard| shard.sent).sum();
        let accepted = all.map(|shard| shard.accepted).sum();
        assert!(
            share(sent, accepted) < 1.1,
            "{trip:?}: {sent} sent, {accepted} accepted"
        );
    }
}

#[test]
fn a_shard_that_a_lane_took_for_its_neighbours_is_told_apart_once_it_is_named() {
    // Given a lane of a quarter of the cells, none of which was accepted anywhere
    let mut lanes = Lanes::with_seed(1);
    lanes.answered(SECOND, (0..16).map(|cell| (cell, false)));
    assert_eq!(lanes.len(), 1);
    assert_eq!(lanes.lane_of(0), lanes.lane_of(15));
    let rate = lanes.lanes[0].rate;
    // When the answers say that it is of two shards, and that the second has cells beyond it
    lanes.learn([(0, 1), (7, 1), (8, 2), (20, 2), (40, 3)].into_iter());
    // Then each has a lane with its part of the rate, as far as the shard is known; and the third has none
    let cells: Vec<_> = lanes.lanes.iter().map(|lane| lane.cells.range()).collect();
    assert_eq!(cells, [0..8, 8..21]);
    assert!(lanes.lanes.iter().all(|lane| lane.rate == rate / 2.0));
    assert_eq!((lanes.lane_of(21), lanes.lane_of(40)), (0, 0));
}

#[test]
fn what_was_refused_between_two_shards_waits_and_what_is_beyond_them_is_free() {
    // Given a board that learns of a busy stream by twenty records, two of which are accepted
    let mut lanes = Lanes::with_seed(1);
    lanes.learn([(20, 1), (40, 2)].into_iter());
    let results = (10..50).step_by(2);
    lanes.answered(SECOND, results.map(|cell| (cell, cell == 20 || cell == 40)));
    // Then no record between the outermost refused ones goes for nothing, and those beyond may be of an idle shard
    let waits: Vec<_> = (0..CELLS).filter(|cell| lanes.lane_of(*cell) > 0).collect();
    let unlike_accepted = (10..49).filter(|cell| ![20, 40].contains(cell));
    assert_eq!(waits, unlike_accepted.collect::<Vec<_>>());
    // And together they are as fast as one guess of the whole
    let rate: f64 = lanes.lanes.iter().map(|lane| lane.rate).sum();
    assert_eq!(rate, GUESS * 18.0);
    // When a record in the middle tells that its cells are of the first shard
    lanes.learn([(30, 1)].into_iter());
    // Then that shard has one lane, and nothing that was refused is free
    assert_eq!(lanes.lane_of(20), lanes.lane_of(30));
    assert!((10..49).all(|cell| (lanes.lane_of(cell) > 0) == (cell != 40)));
}

#[test]
fn slow_lanes_share_a_call() {
    // Given four shards that take about a record a second from this board
    let mut lanes = Lanes::with_seed(1);
    lanes.learn((0..CELLS).map(|cell| (cell, u32::from(cell / 16) + 1)));
    lanes.answered(SECOND, (0..CELLS).step_by(4).map(|cell| (cell, false)));
    assert_eq!(lanes.len(), 4);
    // When records for all of them wait for ten seconds
    let (mut now, mut calls, mut records) = (SECOND, 0, 0);
    while now < SECOND * 11 {
        let taken: Vec<_> = (0..CELLS).filter(|cell| lanes.take(*cell, now)).collect();
        if !taken.is_empty() {
            (calls, records) = (calls + 1, records + taken.len());
            lanes.answered(now, taken.into_iter().map(|cell| (cell, true)));
        }
        now = lanes.next_at(now).unwrap_or(now + SECOND / 50);
    }
    // Then a call goes for several of them, not for one
    assert!(
        calls > 5 && records > 2 * calls,
        "{records} in {calls} calls"
    );
}

#[test]
fn lanes_with_tokens_block_nothing() {
    // Given lanes over all cells, one of which has more tokens than were taken
    let mut lanes = Lanes::with_seed(1);
    lanes.learn((0..CELLS).map(|cell| (cell, u32::from(cell / 32) + 1)));
    let fates = (0..CELLS).cycle().take(500).enumerate();
    lanes.answered(SECOND, fates.map(|(index, cell)| (cell, index < 400)));
    assert!(lanes.blocks_all(SECOND));
    let now = SECOND * 3;
    assert!(lanes.take(0, now) && lanes.take(0, now));
    while lanes.take(40, now) {}
    // Then its records may go at once, whatever its neighbour holds back
    assert!(!lanes.blocks_all(now));
    assert!(lanes.take(0, now));
    // And when it has none left, no record may
    while lanes.take(0, now) {}
    assert!(lanes.blocks_all(now));
}

#[test]
fn a_start_in_the_middle_of_a_hot_shards_backlog_does_not_take_the_others_for_hot() {
    for trip in TRIPS {
        // Given a queue that begins with thousands of records of a hot shard, as a restart finds it
        let mut sim = one_hot_of_four(trip);
        let (hot, others): (Vec<_>, Vec<_>) = sim.boards[0]
            .waiting
            .iter()
            .copied()
            .partition(|cell| *cell < 16);
        sim.boards[0].waiting = hot.iter().chain(&others).copied().collect();
        // Then the other shards get theirs, although the first answers name the hot one alone
        sim.run_until(SECOND * 8);
        let taken = sim.shards[1..].iter().map(|shard| shard.accepted);
        assert_eq!(taken.sum::<u64>(), others.len() as u64, "{trip:?}");
    }
}
