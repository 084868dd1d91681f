//! What the search may cost: a gap against the posts of a day.

mod support;

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use support::gap::*;
use support::posts::write;

use headwater::source::Feed;
use headwater::source::x::Settings;
use testkit::wait_until;
use testkit::x_api;

#[test]
fn a_gap_leaves_half_of_the_day_to_the_stream() {
    // Given a limit of 60 posts a day, of which one is read, and a gap of 50
    let (api, feed) = (x_api(x_api::Settings::default()), a_feed());
    let limited = || Settings {
        max_per_day: NonZeroU64::new(60),
        ..settings(&api)
    };
    let mut written = 0;
    let running = start(limited(), &feed);
    is_open(&api);
    write(&api, &mut written, 1);
    wait_until("a post is read", || read(&feed).len() == 1);
    running.stop().unwrap();
    wait_until("the stream is closed", || !api.is_streaming());
    write(&api, &mut written, 50);

    // When it is filled, and live posts come
    let running = start(limited(), &feed);
    is_open(&api);
    wait_until("a page is read", || read(&feed).len() == 30);
    write(&api, &mut written, 29);

    // Then half of the day was the gap's at most, the rest is the stream's, and the gap waits
    wait_until("the live posts are read", || read(&feed).len() == 59);
    assert_eq!(feed.counters.late.get(), 29);
    assert_eq!(feed.counters.open_gaps.get(), 1);
    assert_eq!(api.searches().len(), 1);
    running.stop().unwrap();
    wait_until("the stream is closed", || !api.is_streaming());

    // And on the next day it goes on
    let tomorrow = SystemTime::now() + Duration::from_secs(24 * 60 * 60);
    let next_day = Feed {
        clock: Arc::new(headwater::platform::time::TestClock::at(tomorrow)),
        ..feed.clone()
    };
    let running = start(limited(), &next_day);
    wait_until("the rest is read", || has_all(&feed, &api));
    running.stop().unwrap();
}

#[test]
fn a_limit_too_small_for_a_page_gives_gaps_up() {
    let (api, feed) = (x_api(x_api::Settings::default()), a_feed());
    away(&api, &feed, 5);
    let small = Settings {
        max_per_day: NonZeroU64::new(19),
        ..settings(&api)
    };
    let running = start(small, &feed);
    wait_until("the gap is given up", || {
        feed.counters.missed.gaps.get() == 1
    });
    running.stop().unwrap();
    assert!(api.searches().is_empty());
}

#[test]
fn what_a_full_day_left_unread_is_no_gap() {
    // Given a day that is full after two posts
    let (api, feed) = (x_api(x_api::Settings::default()), a_feed());
    let full = Settings {
        max_per_day: NonZeroU64::new(40),
        ..settings(&api)
    };
    let mut written = 0;
    let running = start(full, &feed);
    is_open(&api);
    write(&api, &mut written, 40);
    wait_until("the day is full", || read(&feed).len() == 40);
    wait_until("the stream is closed", || !api.is_streaming());
    running.stop().unwrap();
    write(&api, &mut written, 10);

    // When reading goes on
    let running = start(settings(&api), &feed);
    is_open(&api);
    write(&api, &mut written, 1);
    wait_until("a post is read", || read(&feed).len() == 41);
    running.stop().unwrap();
    assert_eq!(feed.counters.open_gaps.get(), 0);
    assert!(api.searches().is_empty());
}
