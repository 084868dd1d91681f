//! Gaps of X's stream: the simulated X, and a source that was away.

use std::sync::Arc;
use std::time::Duration;

use super::posts::{ids, write};
use super::source::{Running, feed, records};
use super::x;

use headwater::net::endpoint::Endpoint;
use headwater::platform::time::SystemClock;
use headwater::source::Feed;
use headwater::source::x::{Auth, Settings, X};
use testkit::wait_until;
use testkit::x_api::{self, BEARER_TOKEN, XApi};

/// X, whose search finds what was written just now.
pub fn x_api(settings: x_api::Settings) -> XApi {
    XApi::start(x_api::Settings {
        keep_alive: Duration::from_millis(100),
        search_delay: Duration::ZERO,
        ..settings
    })
    .unwrap()
}

/// Reads from `api`, and fills gaps.
pub fn settings(api: &XApi) -> Settings {
    Settings {
        auth: Auth::Bearer(BEARER_TOKEN.to_owned()),
        gap_at_most: Some(Duration::from_secs(7 * 24 * 60 * 60)),
        ..x::settings(Endpoint::parse(&api.url(), false).unwrap())
    }
}

pub fn real_time(feed: Feed) -> Feed {
    Feed {
        clock: Arc::new(SystemClock::default()),
        ..feed
    }
}

pub fn a_feed() -> Feed {
    real_time(feed(Arc::default(), None))
}

pub fn lines(feed: &Feed) -> Vec<String> {
    records(feed).into_iter().map(|(_, line)| line).collect()
}

/// The ids read so far, each as often as it was.
pub fn read(feed: &Feed) -> Vec<u64> {
    ids(&lines(feed))
}

/// Whether every post of `api` was read.
pub fn has_all(feed: &Feed, api: &XApi) -> bool {
    let read = read(feed);
    api.posted().iter().all(|post| read.contains(&post.id))
}

pub fn is_open(api: &XApi) {
    wait_until("the stream is open", || api.is_streaming());
}

/// Reads with `settings`, as a program that was started again.
pub fn start(settings: Settings, feed: &Feed) -> Running {
    let again = Feed {
        stop: Arc::default(),
        ..feed.clone()
    };
    Running::start(X::new(settings), &again)
}

/// Reads one post, ends, and is away while so many more are written.
pub fn away(api: &XApi, feed: &Feed, missed: usize) {
    let mut written = 0;
    let running = start(settings(api), feed);
    is_open(api);
    write(api, &mut written, 1);
    wait_until("a post is read", || read(feed).len() == 1);
    running.stop().unwrap();
    wait_until("the stream is closed", || !api.is_streaming());
    write(api, &mut written, missed);
}
