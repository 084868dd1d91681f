//! What X does not give, over real sockets: one test for each row of its table of answers, the
//! pauses between connections, and the limit of a day.

mod support;

use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use support::source::*;
use support::x::*;

use headwater::platform::time::{Clock, TestClock};
use headwater::source::Feed;
use headwater::source::x::{Settings, X};
use testkit::wait_until;
use testkit::web::Web;

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
    let running = Running::start(X::new(settings(endpoint(&server))), &feed);
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
    let server = Web::start(move |request, connection| match request.target.as_str() {
        TOKEN if asked.fetch_add(1, Ordering::Relaxed) < 2 => {
            let body = r#"{"errors":[{"code":99,"message":"Unable to verify your credentials"}]}"#;
            answer(connection, 403, "", body)
        }
        TOKEN => answer(
            connection,
            200,
            "",
            r#"{"access_token":"AAAAtoken-of-the-tests"}"#,
        ),
        RULES => answer(connection, 200, "", OUR_RULE),
        _ => serve_posts(connection, &[1]),
    });
    let clock: Arc<TestClock> = Arc::default();
    let feed = feed(clock.clone(), None);
    let running = Running::start(X::new(settings(endpoint(&server))), &feed);
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
fn the_pauses_go_on_where_they_were_after_a_restart() {
    // Given a run that was stopped in the pause after its third server error
    let folder = tempfile::tempdir().unwrap();
    let server = x_server(|nth, connection| match nth {
        0..4 => answer(connection, 503, "", ""),
        _ => serve_posts(connection, &[1]),
    });
    let twenty = Duration::from_secs(20);
    let stopping = Arc::new(TestClock::default().ending_after(twenty));
    let first = Feed {
        clock: stopping.clone(),
        ..feed(Arc::default(), Some(folder.path()))
    };
    Running::start(X::new(settings(endpoint(&server))), &first)
        .end()
        .unwrap();

    // When it is started again 8 s into that pause
    let clock: Arc<TestClock> = Arc::default();
    clock.advance(stopping.elapsed() + Duration::from_secs(8));
    let second = feed(clock.clone(), Some(folder.path()));
    let running = Running::start(X::new(settings(endpoint(&server))), &second);
    wait_until("a post is read", || records(&second).len() == 1);
    running.stop().unwrap();

    // Then it waits the rest, and the next pause is the fourth
    assert_eq!(clock.sleeps(), secs(&[12.0, 40.0]));
}

#[test]
fn a_program_that_crashes_and_is_started_again_is_slowed_down() {
    let folder = tempfile::tempdir().unwrap();
    let server = x_server(|nth, connection| serve_posts(connection, &[nth]));
    let mut pauses = Vec::new();
    for crash in 0..5 {
        // A crash leaves the state as it is: this run's goes on in a folder that the next one does
        // not see.
        let run = folder.path().join(crash.to_string());
        std::fs::create_dir(&run).unwrap();
        if crash > 0 {
            let before = folder.path().join((crash - 1).to_string()).join("crashed");
            std::fs::copy(before, run.join("state")).unwrap();
        }
        let clock: Arc<TestClock> = Arc::default();
        let feed = feed(clock.clone(), Some(&run));
        let running = Running::start(X::new(settings(endpoint(&server))), &feed);
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
        ..settings(endpoint(&server))
    };
    let midnight = Duration::from_secs(86_400 - TestClock::START_SECS % 86_400);

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
    let today = (TestClock::START_SECS + clock.elapsed().as_secs()) / 86_400;
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
    state.set("x.day", format!("{} 3", TestClock::START_SECS / 86_400));
    let clock: Arc<TestClock> = Arc::default();
    let feed = feed(clock.clone(), Some(folder.path()));
    let limited = Settings {
        max_per_day: NonZeroU64::new(3),
        ..settings(endpoint(&server))
    };
    let running = Running::start(X::new(limited), &feed);
    wait_until("a post is read", || records(&feed).len() == 1);
    running.stop().unwrap();
    let waited: Duration = clock.sleeps().iter().sum();
    assert_eq!(waited.as_secs(), 86_400 - TestClock::START_SECS % 86_400);
}
