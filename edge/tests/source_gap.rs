//! What X's stream missed comes from its search: the source alone, over real sockets and in real time.

mod support;

use std::time::{Duration, SystemTime};

use support::gap::*;
use support::posts::{least_pages, write};
use support::source::{answer, endpoint, records};
use support::x;

use headwater::source::Source;
use headwater::source::x::{Settings, X};
use testkit::posts::{self, Post};
use testkit::wait_until;
use testkit::web::{Web, wait_for_close};
use testkit::x_api::{self, Endpoint as Of, Event, Refusal};

#[test]
fn what_was_posted_meanwhile_is_read_beside_the_stream_as_the_stream_gives_it() {
    // Given a program that was away while 250 posts were written
    let (api, feed) = (x_api(x_api::Settings::default()), a_feed());
    away(&api, &feed, 250);

    // When it is back, and more are written
    let running = start(settings(&api), &feed);
    is_open(&api);
    write(&api, &mut 500, 5);
    wait_until("all posts are read", || has_all(&feed, &api));
    wait_until("the gap is closed", || feed.counters.open_gaps.get() == 0);

    // Then it asked for three pages, and each post is the same record that the stream gives
    assert_eq!(api.searches().len(), least_pages(&api));
    assert!(feed.counters.late.get() >= 250);
    running.stop().unwrap();
    let (by_search, by_stream) = (sorted(records(&feed)), sorted(of_the_stream(&api.posted())));
    assert_eq!(by_search.len(), by_stream.len());
    for (one, other) in by_search.iter().zip(&by_stream) {
        assert_eq!(one, other);
    }
}

/// The records of these posts, had the stream brought them all.
fn of_the_stream(posts: &[Post]) -> Vec<(String, String)> {
    let (api, feed) = (x_api(x_api::Settings::default()), a_feed());
    api.play(posts.iter().cloned().map(Event::Post));
    let running = start(settings(&api), &feed);
    wait_until("all are read", || records(&feed).len() == posts.len());
    running.stop().unwrap();
    records(&feed)
}

/// In order, and without those that came twice. The simulated stream escapes some lines, which means the same.
fn sorted(mut records: Vec<(String, String)>) -> Vec<(String, String)> {
    for (_, line) in &mut records {
        let json: serde_json::Value = serde_json::from_str(line).unwrap();
        *line = json.to_string();
    }
    records.sort();
    records.dedup();
    records
}

#[test]
fn a_stream_that_brings_nothing_after_the_outage_has_its_gap_filled_too() {
    let (api, feed) = (x_api(x_api::Settings::default()), a_feed());
    away(&api, &feed, 20);
    let running = start(settings(&api), &feed);
    wait_until("all posts are read", || has_all(&feed, &api));
    running.stop().unwrap();
    assert_eq!(api.searches().len(), 1);
}

#[test]
fn a_plan_without_the_search_is_told_once_for_each_gap_and_counted() {
    let without = x_api::Settings {
        search: false,
        ..x_api::Settings::default()
    };
    let (api, feed) = (x_api(without), a_feed());
    away(&api, &feed, 20);
    let running = start(settings(&api), &feed);
    wait_until("the gap is given up", || {
        feed.counters.missed.gaps.get() == 1
    });

    // A second outage
    api.play([Event::Disconnect]);
    wait_until("the second gap is given up", || {
        feed.counters.missed.gaps.get() == 2
    });
    running.stop().unwrap();
    assert_eq!(api.searches().len(), 2);
    assert_eq!(read(&feed).len(), 1);
    let missed = &feed.counters.missed;
    assert!(missed.from_ms.get() > 0 && missed.until_ms.get() > missed.from_ms.get());
    assert_eq!(feed.counters.open_gaps.get(), 0);
}

#[test]
fn what_is_older_than_allowed_is_told_and_the_rest_fetched() {
    // Given a post that was read two hours ago, and posts of an hour and of a minute ago
    let (api, feed) = (x_api(x_api::Settings::default()), a_feed());
    let ago = |minutes: u64| {
        let start = SystemTime::now() - Duration::from_secs(minutes * 60);
        posts::about("pizza", start, Duration::ZERO).next().unwrap()
    };
    let [first, old, young] = [ago(120), ago(60), ago(1)];
    api.play([Event::Post(first.clone())]);
    let running = start(settings(&api), &feed);
    wait_until("the first is read", || read(&feed) == [first.id]);
    running.stop().unwrap();
    wait_until("the stream is closed", || !api.is_streaming());
    api.post(old);
    api.post(young.clone());

    // When gaps are filled half an hour back
    let short = Settings {
        gap_at_most: Some(Duration::from_secs(30 * 60)),
        ..settings(&api)
    };
    let running = start(short, &feed);
    wait_until("the younger is read", || read(&feed).contains(&young.id));
    wait_until("the gap is closed", || feed.counters.open_gaps.get() == 0);
    running.stop().unwrap();

    // Then the hour and a half before that is missed
    assert_eq!(read(&feed), [first.id, young.id]);
    assert_eq!(feed.counters.missed.gaps.get(), 1);
    let missed_min = feed.counters.missed.ms.get() / 60_000;
    assert!((89..=91).contains(&missed_min), "{missed_min}");
}

