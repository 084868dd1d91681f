//! What of Jetstream is believed: a server that only pings, an event of the future, a first event after a long time.

mod support;

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use support::jetstream::*;
use support::source::*;

use headwater::platform::time::TestClock;
use headwater::source::Feed;
use headwater::source::jetstream::Jetstream;
use testkit::wait_until;
use tungstenite::Message;

const MINUTE_US: u64 = 60_000_000;

/// A clock that is set, and what it shows in µs since 1970.
fn set_clock() -> (Arc<TestClock>, u64) {
    let now = SystemTime::now();
    let now_us = now.duration_since(UNIX_EPOCH).unwrap().as_micros();
    (Arc::new(TestClock::at(now)), now_us as u64)
}

/// A server that gives one post about pizza, and then pings as often as it is told to, and answers each time that it did.
fn pinging(time_us: u64) -> (JetstreamServer, Sender<()>, Receiver<()>) {
    let (tell, told) = channel::<()>();
    let (say, said) = channel();
    let told = Mutex::new(told);
    let server = JetstreamServer::start(move |_, _, socket| {
        send(socket, event(time_us, "pizza"));
        while told.lock().unwrap().recv().is_ok() {
            if socket.send(Message::Ping("alive".into())).is_err() || socket.read().is_err() {
                break;
            }
            // The answer to the ping is here.
            let _ = say.send(());
        }
        wait_for_close(socket);
    });
    (server, tell, said)
}

#[test]
fn a_host_that_pings_and_has_no_events_gives_way_to_the_next() {
    // Given a host that has had one event, and another that has more
    let (clock, now_us) = set_clock();
    let (silent, ping, pinged) = pinging(now_us);
    let other = JetstreamServer::start(move |_, _, socket| {
        send(socket, event(now_us + 1, "more pizza"));
        wait_for_close(socket);
    });
    let feed = feed(clock.clone(), None);
    let running = Running::start(Jetstream::new(settings(&[&silent, &other])), &feed);
    wait_until("a post is read", || records(&feed).len() == 1);

    // When it only pings for two minutes
    for _ in 0..3 {
        clock.advance(Duration::from_secs(30));
        ping.send(()).unwrap();
        pinged.recv().unwrap();
    }
    assert_eq!(records(&feed).len(), 1, "half a minute is left");
    clock.advance(Duration::from_secs(35));
    ping.send(()).unwrap();

    // Then the other host is read, and the trouble was told
    wait_until("another post is read", || records(&feed).len() == 2);
    let (_, trouble) = feed
        .counters
        .source
        .current_trouble(Duration::ZERO)
        .unwrap();
    assert!(trouble.contains("has sent no event for 2 min"), "{trouble}");
    drop(ping);
    running.stop().unwrap();
}

#[test]
fn the_only_host_is_kept_and_its_silence_told() {
    let (clock, now_us) = set_clock();
    let (server, ping, pinged) = pinging(now_us);
    let feed = feed(clock.clone(), None);
    let running = Running::start(Jetstream::new(settings(&[&server])), &feed);
    wait_until("a post is read", || records(&feed).len() == 1);
    for _ in 0..5 {
        clock.advance(Duration::from_secs(30));
        ping.send(()).unwrap();
        pinged.recv().unwrap();
    }
    let trouble = || feed.counters.source.current_trouble(Duration::ZERO);
    wait_until("the silence is told", || trouble().is_some());
    assert_eq!(server.asked().len(), 1);
    drop(ping);
    running.stop().unwrap();
}

/// Reads these events about pizza, and gives the cursor that the next connection asks for.
fn cursor_after(feed: &Feed, times_us: Vec<u64>) -> u64 {
    let count = times_us.len();
    let server = JetstreamServer::start(move |nth, _, socket| {
        if nth == 0 {
            for time_us in &times_us {
                send(socket, event(*time_us, "pizza"));
            }
        } else {
            wait_for_close(socket);
        }
    });
    let running = Running::start(Jetstream::new(settings(&[&server])), feed);
    wait_until("it connects again", || server.asked().len() == 2);
    running.stop().unwrap();
    assert_eq!(records(feed).len(), count, "none is left out");
    let asked = server.asked();
    let (_, cursor) = asked[1].split_once("cursor=").unwrap();
    cursor.parse().unwrap()
}

#[test]
fn an_event_of_the_future_does_not_move_the_cursor() {
    let ten_years = 10 * 365 * 24 * 60 * MINUTE_US;
    // Given a clock that is set, or not
    let (set, now_us) = set_clock();
    let unset = Arc::new(TestClock::at(UNIX_EPOCH));
    for clock in [set, unset] {
        // When an event lies ten years ahead, between others
        let times = [0, 1, ten_years, 2, 3].map(|ahead| now_us + ahead);
        let cursor = cursor_after(&feed(clock, None), times.to_vec());

        // Then the cursor is that of the last of the others, and its rewind
        assert_eq!(cursor, now_us + 3 - 5_000_000);
    }
}

#[test]
fn a_cursor_of_the_future_is_forgotten() {
    let (clock, now_us) = set_clock();
    let feed = feed(clock, None);
    feed.state.set("jetstream.cursor", now_us + 60 * MINUTE_US);
    let server = JetstreamServer::start(|_, _, socket| wait_for_close(socket));
    let running = Running::start(Jetstream::new(settings(&[&server])), &feed);
    wait_until("it connects", || !server.asked().is_empty());
    running.stop().unwrap();
    assert!(
        !server.asked()[0].contains("cursor"),
        "{:?}",
        server.asked()
    );
}

#[test]
fn an_outage_longer_than_the_server_remembers_is_told_and_counted() {
    // Given a program that was away for three days
    let (clock, now_us) = set_clock();
    let feed = feed(clock, None);
    let last_us = now_us - 3 * 24 * 60 * MINUTE_US;
    feed.state.set("jetstream.cursor", last_us);
    let first_us = now_us - 36 * 60 * MINUTE_US;
    let server = JetstreamServer::start(move |_, _, socket| {
        send(socket, event(first_us, "pizza"));
        wait_for_close(socket);
    });

    // When the server has no more than its 36 hours
    let running = Running::start(Jetstream::new(settings(&[&server])), &feed);
    wait_until("a post is read", || records(&feed).len() == 1);
    running.stop().unwrap();

    // Then the rest is counted, from when to when, and the source is said to lag
    let missed = &feed.counters.missed;
    assert_eq!(missed.gaps.get(), 1);
    assert_eq!(missed.from_ms.get() as u64, last_us / 1000);
    assert_eq!(missed.until_ms.get() as u64, first_us / 1000);
    assert_eq!(missed.ms.get(), (first_us - last_us) / 1000);
    let lag_h = feed.counters.source_lag_ms.get() / 3_600_000;
    assert_eq!(lag_h, 36);
}
