//! Links of every kind, simulated: what a run of minutes does takes a millisecond.

use proptest::prelude::*;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// A post, in bytes on the wire.
const POST: usize = 930;

/// What a new connection costs: bytes out, and round trips.
const HELLO: usize = 700;
const HELLO_TRIPS: u32 = 2;

/// A way to the server.
#[derive(Clone, Copy, Debug)]
struct Link {
    rate: f64,
    trip: Duration,
    /// Every connection is cut after so many bytes.
    cut_bytes: Option<usize>,
    /// Every connection is cut after so much time.
    cut_time: Option<Duration>,
}

#[derive(Debug, Default)]
struct Run {
    took: Duration,
    arrived: usize,
    /// Posts that were sent again.
    again: usize,
    calls: usize,
    broken: usize,
    connections: usize,
    largest: usize,
}

impl Link {
    fn new(rate: f64, trip_ms: u64) -> Self {
        Self {
            rate,
            trip: Duration::from_millis(trip_ms),
            cut_bytes: None,
            cut_time: None,
        }
    }

    /// Sends `posts` in calls of at most 500, for at most `patience`.
    fn drain(self, posts: usize, patience: Duration) -> Run {
        let (mut flow, mut run) = (Flow::default(), Run::default());
        let mut connection: Option<(Life, Duration)> = None;
        while run.arrived < posts && run.took < patience {
            if let Some((life, _)) = connection
                && flow.renew_connection(life)
            {
                flow.renewed(life);
                connection = None;
            }
            let (mut life, opened) = connection.take().unwrap_or_else(|| {
                run.connections += 1;
                let opened = run.took;
                run.took += self.trip * HELLO_TRIPS + self.time_of(HELLO);
                let time = run.took - opened;
                flow.opened(time);
                (Life { bytes: HELLO, time }, opened)
            });
            let count = (flow.call_bytes(life) / POST).clamp(1, 500.min(posts - run.arrived));
            let bytes = count * POST;
            run.calls += 1;
            run.largest = run.largest.max(count);
            let left = self
                .cut_bytes
                .map_or(usize::MAX, |cut| cut.saturating_sub(life.bytes));
            let time_left = self
                .cut_time
                .map_or(Duration::MAX, |cut| cut.saturating_sub(life.time));
            let leaving = self.time_of(bytes.min(left));
            let took = leaving + self.trip;
            if left < bytes || time_left < took {
                let lasted = leaving.min(time_left);
                life.bytes += to_usize(lasted.as_secs_f64() * self.rate).min(bytes);
                run.took += lasted + SECOND / 10;
                life.time = run.took - opened;
                flow.broke(bytes, life);
                run.broken += 1;
                run.again += count;
                continue;
            }
            run.took += took;
            run.arrived += count;
            life = Life {
                bytes: life.bytes + bytes,
                time: run.took - opened,
            };
            flow.succeeded(bytes, took, life);
            connection = Some((life, opened));
        }
        run
    }

    fn time_of(self, bytes: usize) -> Duration {
        Duration::from_secs_f64(to_f64(bytes) / self.rate)
    }
}

#[test]
fn a_link_that_cuts_connections_drains_and_little_is_sent_again() {
    let cut_bytes = |bytes| Link {
        cut_bytes: Some(bytes),
        ..Link::new(50_000.0, 100)
    };
    let slow = Link {
        cut_time: Some(SECOND * 5),
        ..Link::new(5_000.0, 200)
    };
    for (name, link, most_s) in [
        ("after 150 KB", cut_bytes(150_000), 90),
        ("after 30 KB", cut_bytes(30_000), 130),
        ("after 8 KB", cut_bytes(8_000), 400),
        ("after one post", cut_bytes(HELLO + POST + 50), 2500),
        ("after 5 s", slow, 1000),
    ] {
        let run = link.drain(3000, SECOND * most_s);
        assert_eq!(run.arrived, 3000, "{name}: {run:?}");
        assert!(run.again <= 150, "{name}: {run:?}");
    }
}

#[test]
fn a_good_link_is_used_nearly_whole() {
    for (name, link, posts, share) in [
        ("a wire", Link::new(10e6, 5), 20_000, 0.8),
        ("3G", Link::new(100_000.0, 300), 3_000, 0.86),
        ("a satellite", Link::new(64_000.0, 1400), 3_000, 0.7),
        ("40 kbit/s", Link::new(5_000.0, 300), 500, 0.85),
    ] {
        let run = link.drain(posts, SECOND * 1000);
        let ideal = link.time_of(posts * POST);
        assert_eq!(
            (run.arrived, run.again, run.connections),
            (posts, 0, 1),
            "{name}: {run:?}"
        );
        assert!(
            run.took.mul_f64(share) < ideal,
            "{name}: {run:?}, at best {ideal:?}"
        );
    }
}