#[test]
fn an_id_older_than_x_takes_is_not_asked_for_again_and_again() {
    // Given a server whose week is shorter than the board believes
    let (api, feed) = (x_api(x_api::Settings::default()), a_feed());
    let week = Duration::from_secs(7 * 24 * 60 * 60 - 90);
    let start_at = SystemTime::now() - week - Duration::from_secs(600);
    let first = posts::about("pizza", start_at, Duration::ZERO)
        .next()
        .unwrap();
    api.play([Event::Post(first)]);
    let running = start(settings(&api), &feed);
    wait_until("it is read", || read(&feed).len() == 1);
    running.stop().unwrap();
    wait_until("the stream is closed", || !api.is_streaming());
    for _ in 0..2 {
        let too_old = "'since_id' must be a tweet id created after";
        api.answer_next(Of::Search, Refusal::Invalid(too_old));
    }
    write(&api, &mut 1, 3);

    // When the gap is filled
    let running = start(settings(&api), &feed);
    wait_until("the posts are read", || read(&feed).len() == 4);
    running.stop().unwrap();

    // Then it began later and later, until X took it
    assert_eq!(api.searches().len(), 3);
    let since: Vec<_> = api
        .searches()
        .iter()
        .map(|search| search.between.0)
        .collect();
    assert!(since.is_sorted_by(|a, b| a < b), "{since:?}");
}

#[test]
fn an_id_far_ahead_hides_no_gap() {
    // Given a post whose id is of next year
    let (api, feed) = (x_api(x_api::Settings::default()), a_feed());
    let next_year = SystemTime::now() + Duration::from_secs(365 * 24 * 60 * 60);
    let wrong = posts::about("pizza", next_year, Duration::ZERO)
        .next()
        .unwrap();
    let mut written = 0;
    let running = start(settings(&api), &feed);
    is_open(&api);
    write(&api, &mut written, 1);
    api.play([Event::Post(wrong)]);
    wait_until("both are read", || read(&feed).len() == 2);
    running.stop().unwrap();
    wait_until("the stream is closed", || !api.is_streaming());

    // When posts are missed, they are fetched
    write(&api, &mut written, 5);
    let running = start(settings(&api), &feed);
    wait_until("all posts are read", || has_all(&feed, &api));
    running.stop().unwrap();
}

#[test]
fn trouble_with_the_search_delays_a_gap_and_forgets_nothing() {
    // Given a search whose rate is limited
    let (api, feed) = (x_api(x_api::Settings::default()), a_feed());
    away(&api, &feed, 150);
    let soon = SystemTime::now() + Duration::from_secs(3);
    api.answer_next(Of::Search, Refusal::RateLimited(soon));
    let running = start(settings(&api), &feed);
    is_open(&api);

    // When the live stream goes on meanwhile
    write(&api, &mut 500, 1);

    // Then all comes
    wait_until("all posts are read", || has_all(&feed, &api));
    running.stop().unwrap();
    let statuses: Vec<_> = api.searches().iter().map(|search| search.status).collect();
    assert_eq!(statuses, [429, 200, 200]);
    assert_eq!(feed.counters.missed.gaps.get(), 0);
}

#[test]
fn gaps_are_not_filled_when_that_is_switched_off() {
    let (api, feed) = (x_api(x_api::Settings::default()), a_feed());
    away(&api, &feed, 5);
    let off = Settings {
        gap_at_most: None,
        ..settings(&api)
    };
    let running = start(off, &feed);
    is_open(&api);
    write(&api, &mut 500, 1);
    wait_until("a post is read", || read(&feed).len() == 2);
    running.stop().unwrap();
    assert!(api.searches().is_empty());
    assert_eq!(feed.counters.missed.gaps.get(), 0);
}

#[test]
fn retweets_are_asked_for_whole_or_left_out() {
    let (api, feed) = (x_api(x_api::Settings::default()), a_feed());
    let without = Settings {
        retweets: false,
        ..settings(&api)
    };
    let running = start(without, &feed);
    is_open(&api);
    running.stop().unwrap();
    assert_eq!(api.rules()[0].value, "pizza -is:retweet");
    // The stream and the search ask for the same
    let server = x::x_server(|_, connection| x::serve_posts(connection, &[1]));
    let feed = a_feed();
    let running = start(x::settings(endpoint(&server)), &feed);
    let asked = server.wait_for(1, x::STREAM);
    running.stop().unwrap();
    let expansions = asked.query("expansions").unwrap();
    for one in [
        "author_id",
        "referenced_tweets.id",
        "referenced_tweets.id.author_id",
    ] {
        assert!(expansions.split(',').any(|asked| asked == one), "{one}");
    }
}

#[test]
fn check_says_whether_the_plan_has_the_search_and_reads_no_post() {
    for (search, says) in [
        (true, "the plan has the search"),
        (false, "the plan does not have"),
    ] {
        let plan = x_api::Settings {
            search,
            ..x_api::Settings::default()
        };
        let api = x_api(plan);
        write(&api, &mut 0, 10);
        let said = X::new(settings(&api)).check().unwrap();
        assert!(said.contains(says), "{said}");
        assert_eq!(api.searches()[0].posts, 0);
    }
}

#[test]
fn check_waits_for_no_search_that_is_never_answered() {
    // Given a server that takes the keys and has the rule, and is silent about the search
    let server = Web::start(|request, connection| match request.target.as_str() {
        x::TOKEN => answer(connection, 200, "", x::A_TOKEN),
        x::RULES => answer(connection, 200, "", x::OUR_RULE),
        _ => {
            wait_for_close(connection);
            false
        }
    });

    // When it is checked, then that ends, and says what is not known
    let checked = Settings {
        gap_at_most: Some(Duration::from_secs(3600)),
        ..x::settings(endpoint(&server))
    };
    let said = X::new(checked).check().unwrap();
    assert!(said.contains("X does not say now"), "{said}");
}
