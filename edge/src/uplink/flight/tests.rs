mod fleet;
mod sim;

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::time::Duration;

use fleet::{Fleet, Plan};
use sim::{SECOND, Sim, Waiting};

use super::*;
use crate::aws::kinesis::Class;
use crate::aws::kinesis::wire::Wire;
use crate::post::record::Record;
use crate::spool::Seq;
use crate::uplink::lanes::{CELLS, cell_of};
use crate::uplink::window::READY;

/// A key of each half of the stream.
const KEYS: [&str; 2] = ["a", "b"];

/// A flight in which posts are packed, and the first half of the stream was just throttled.
fn throttled_in_the_first_half() -> Flight {
    let batch = Batch::new("posts", Wire::Json).packing();
    let pace = Pace::new(Default::default(), Default::default());
    let mut flight = Flight::new(batch, pace, Fresh::default(), ServerClock::default());
    let results = (0..CELLS).flat_map(|cell| [(cell, cell >= CELLS / 2); 8]);
    flight.lanes.answered(Duration::ZERO, results);
    assert_eq!(flight.lanes.len(), 1);
    flight
}

/// Offers posts of both halves in turn.
fn offer(flight: &mut Flight, seqs: std::ops::Range<Seq>, now: Duration) {
    for seq in seqs {
        let data = format!(r#"{{"number":{seq},"text":"a post about pizza"}}"#);
        let record = Record {
            partition_key: KEYS[(seq % 2) as usize],
            data: data.as_bytes(),
        };
        let _ = flight.take(seq, record, now, false);
    }
}

/// The posts of each pack.
fn packs(flight: &mut Flight) -> Vec<Vec<Seq>> {
    flight.batch.close_packs();
    let all = 0..flight.batch.entries().len();
    all.map(|index| flight.batch.seqs(index).to_vec()).collect()
}

#[test]
fn a_lane_without_a_token_holds_its_posts_back_and_the_others_fill_their_pack() {
    let keys_of_halves = KEYS.map(|key| cell_of(key) < CELLS / 2);
    assert_eq!(keys_of_halves, [true, false]);
    // Given a lane that has no token yet
    let mut flight = throttled_in_the_first_half();
    // When posts of both halves are offered
    offer(&mut flight, 0..40, Duration::ZERO);
    // Then one pack goes, with all that are not of the lane
    let others: Vec<_> = (0..40).filter(|seq| seq % 2 == 1).collect();
    assert_eq!(packs(&mut flight), [others]);
    let parked: Vec<_> = flight.window.parked().map(|(seq, _)| seq).collect();
    assert!(parked.iter().all(|seq| seq % 2 == 0) && parked.len() == 20);
}

#[test]
fn one_token_takes_a_whole_pack_of_its_lane_and_no_pack_is_of_two() {
    // Given a lane that has tokens again
    let mut flight = throttled_in_the_first_half();
    let now = Duration::from_secs(1);
    // When posts of both halves are offered in turn
    offer(&mut flight, 0..40, now);
    // Then there are two packs, each of one half
    let [first, second]: [Vec<Seq>; 2] = [0, 1].map(|half| (half..40).step_by(2).collect());
    assert_eq!(packs(&mut flight), [first.clone(), second]);
    assert!(flight.window.is_empty());
    // And they are let go of one by one, as they are not in the spool's order
    assert!(flight.passing);

    // When the lane's pack is throttled, each of its posts waits in that lane
    let queue = Waiting::new(vec![(String::new(), Vec::new()); 40]);
    flight.settle(&queue, now, &[Class::Throttled, Class::Delivered]);
    let waits: Vec<_> = flight.window.parked().collect();
    let cell = cell_of(KEYS[0]);
    assert_eq!(
        waits,
        first.iter().map(|seq| (*seq, cell)).collect::<Vec<_>>()
    );
}

#[test]
fn what_is_put_back_is_read_again_from_the_head_or_one_by_one() {
    for passing in [false, true] {
        // Given a batch of packs, of which the first may have arrived
        let batch = Batch::new("posts", Wire::Json).packing();
        let pace = Pace::new(Default::default(), Default::default());
        let mut flight = Flight::new(batch, pace, Fresh::default(), ServerClock::default());
        flight.passing = passing;
        offer(&mut flight, 0..10, Duration::ZERO);
        flight.batch.close_packs();
        flight.maybe_arrived = 1;
        // When all is put back
        let maybe_arrived = flight.put_all_back();
        // Then ten posts are known to be sent again, and are found where the loop looks for them
        assert_eq!((maybe_arrived, flight.maybe_arrived), (10, 0));
        assert!(flight.batch.is_empty());
        let parked: Vec<_> = flight.window.parked().collect();
        let expected: Vec<_> = (0..10)
            .filter(|_| passing)
            .map(|seq| (seq, READY))
            .collect();
        assert_eq!(parked, expected);
    }
}

/// Tests for the board run in an emulator, thirty times slower.
const WORLDS: u64 = if cfg!(target_arch = "arm") {
    300
} else {
    10_000
};

/// `HEADWATER_SEED` plays one of them again.
#[test]
fn over_any_link_and_into_any_stream_the_queue_drains_and_nothing_known_to_have_arrived_is_sent_again()
 {
    let again = std::env::var("HEADWATER_SEED").ok();
    let first = again.as_ref().map_or_else(
        || RandomState::new().hash_one(0) >> 16,
        |seed| seed.parse().unwrap(),
    );
    let count = if again.is_some() { 1 } else { WORLDS };
    println!("{count} links and streams from HEADWATER_SEED={first}");
    let (mut calls, mut sent) = (0, 0);
    for seed in first..first + count {
        let mut sim = Sim::new(seed);
        assert_eq!(sim.run(), Ok(()), "HEADWATER_SEED={seed}");
        (calls, sent) = (calls + sim.calls, sent + sim.sent);
    }
    println!("{sent} posts in {calls} calls");
}

#[test]
fn a_fleet_that_returns_at_once_sends_little_in_vain_and_makes_few_calls() {
    for trip in [5, 100] {
        // Given a quarter of the fleet and of the shards of `bench/fleet`: each board's part of them is the same
        let plan = Plan {
            boards: 250,
            shards: 4,
            records: 250.0,
            outage: SECOND * 120,
            trip: SECOND * trip / 1000,
            seed: 1,
        };
        let mut fleet = Fleet::new(plan);
        // When the network is back for all of them after two minutes
        fleet.run();
        // Then the last board is done soon after the mean, and all of them hardly later than the shards allow
        let done = fleet.done().map(|done| done.expect("a board that is done"));
        let done: Vec<_> = done.map(|done| done.as_secs_f64()).collect();
        let slowest = done.iter().copied().fold(0.0, f64::max);
        let mean = done.iter().sum::<f64>() / done.len() as f64;
        let least = plan.least().as_secs_f64();
        // And of what they send few records are refused, and never are there many more calls than usual
        let sum = |count: fn(&fleet::Second) -> u32| fleet.online().map(count).sum::<u32>();
        let accepted = f64::from(sum(|second| second.accepted));
        let sent = 1.0 + f64::from(sum(|second| second.refused)) / accepted;
        let calls = fleet.online().map(|second| f64::from(second.calls));
        let worst = calls.fold(0.0, f64::max) / f64::from(plan.boards);
        let case = format!(
            "{trip} ms: sent {sent:.2}, worst second {worst:.2}, slowest {:.2} of the least and {:.2} of the mean",
            slowest / least,
            slowest / mean
        );
        println!("{case}");
        assert!(slowest < 1.35 * least && slowest < 1.5 * mean, "{case}");
        assert!(sent < 1.6 && worst < 3.0, "{case}");
    }
}
