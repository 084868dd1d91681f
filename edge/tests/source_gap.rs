//! What X's stream missed comes from its search: the source alone, over real sockets and in real time.

mod support;

use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use support::posts::{ids, least_pages, write};
use support::source::*;
use support::x;

use headwater::net::endpoint::Endpoint;
use headwater::platform::time::SystemClock;
use headwater::source::x::{Auth, Settings, X};
use headwater::source::{Feed, Source};
use headwater::spool::{Options, Spool, WhenFull};
use testkit::posts::{self, Post};
use testkit::wait_until;
use testkit::x_api::{self, BEARER_TOKEN, Endpoint as Of, Event, Refusal, XApi};

/// X, whose search finds what was written just now.
fn x_api(settings: x_api::Settings) -> XApi {
    XApi::start(x_api::Settings {
        keep_alive: Duration::from_millis(100),
        search_delay: Duration::ZERO,
        ..settings
    })
    .unwrap()
}

/// Reads from `api`, and fills gaps.
fn settings(api: &XApi) -> Settings {
    Settings {
        auth: Auth::Bearer(BEARER_TOKEN.to_owned()),
        gap_at_most: Some(Duration::from_secs(7 * 24 * 60 * 60)),
        ..x::settings(Endpoint::parse(&api.url(), false).unwrap())
    }
}

fn real_time(feed: Feed) -> Feed {
    Feed {
        clock: Arc::new(SystemClock::default()),
        ..feed
    }
}

fn a_feed() -> Feed {
    real_time(feed(Arc::default(), None))
}

fn lines(feed: &Feed) -> Vec<String> {
    records(feed).into_iter().map(|(_, line)| line).collect()
}

/// The ids read so far, each as often as it was.
fn read(feed: &Feed) -> Vec<u64> {
    ids(&lines(feed))
}

/// Whether every post of `api` was read.
fn has_all(feed: &Feed, api: &XApi) -> bool {
    let read = read(feed);
    api.posted().iter().all(|post| read.contains(&post.id))
}

fn is_open(api: &XApi) {
    wait_until("the stream is open", || api.is_streaming());
}

/// Reads with `settings`, as a program that was started again.
fn start(settings: Settings, feed: &Feed) -> Running {
    let again = Feed {
        stop: Arc::default(),
        ..feed.clone()
    };
    Running::start(X::new(settings), &again)
}

/// Reads one post, ends, and is away while so many more are written.
fn away(api: &XApi, feed: &Feed, missed: usize) {
    let mut written = 0;
    let running = start(settings(api), feed);
    is_open(api);
    write(api, &mut written, 1);
    wait_until("a post is read", || read(feed).len() == 1);
    running.stop().unwrap();
    wait_until("the stream is closed", || !api.is_streaming());
    write(api, &mut written, missed);
}

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

/// A feed whose spool lies in a file at `card`, and in no stage: what is not on the card, a power cut takes.
fn feed_on(card: &Path) -> Feed {
    let options = Options {
        card: card.to_owned(),
        stage: None,
        size_bytes: 1 << 20,
        when_full: WhenFull::Block,
        durable_within: Duration::from_millis(5),
    };
    let spool = Spool::open(options, Arc::new(SystemClock::default())).unwrap();
    let spool = Arc::new(spool);
    std::thread::spawn({
        let spool = spool.clone();
        move || spool.run_committer()
    });
    wait_until("the spool is made", || card.exists());
    Feed { spool, ..a_feed() }
}

/// The card at one moment, and how many pages had been asked for by then.
struct Moment {
    card: PathBuf,
    asked: usize,
}

#[test]
fn a_power_cut_at_any_step_of_a_gap_forgets_nothing_and_asks_for_one_page_again() {
    // Given a gap of three pages, and the card as it was at every moment of noting and filling it
    let folder = tempfile::tempdir().unwrap();
    let card = folder.path().join("spool");
    let api = x_api(x_api::Settings {
        search_time: Duration::from_millis(100),
        ..x_api::Settings::default()
    });
    let feed = feed_on(&card);
    let ago = SystemTime::now() - Duration::from_secs(600);
    let mut posts = posts::about("pizza", ago, Duration::from_secs(2)).take(251);
    api.play(posts.next().map(Event::Post));
    let running = start(settings(&api), &feed);
    wait_until("a post is read", || read(&feed).len() == 1);
    running.stop().unwrap();
    wait_until("the stream is closed", || !api.is_streaming());
    posts.for_each(|post| api.post(post));
    feed.spool.commit();
    let running = start(settings(&api), &feed);
    is_open(&api);
    write(&api, &mut 500, 1);
    let (mut moments, mut last) = (Vec::<Moment>::new(), Vec::new());
    loop {
        let is_over = !api.searches().is_empty() && feed.counters.open_gaps.get() == 0;
        let asked = api.searches().len();
        let now = std::fs::read(&card).unwrap();
        if now != last {
            let copy = folder.path().join(format!("moment-{}", moments.len()));
            std::fs::write(&copy, &now).unwrap();
            moments.push(Moment { card: copy, asked });
            last = now;
        }
        if is_over {
            break;
        }
    }
    running.stop().unwrap();
    let least = least_pages(&api);
    assert_eq!((least, api.searches().len()), (3, 3));
    assert!(moments.len() > 3, "{} moments", moments.len());
    println!("{} moments of the card", moments.len());
    let wanted = api.posted();

    for Moment { card, asked } in moments {
        // When the power fails then, and the board comes back
        let before = api.searches().len();
        let feed = feed_on(&card);
        wait_until("the stream is free", || !api.is_streaming());
        let running = start(settings(&api), &feed);
        let has_all = || {
            let read = read(&feed);
            wanted.iter().all(|post| read.contains(&post.id))
        };
        wait_until("all posts are read", has_all);
        wait_until("its own gap is closed", || {
            api.searches().len() > before && feed.counters.open_gaps.get() == 0
        });
        running.stop().unwrap();

        // Then no more was asked for than what was missing, one page again, and the gap of the cut itself
        let asked_in_all = asked + api.searches().len() - before;
        assert!(
            asked_in_all <= least + 2,
            "{asked_in_all} at {}",
            card.display()
        );
    }
}
