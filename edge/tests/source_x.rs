//! The filtered stream of X, read over real sockets from a server that follows its API.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use support::source::*;
use support::x::*;

use headwater::platform::time::TestClock;
use headwater::source::x::X;
use testkit::wait_until;
use testkit::web::{Web, begin_stream, chunk, wait_for_close};

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
    let running = Running::start(X::new(settings(endpoint(&server))), &feed);
    wait_until("two posts are read", || records(&feed).len() == 2);

    // Then both lines are there, and X was asked as it wants to be
    let expected = [1, 2].map(|id| ("catperson".to_owned(), post(id)));
    assert_eq!(records(&feed), expected);
    let token = server.wait_for(1, TOKEN);
    assert_eq!(
        token.header("authorization").unwrap(),
        "Basic a2V5OmEtY29uc3VtZXItc2VjcmV0LW9mLXRoZS10ZXN0cw=="
    );
    assert_eq!(token.text(), "grant_type=client_credentials");
    let stream = server.wait_for(1, STREAM);
    assert_eq!(
        stream.header("authorization").unwrap(),
        "Bearer AAAAtoken-of-the-tests%3D"
    );
    assert!(
        stream
            .header("user-agent")
            .unwrap()
            .starts_with("headwater/")
    );
    assert!(stream.header("accept-encoding").is_none());
    running.stop().unwrap();
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
    let running = Running::start(X::new(settings(endpoint(&server))), &feed);
    wait_until("all posts are read", || records(&feed).len() == count);
    running.stop().unwrap();
    assert!(records(&feed).iter().all(|(_, data)| *data == expected));
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
    let running = Running::start(X::new(settings(endpoint(&server))), &feed);
    wait_until("a post is read", || records(&feed).len() == 1);
    running.stop().unwrap();
    assert_eq!(records(&feed)[0].1, post(1));
    assert_eq!(clock.sleeps(), secs(&[0.25, 0.5, 0.75]));
    assert_eq!(feed.counters.unusable.get(), 0);
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
    let running = Running::start(X::new(settings(endpoint(&server))), &feed);
    wait_until("both posts are read", || records(&feed).len() == 2);
    running.stop().unwrap();
    assert_eq!(clock.sleeps(), secs(&[]));
    assert_eq!(feed.counters.reconnects.get(), 1);
}

#[test]
fn a_silent_stream_is_opened_again_within_25_s() {
    // Given a stream that gives one post and then nothing, not even a keep-alive
    let server = x_server(|nth, connection| serve_posts(connection, &[nth]));
    let clock: Arc<TestClock> = Arc::default();
    let feed = feed(clock.clone(), None);
    let running = Running::start(X::new(settings(endpoint(&server))), &feed);
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
    let running = Running::start(X::new(settings(endpoint(&server))), &feed);
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
    let running = Running::start(X::new(settings(endpoint(&server))), &feed);
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
    let running = Running::start(X::new(settings(endpoint(&server))), &feed);
    wait_until("a post is read", || records(&feed).len() == 1);
    running.stop().unwrap();
    assert_eq!(feed.counters.unusable.get(), 2);
}

#[test]
fn rules_of_earlier_keywords_go_and_those_of_others_stay() {
    // Given rules of an earlier run, of someone else, and this one's with another value
    let rules = r#"{"data":[{"id":"1","value":"pasta","tag":"headwater:pasta"},{"id":"2","value":"cats","tag":"theirs"},{"id":"3","value":"dogs"},{"id":"4","value":"pizza -is:retweet","tag":"headwater:pizza"}],"meta":{}}"#;
    let server = Web::start(move |request, connection| match request.target.as_str() {
        TOKEN => answer(
            connection,
            200,
            "",
            r#"{"access_token":"AAAAtoken-of-the-tests"}"#,
        ),
        RULES if request.method == "GET" => answer(connection, 200, "", rules),
        RULES => answer(connection, 201, "", r#"{"meta":{"summary":{"created":1}}}"#),
        _ => serve_posts(connection, &[1]),
    });
    let feed = feed(Arc::default(), None);
    let running = Running::start(X::new(settings(endpoint(&server))), &feed);
    wait_until("a post is read", || records(&feed).len() == 1);
    running.stop().unwrap();
    assert_eq!(
        server.wait_for(2, RULES).text(),
        r#"{"delete":{"ids":["1","4"]}}"#
    );
    assert_eq!(
        server.wait_for(3, RULES).text(),
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
        let server = Web::start(move |request, connection| match request.target.as_str() {
            TOKEN => answer(
                connection,
                200,
                "",
                r#"{"access_token":"AAAAtoken-of-the-tests"}"#,
            ),
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
        let running = Running::start(X::new(settings(endpoint(&server))), &feed);
        wait_until("a post is read", || records(&feed).len() == 1);
        running.stop().unwrap();
        assert_eq!(clock.sleeps(), expected_sleeps);
    }
}
