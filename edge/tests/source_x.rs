//! The filtered stream of X, read over real sockets from a server that follows its API.

mod source_support;

use std::net::TcpStream;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use headwater::filter::Filter;
use headwater::http::{Endpoint, Roots};
use headwater::source::Feed;
use headwater::source::x::{Auth, Settings, X};
use headwater::time::{Clock, Stop};
use source_support::*;

const TOKEN: &str = "/oauth2/token";
const RULES: &str = "/2/tweets/search/stream/rules";
const STREAM: &str = "/2/tweets/search/stream?";
const OUR_RULE: &str =
    r#"{"data":[{"id":"1","value":"pizza","tag":"headwater:pizza"}],"meta":{"sent":"now"}}"#;

fn settings(endpoint: Endpoint) -> Settings {
    Settings {
        endpoint,
        auth: Auth::Consumer {
            key: "key".to_owned(),
            secret: "secret".to_owned(),
        },
        filter: Filter::parse("pizza").unwrap(),
        max_per_day: None,
        roots: Roots::default(),
    }
}

fn post(id: usize) -> String {
    format!(
        r#"{{"data":{{"id":"{id}","text":"pizza","author_id":"98"}},"includes":{{"users":[{{"id":"98","username":"catperson"}}]}},"matching_rules":[{{"id":"1","tag":"headwater:pizza"}}]}}"#
    )
}

/// A server that gives a token, has the rule, and leaves the stream's `nth` opening, counted from 0, to `stream`.
fn x_server(stream: impl Fn(usize, &mut TcpStream) -> bool + Send + Sync + 'static) -> Server {
    let opened = AtomicUsize::new(0);
    Server::start(move |request, connection| match request.target.as_str() {
        TOKEN => answer(
            connection,
            200,
            "",
            r#"{"token_type":"bearer","access_token":"AAAA%3D"}"#,
        ),
        RULES => answer(connection, 200, "", OUR_RULE),
        target if target.starts_with(STREAM) => {
            stream(opened.fetch_add(1, Ordering::Relaxed), connection)
        }
        _ => answer(connection, 404, "", ""),
    })
}

#[test]
fn posts_arrive_as_x_sent_them_under_their_authors_name() {
    // Given a stream with a keep-alive and two posts
    let server = x_server(|_, connection| {
        begin_stream(connection);
        chunk(connection, b"\r\n");
        chunk(
            connection,
            format!("{}\r\n{}\r\n", post(1), post(2)).as_bytes(),
        );
        wait_for_close(connection);
        false
    });
    let feed = feed(Arc::default(), None);

    // When it is read
    let running = Running::start(X::new(settings(server.endpoint())), &feed);
    wait_until("two posts are read", || records(&feed).len() == 2);

    // Then both lines are there, and X was asked as it wants to be
    let expected = [1, 2].map(|id| ("catperson".to_owned(), post(id)));
    assert_eq!(records(&feed), expected);
    let token = server.wait_for(1, TOKEN);
    assert_eq!(token.headers["authorization"], "Basic a2V5OnNlY3JldA==");
    assert_eq!(token.body, "grant_type=client_credentials");
    let stream = server.wait_for(1, STREAM);
    assert_eq!(stream.headers["authorization"], "Bearer AAAA%3D");
    assert!(stream.headers["user-agent"].starts_with("headwater/"));
    assert!(!stream.headers.contains_key("accept-encoding"));
    running.stop().unwrap();
}

/// Runs against a stream that answers its `nth` opening with `answers[nth]`, then serves one post; returns the feed, its clock
/// and the server once that post is read.
fn read_after(answers: &'static [(u16, &str, &str)]) -> (Feed, Arc<TestClock>, Server) {
    let server = x_server(move |nth, connection| match answers.get(nth) {
        Some((status, headers, body)) => answer(connection, *status, headers, body),
        None => serve_posts(connection, &[1]),
    });
    let clock: Arc<TestClock> = Arc::default();
    let feed = feed(clock.clone(), None);
    let running = Running::start(X::new(settings(server.endpoint())), &feed);
    wait_until("a post is read", || records(&feed).len() == 1);
    running.stop().unwrap();
    (feed, clock, server)
}