#[test]
fn a_fast_way_is_at_the_limit_of_a_call_before_long_and_a_slow_one_never_takes_long() {
    assert_eq!(Link::new(10e6, 5).drain(3_000, SECOND * 9).largest, 500);
    let mut flow = Flow::default();
    let link = Link::new(5_000.0, 300);
    let mut life = Life::default();
    for _ in 0..20 {
        let bytes = flow.call_bytes(life);
        let took = link.time_of(bytes) + link.trip;
        assert!(took < SECOND * 6, "{bytes} bytes in {took:?}");
        life = Life {
            bytes: life.bytes + bytes,
            time: life.time + took,
        };
        flow.succeeded(bytes, took, life);
    }
}

#[test]
fn a_connection_that_breaks_once_is_no_rule() {
    // Given a good link, on which one connection broke
    let mut flow = Flow::default();
    let life = |bytes, seconds| Life {
        bytes,
        time: SECOND * seconds,
    };
    flow.broke(FIRST, life(100_000, 10));
    assert_eq!(flow.call_bytes(Life::default()), FIRST / 2);
    assert!(flow.renew_connection(life(90_000, 1)) && flow.renew_connection(life(9, 9)));
    assert!(!flow.renew_connection(life(9, 1)));
    // When a few were replaced, then one is tried further, in small calls
    for _ in 0..4 {
        flow.renewed(life(80_000, 8));
    }
    assert!(!flow.renew_connection(life(90_000, 9)));
    assert!(flow.call_bytes(life(90_000, 9)) <= 100_000 / 16);
    // And when it passes the place, then there is no limit any more
    flow.succeeded(6_000, SECOND / 10, life(131_000, 14));
    assert!(!flow.renew_connection(life(90_000, 9)) && !flow.renew_connection(life(1 << 30, 9999)));
}

#[test]
fn a_connection_that_is_cut_when_idle_is_replaced_before() {
    // Given one post a minute, and a network that forgets a connection after some ten minutes
    let mut flow = Flow::default();
    let life = |minutes| Life {
        bytes: POST * minutes as usize,
        time: SECOND * 60 * minutes,
    };
    for minute in 1..10 {
        flow.succeeded(POST, SECOND / 5, life(minute));
    }
    flow.broke(POST, life(10));
    // Then the next ones are replaced earlier
    assert!(!flow.renew_connection(life(5)) && flow.renew_connection(life(8)));
}

#[test]
fn a_small_call_says_nothing_of_what_the_way_can_carry() {
    let mut flow = Flow::default();
    for _ in 0..100 {
        flow.succeeded(POST, SECOND / 5, Life::default());
    }
    assert_eq!(flow.call_bytes(Life::default()), FIRST);
    assert_eq!(flow.rate(), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(target_arch = "arm") { 20 } else { 500 }))]

    /// Over any link that lets single posts through, the queue drains; and what is sent again stays little beside what arrives.
    #[test]
    fn every_link_drains(
        rate in 2_000.0..2e6f64,
        trip_ms in 1..1500u64,
        cut_bytes in proptest::option::of(HELLO + 2 * POST..1_000_000),
        cut_s in proptest::option::of(1.0..100.0f64),
    ) {
        let mut link = Link { cut_bytes, ..Link::new(rate, trip_ms) };
        let one_post = link.trip * (HELLO_TRIPS + 1) + link.time_of(HELLO + POST);
        link.cut_time = cut_s.map(|seconds| one_post.mul_f64(1.5).max(SECOND.mul_f64(seconds)));
        let run = link.drain(5000, SECOND * 10_000_000);
        prop_assert_eq!(run.arrived, 5000, "{:?}", run);
        prop_assert!(run.again <= 1000, "{:?}", run);
        prop_assert!(run.calls - run.broken <= 5000);
    }

    /// Whatever is told, the next call is of a size that can be.
    #[test]
    fn no_history_leads_nowhere(
        steps in proptest::collection::vec((any::<bool>(), 0..usize::MAX, 0..u64::MAX / 2_000_000, 0..usize::MAX, any::<u32>()), 0..60),
    ) {
        let mut flow = Flow::default();
        for (well, bytes, took_ms, carried, seconds) in steps {
            let life = Life { bytes: carried, time: Duration::from_secs(seconds.into()) };
            if well {
                flow.succeeded(bytes, Duration::from_millis(took_ms), life);
            } else {
                flow.broke(bytes, life);
            }
            let next = flow.call_bytes(Life::default());
            prop_assert!((LEAST..=MOST).contains(&next), "{}", next);
            flow.renewed(life);
        }
    }
}
