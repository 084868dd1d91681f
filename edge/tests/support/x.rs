//! A server that follows X's API.

use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::source::*;
use headwater::net::endpoint::Endpoint;
use headwater::net::roots::Roots;
use headwater::platform::time::TestClock;
use headwater::post::filter::Filter;
use headwater::source::Feed;
use headwater::source::x::{Auth, Settings, X};
use testkit::wait_until;
use testkit::web::{Web, begin_stream, chunk, wait_for_close};

/// Where tokens are got.
pub const TOKEN: &str = "/oauth2/token";
/// What that answers.
pub const A_TOKEN: &str = r#"{"token_type":"bearer","access_token":"AAAAtoken-of-the-tests%3D"}"#;
/// Where rules are listed and changed.
pub const RULES: &str = "/2/tweets/search/stream/rules";
/// What the stream's path begins with.
pub const STREAM: &str = "/2/tweets/search/stream?";
/// The list of rules that needs no change.
pub const OUR_RULE: &str =
    r#"{"data":[{"id":"1","value":"pizza","tag":"headwater:pizza"}],"meta":{"sent":"now"}}"#;

/// Reads posts about pizza from `endpoint`.
pub fn settings(endpoint: Endpoint) -> Settings {
    Settings {
        endpoint,
        auth: Auth::Consumer {
            key: "key".to_owned(),
            secret: "a-consumer-secret-of-the-tests".to_owned(),
        },
        filter: Filter::parse("pizza").unwrap(),
        retweets: true,
        gap_at_most: None,
        search_delay: Duration::ZERO,
        max_per_day: None,
        roots: Roots::default(),
    }
}

/// The line of one post that this program's rule brought.
pub fn post(id: usize) -> String {
    format!(
        r#"{{"data":{{"id":"{id}","text":"pizza","author_id":"98"}},"includes":{{"users":[{{"id":"98","username":"catperson"}}]}},"matching_rules":[{{"id":"1","tag":"headwater:pizza"}}]}}"#
    )
}

/// A server that gives a token, has the rule, and leaves the stream's `nth` opening, counted from
/// 0, to `stream`.
pub fn x_server(stream: impl Fn(usize, &mut TcpStream) -> bool + Send + Sync + 'static) -> Web {
    let opened = AtomicUsize::new(0);
    Web::start(move |request, connection| match request.target.as_str() {
        TOKEN => answer(connection, 200, "", A_TOKEN),
        RULES => answer(connection, 200, "", OUR_RULE),
        target if target.starts_with(STREAM) => {
            stream(opened.fetch_add(1, Ordering::Relaxed), connection)
        }
        _ => answer(connection, 404, "", ""),
    })
}

/// Runs against a stream that answers its `nth` opening with `answers[nth]`, then serves one post;
/// returns the feed, its clock and the server once that post is read.
pub fn read_after(answers: &'static [(u16, &str, &str)]) -> (Feed, Arc<TestClock>, Web) {
    let server = x_server(move |nth, connection| match answers.get(nth) {
        Some((status, headers, body)) => answer(connection, *status, headers, body),
        None => serve_posts(connection, &[1]),
    });
    let clock: Arc<TestClock> = Arc::default();
    let feed = feed(clock.clone(), None);
    let running = Running::start(X::new(settings(endpoint(&server))), &feed);
    wait_until("a post is read", || records(&feed).len() == 1);
    running.stop().unwrap();
    (feed, clock, server)
}

/// A stream that gives these posts and stays open.
pub fn serve_posts(connection: &mut TcpStream, ids: &[usize]) -> bool {
    begin_stream(connection);
    for id in ids {
        chunk(connection, format!("{}\r\n", post(*id)).as_bytes());
    }
    wait_for_close(connection);
    false
}

/// Pauses in seconds.
pub fn secs(secs: &[f64]) -> Vec<Duration> {
    secs.iter().copied().map(Duration::from_secs_f64).collect()
}