/// A stream that gives these posts and stays open.
fn serve_posts(connection: &mut TcpStream, ids: &[usize]) -> bool {
    begin_stream(connection);
    for id in ids {
        chunk(connection, format!("{}\r\n", post(*id)).as_bytes());
    }
    wait_for_close(connection);
    false
}

fn secs(secs: &[f64]) -> Vec<Duration> {
    secs.iter().copied().map(Duration::from_secs_f64).collect()
}

#[test]
fn a_busy_server_is_asked_again_from_5_s_doubling() {
    let (_, clock, _) = read_after(&[
        (503, "", ""),
        (502, "", "<html>"),
        (500, "", ""),
        (504, "", ""),
    ]);
    assert_eq!(clock.sleeps(), secs(&[5.0, 10.0, 20.0, 40.0]));
}

#[test]
fn a_rate_limit_is_waited_out_as_the_server_says() {
    const BODY: &str = r#"{"errors":[{"code":88,"message":"Rate limit exceeded"}]}"#;
    let (_, clock, _) = read_after(&[
        // 100 s by the server's clock, whatever the board's says
        (
            429,
            "date: Thu, 15 Jan 2026 12:00:00 GMT\r\nx-rate-limit-reset: 1768478500\r\n",
            BODY,
        ),
        (429, "", BODY),
    ]);
    assert_eq!(clock.sleeps(), secs(&[101.0, 120.0]));
}

#[test]
fn a_connection_of_another_program_is_left_alone_and_waited_for() {
    const BODY: &str = r#"{"title":"ConnectionException","detail":"at the maximum allowed connection limit","connection_issue":"TooManyConnections","type":"https://api.x.com/2/problems/streaming-connection"}"#;
    let (_, clock, server) = read_after(&[(429, "", BODY), (429, "", BODY), (429, "", BODY)]);
    assert_eq!(clock.sleeps(), secs(&[60.0, 120.0, 240.0]));
    assert!(
        server
            .requests()
            .iter()
            .all(|request| request.method != "DELETE")
    );
}

#[test]
fn a_connection_this_program_left_behind_is_ended() {
    // Given a run that was killed while its connection was open
    let folder = tempfile::tempdir().unwrap();
    let state = feed(Arc::default(), Some(folder.path())).state;
    state.set("x.open", true);
    let server = x_server(|nth, connection| {
        if nth == 0 {
            let body = r#"{"connection_issue":"TooManyConnections"}"#;
            return answer(connection, 429, "", body);
        }
        serve_posts(connection, &[1])
    });

    // When the next run finds X still counting it
    let clock: Arc<TestClock> = Arc::default();
    let feed = feed(clock.clone(), Some(folder.path()));
    let running = Running::start(X::new(settings(server.endpoint())), &feed);
    wait_until("a post is read", || records(&feed).len() == 1);
    running.stop().unwrap();

    // Then it is ended, and a clean stop leaves nothing behind
    let deleted = server.wait_for(1, "/2/connections/all");
    assert_eq!(deleted.method, "DELETE");
    assert_eq!(clock.sleeps(), secs(&[5.0]));
    assert_eq!(feed.state.get("x.open"), Some(false));
}

#[test]
fn what_a_person_must_mend_is_retried_slowly() {
    let (_, clock, _) = read_after(&[
        (402, "", r#"{"title":"CreditsDepleted"}"#),
        (
            429,
            "",
            r#"{"title":"UsageCapExceeded","type":"https://api.x.com/2/problems/usage-capped"}"#,
        ),
        (
            403,
            "",
            r#"{"title":"Client Forbidden","type":"https://api.x.com/2/problems/client-forbidden"}"#,
        ),
    ]);
    assert_eq!(clock.sleeps(), secs(&[60.0, 120.0, 240.0]));
}

#[test]
fn a_token_that_ran_out_is_got_anew_at_once() {
    let (_, clock, server) = read_after(&[(401, "", r#"{"title":"Unauthorized"}"#)]);
    assert_eq!(clock.sleeps(), secs(&[]));
    server.wait_for(2, TOKEN);
}

#[test]
fn keys_that_are_wrong_are_told_and_tried_slowly() {
    // Given a server that takes the keys at the third attempt
    let asked = AtomicUsize::new(0);
    let server = Server::start(move |request, connection| match request.target.as_str() {
        TOKEN if asked.fetch_add(1, Ordering::Relaxed) < 2 => {
            let body = r#"{"errors":[{"code":99,"message":"Unable to verify your credentials"}]}"#;
            answer(connection, 403, "", body)
        }
        TOKEN => answer(connection, 200, "", r#"{"access_token":"AAAA"}"#),
        RULES => answer(connection, 200, "", OUR_RULE),
        _ => serve_posts(connection, &[1]),
    });
    let clock: Arc<TestClock> = Arc::default();
    let feed = feed(clock.clone(), None);
    let running = Running::start(X::new(settings(server.endpoint())), &feed);
    wait_until("a post is read", || records(&feed).len() == 1);
    running.stop().unwrap();
    assert_eq!(clock.sleeps(), secs(&[60.0, 120.0]));
}

#[test]
fn no_rules_yet_makes_the_rule_be_set_again() {
    let (_, _, server) = read_after(&[(409, "", "{}")]);
    assert_eq!(server.wait_for(2, RULES).method, "GET");
}

#[test]
fn a_message_of_disconnection_is_followed_by_a_new_connection_at_once() {
    let server = x_server(|nth, connection| {
        if nth > 0 {
            return serve_posts(connection, &[2]);
        }
        begin_stream(connection);
        chunk(connection, format!("{}\r\n", post(1)).as_bytes());
        let message = r#"{"errors":[{"title":"operational-disconnect","disconnect_type":"UpstreamOperationalDisconnect","detail":"for operational reasons"}]}"#;
        chunk(connection, format!("{message}\r\n").as_bytes());
        wait_for_close(connection);
        false
    });
    let clock: Arc<TestClock> = Arc::default();
    let feed = feed(clock.clone(), None);
    let running = Running::start(X::new(settings(server.endpoint())), &feed);
    wait_until("both posts are read", || records(&feed).len() == 2);
    running.stop().unwrap();
    assert_eq!(clock.sleeps(), secs(&[]));
    assert_eq!(feed.counters.reconnects.get(), 1);
}

#[test]
fn a_connection_cut_in_a_post_is_made_again_and_the_half_is_forgotten() {
    // Given connections that break, first at once, then a little later each time
    let server = x_server(|nth, connection| {
        if nth == 4 {
            return serve_posts(connection, &[1]);
        }
        begin_stream(connection);
        chunk(connection, &post(7).as_bytes()[..40]);
        false
    });
    let clock: Arc<TestClock> = Arc::default();
    let feed = feed(clock.clone(), None);
    let running = Running::start(X::new(settings(server.endpoint())), &feed);
    wait_until("a post is read", || records(&feed).len() == 1);
    running.stop().unwrap();
    assert_eq!(records(&feed)[0].1, post(1));
    assert_eq!(clock.sleeps(), secs(&[0.25, 0.5, 0.75]));
    assert_eq!(feed.counters.unusable.get(), 0);
}

#[test]
fn a_silent_stream_is_opened_again_within_25_s() {
    // Given a stream that gives one post and then nothing, not even a keep-alive
    let server = x_server(|nth, connection| serve_posts(connection, &[nth]));
    let clock: Arc<TestClock> = Arc::default();
    let feed = feed(clock.clone(), None);
    let running = Running::start(X::new(settings(server.endpoint())), &feed);
    wait_until("a post is read", || records(&feed).len() == 1);

    // When 25 s go by
    clock.advance(Duration::from_secs(25));

    // Then it is opened again, and no pause was added
    wait_until("another post is read", || records(&feed).len() == 2);
    assert_eq!(clock.sleeps(), secs(&[]));
    running.stop().unwrap();
}

#[test]
fn keep_alives_keep_a_stream_without_posts_open() {
    let (say, heard) = std::sync::mpsc::channel::<()>();
    let heard = std::sync::Mutex::new(heard);
    let server = x_server(move |nth, connection| {
        begin_stream(connection);
        chunk(connection, format!("{}\r\n", post(nth)).as_bytes());
        while heard.lock().unwrap().recv().is_ok() {
            chunk(connection, b"\r\n");
            chunk(connection, format!("{}\r\n", post(99)).as_bytes());
        }
        false
    });
    let clock: Arc<TestClock> = Arc::default();
    let feed = feed(clock.clone(), None);
    let running = Running::start(X::new(settings(server.endpoint())), &feed);
    wait_until("the stream is open", || records(&feed).len() == 1);
    for beats in 1..=10 {
        clock.advance(Duration::from_secs(19));
        say.send(()).unwrap();
        wait_until("the keep-alive is heard", || {
            records(&feed).len() == 1 + beats
        });
    }
    assert_eq!(feed.counters.reconnects.get(), 0);
    drop(say);
    running.stop().unwrap();
}

#[test]
fn rules_of_earlier_keywords_go_and_those_of_others_stay() {
    // Given rules of an earlier run, of someone else, and this one's with another value
    let rules = r#"{"data":[{"id":"1","value":"pasta","tag":"headwater:pasta"},{"id":"2","value":"cats","tag":"theirs"},{"id":"3","value":"dogs"},{"id":"4","value":"pizza -is:retweet","tag":"headwater:pizza"}],"meta":{}}"#;
    let server = Server::start(move |request, connection| match request.target.as_str() {
        TOKEN => answer(connection, 200, "", r#"{"access_token":"AAAA"}"#),
        RULES if request.method == "GET" => answer(connection, 200, "", rules),
        RULES => answer(connection, 201, "", r#"{"meta":{"summary":{"created":1}}}"#),
        _ => serve_posts(connection, &[1]),
    });
    let feed = feed(Arc::default(), None);
    let running = Running::start(X::new(settings(server.endpoint())), &feed);
    wait_until("a post is read", || records(&feed).len() == 1);
    running.stop().unwrap();
    assert_eq!(
        server.wait_for(2, RULES).body,
        r#"{"delete":{"ids":["1","4"]}}"#
    );
    assert_eq!(
        server.wait_for(3, RULES).body,
        r#"{"add":[{"tag":"headwater:pizza","value":"pizza"}]}"#
    );
}

#[test]
fn a_rule_that_is_there_is_a_success_and_one_that_is_wrong_is_told() {
    // Given a server that calls the rule a duplicate, or wrong the first time
    let wrong = r#"{"errors":[{"title":"UnprocessableEntity","value":"pizza","details":["no viable alternative"]}]}"#;
    let duplicate = r#"{"meta":{"summary":{"created":0,"not_created":1}},"errors":[{"value":"pizza","id":"1","title":"DuplicateRule"}]}"#;
    for (answers, expected_sleeps) in [
        ([duplicate, duplicate], vec![]),
        ([wrong, duplicate], secs(&[60.0])),
    ] {
        let added = AtomicUsize::new(0);
        let server = Server::start(move |request, connection| match request.target.as_str() {
            TOKEN => answer(connection, 200, "", r#"{"access_token":"AAAA"}"#),
            RULES if request.method == "GET" => {
                answer(connection, 200, "", r#"{"meta":{"sent":"now"}}"#)
            }
            RULES => answer(
                connection,
                201,
                "",
                answers[added.fetch_add(1, Ordering::Relaxed)],
            ),
            _ => serve_posts(connection, &[1]),
        });
        let clock: Arc<TestClock> = Arc::default();
        let feed = feed(clock.clone(), None);
        let running = Running::start(X::new(settings(server.endpoint())), &feed);
        wait_until("a post is read", || records(&feed).len() == 1);
        running.stop().unwrap();
        assert_eq!(clock.sleeps(), expected_sleeps);
    }
}

#[test]
fn the_pauses_go_on_where_they_were_after_a_restart() {
    // Given a run that was stopped in the pause after its third server error
    let folder = tempfile::tempdir().unwrap();
    let server = x_server(|nth, connection| match nth {
        0..4 => answer(connection, 503, "", ""),
        _ => serve_posts(connection, &[1]),
    });
    let stopping: Arc<StopAtPause> = Arc::new(StopAtPause {
        pause: Duration::from_secs(20),
        ..StopAtPause::default()
    });
    let first = Feed {
        clock: stopping.clone(),
        ..feed(Arc::default(), Some(folder.path()))
    };
    Running::start(X::new(settings(server.endpoint())), &first)
        .end()
        .unwrap();

    // When it is started again 8 s into that pause
    let clock: Arc<TestClock> = Arc::default();
    clock.advance(stopping.clock.elapsed() + Duration::from_secs(8));
    let second = feed(clock.clone(), Some(folder.path()));
    let running = Running::start(X::new(settings(server.endpoint())), &second);
    wait_until("a post is read", || records(&second).len() == 1);
    running.stop().unwrap();

    // Then it waits the rest, and the next pause is the fourth
    assert_eq!(clock.sleeps(), secs(&[12.0, 40.0]));
}

/// A clock whose sleeper is stopped as soon as it begins a certain pause.
#[derive(Debug, Default)]
struct StopAtPause {
    clock: TestClock,
    pause: Duration,
}

impl Clock for StopAtPause {
    fn wall(&self) -> SystemTime {
        self.clock.wall()
    }

    fn elapsed(&self) -> Duration {
        self.clock.elapsed()
    }

    fn sleep(&self, pause: Duration, stop: &Stop) -> bool {
        if pause == self.pause {
            stop.ask();
            return true;
        }
        self.clock.sleep(pause, stop)
    }
}

#[test]
fn a_program_that_crashes_and_is_started_again_is_slowed_down() {
    let folder = tempfile::tempdir().unwrap();
    let server = x_server(|nth, connection| serve_posts(connection, &[nth]));
    let mut pauses = Vec::new();
    for crash in 0..5 {
        // A crash leaves the state as it is: this run's goes on in a folder that the next one does not see.
        let run = folder.path().join(crash.to_string());
        std::fs::create_dir(&run).unwrap();
        if crash > 0 {
            let before = folder.path().join((crash - 1).to_string()).join("crashed");
            std::fs::copy(before, run.join("state")).unwrap();
        }
        let clock: Arc<TestClock> = Arc::default();
        let feed = feed(clock.clone(), Some(&run));
        let running = Running::start(X::new(settings(server.endpoint())), &feed);
        wait_until("a post is read", || records(&feed).len() == 1);
        std::fs::copy(run.join("state"), run.join("crashed")).unwrap();
        running.stop().unwrap();
        pauses.extend(clock.sleeps());
    }
    assert_eq!(pauses, secs(&[0.25, 0.5, 0.75]));
}

#[test]
fn the_posts_of_a_day_are_limited_and_counted_across_a_restart() {
    // Given a limit of three a day, and streams with plenty
    let folder = tempfile::tempdir().unwrap();
    let server = x_server(|_, connection| serve_posts(connection, &[1, 2, 3, 4, 5]));
    let limited = || Settings {
        max_per_day: NonZeroU64::new(3),
        ..settings(server.endpoint())
    };
    let midnight = Duration::from_secs(86_400 - WALL_START_SECS % 86_400);

    // When two runs read on one day and the next
    let clock: Arc<TestClock> = Arc::default();
    let feed = feed(clock.clone(), Some(folder.path()));
    let running = Running::start(X::new(limited()), &feed);
    wait_until("the next day's posts are read", || {
        records(&feed).len() >= 6
    });
    running.stop().unwrap();

    // Then three were read before midnight by UTC, and nothing until then
    let looks = midnight.as_secs().div_ceil(600) as usize;
    let waited: Duration = clock.sleeps().iter().take(looks).sum();
    assert_eq!(waited, midnight);
    let today = (WALL_START_SECS + clock.elapsed().as_secs()) / 86_400;
    let (day, posts) = feed
        .state
        .get::<String>("x.day")
        .unwrap()
        .split_once(' ')
        .map(|(day, posts)| (day.parse::<u64>().unwrap(), posts.parse::<u64>().unwrap()))
        .unwrap();
    assert!(
        (today - 1..=today).contains(&day) && posts <= 3,
        "{day} {posts}"
    );
}

#[test]
fn a_full_day_stays_full_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let server = x_server(|_, connection| serve_posts(connection, &[1]));
    let state = feed(Arc::default(), Some(folder.path())).state;
    state.set("x.day", format!("{} 3", WALL_START_SECS / 86_400));
    let clock: Arc<TestClock> = Arc::default();
    let feed = feed(clock.clone(), Some(folder.path()));
    let limited = Settings {
        max_per_day: NonZeroU64::new(3),
        ..settings(server.endpoint())
    };
    let running = Running::start(X::new(limited), &feed);
    wait_until("a post is read", || records(&feed).len() == 1);
    running.stop().unwrap();
    let waited: Duration = clock.sleeps().iter().sum();
    assert_eq!(waited.as_secs(), 86_400 - WALL_START_SECS % 86_400);
}

#[test]
fn posts_that_the_rules_of_others_brought_are_left_out() {
    let server = x_server(|_, connection| {
        begin_stream(connection);
        let theirs = post(1).replace("headwater:pizza", "theirs");
        chunk(
            connection,
            format!("{theirs}\r\n{}\r\n", post(2)).as_bytes(),
        );
        wait_for_close(connection);
        false
    });
    let feed = feed(Arc::default(), None);
    let running = Running::start(X::new(settings(server.endpoint())), &feed);
    wait_until("a post is read", || records(&feed).len() == 1);
    running.stop().unwrap();
    assert_eq!(records(&feed)[0].1, post(2));
    assert_eq!(feed.counters.filtered.get(), 1);
}

#[test]
fn a_line_that_is_no_post_is_counted_and_the_rest_goes_on() {
    let server = x_server(|_, connection| {
        begin_stream(connection);
        chunk(connection, b"<html>\r\n{\"new\":\"kind\"}\r\n");
        let long = vec![b'x'; 1 << 20];
        chunk(connection, &long);
        chunk(connection, &long);
        chunk(connection, format!("\r\n{}\r\n", post(1)).as_bytes());
        wait_for_close(connection);
        false
    });
    let feed = feed(Arc::default(), None);
    let running = Running::start(X::new(settings(server.endpoint())), &feed);
    wait_until("a post is read", || records(&feed).len() == 1);
    running.stop().unwrap();
    assert_eq!(feed.counters.unusable.get(), 2);
}

#[test]
fn a_character_cut_at_every_byte_arrives_whole() {
    // Given one connection after another that is cut into two writes at every byte of a post
    let text = post(1).replace("\"pizza\"", "\"ピザ 🍕 é\"");
    let line = format!("{text}\r\n");
    let (count, expected) = (line.len(), text.clone());
    let server = x_server(move |_, connection| {
        begin_stream(connection);
        for place in 0..line.len() {
            let (before, after) = line.as_bytes().split_at(place);
            if !before.is_empty() {
                chunk(connection, before);
            }
            chunk(connection, after);
        }
        wait_for_close(connection);
        false
    });
    let feed = feed(Arc::default(), None);
    let running = Running::start(X::new(settings(server.endpoint())), &feed);
    wait_until("all posts are read", || records(&feed).len() == count);
    running.stop().unwrap();
    assert!(records(&feed).iter().all(|(_, data)| *data == expected));
}
