//! The recent search of the simulated X API answers as X documents it.

use std::time::{Duration, SystemTime};

use serde_json::Value;
use testkit::posts::{self, Post};
use testkit::x_api::{BEARER_TOKEN, Settings, XApi};
use ureq::Agent;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Asks the search, with these `parameters` besides the query.
fn search(api: &XApi, parameters: &str) -> (u16, Value) {
    let config = Agent::config_builder().http_status_as_error(false);
    let url = format!(
        "{}/2/tweets/search/recent?query=pizza{parameters}",
        api.url()
    );
    let mut answer = config
        .build()
        .new_agent()
        .get(url)
        .header("authorization", format!("Bearer {BEARER_TOKEN}"))
        .call()
        .unwrap();
    let status = answer.status().as_u16();
    let body = serde_json::from_reader(answer.body_mut().as_reader()).unwrap();
    (status, body)
}

fn api(settings: Settings, posts: &[Post]) -> XApi {
    let api = XApi::start(settings).unwrap();
    for post in posts {
        api.post(post.clone());
    }
    api
}

/// So many posts about pizza, one a second, the last one some minutes ago.
fn posts(count: u32) -> Vec<Post> {
    let start = SystemTime::now() - Duration::from_secs(u64::from(count) + 300);
    posts::about("pizza", start, Duration::from_secs(1))
        .take(count as usize)
        .collect()
}

fn ids(page: &Value) -> Vec<u64> {
    let data = page["data"].as_array().cloned().unwrap_or_default();
    let id = |post: &Value| post["id"].as_str().unwrap().parse().unwrap();
    data.iter().map(id).collect()
}

#[test]
fn pages_come_newest_first_until_there_is_no_token() {
    // Given 25 posts
    let posts = posts(25);
    let api = api(Settings::default(), &posts);

    // When those between the second and the last are asked for
    let between = format!("&since_id={}&until_id={}", posts[1].id, posts[24].id);
    let (mut seen, mut token) = (Vec::new(), String::new());
    loop {
        let (status, page) = search(&api, &format!("{between}{token}"));
        assert_eq!(status, 200, "{page}");
        seen.extend(ids(&page));
        match page["meta"]["next_token"].as_str() {
            Some(next) => token = format!("&next_token={next}"),
            None => break,
        }
    }

    // Then all of them came, in three pages of ten
    let expected: Vec<_> = posts[2..24].iter().rev().map(|post| post.id).collect();
    assert_eq!(seen, expected);
    let sizes: Vec<_> = api.searches().iter().map(|search| search.posts).collect();
    assert_eq!(sizes, [10, 10, 2]);
}

#[test]
fn what_is_younger_than_half_a_minute_is_not_found() {
    let now = SystemTime::now();
    let young = posts::about("pizza", now - Duration::from_secs(5), Duration::ZERO).next();
    let old = posts::about("pizza", now - Duration::from_secs(60), Duration::ZERO).next();
    let (young, old) = (young.unwrap(), old.unwrap());
    let api = api(Settings::default(), &[young, old.clone()]);
    assert_eq!(ids(&search(&api, "").1), [old.id]);
}

#[test]
fn an_id_of_more_than_seven_days_ago_is_refused() {
    let api = api(Settings::default(), &[]);
    let at = |age| posts::first_id(SystemTime::now() - age);
    let (status, _) = search(&api, &format!("&since_id={}", at(DAY * 13 / 2)));
    assert_eq!(status, 200);
    let (status, refusal) = search(&api, &format!("&since_id={}", at(DAY * 15 / 2)));
    assert_eq!(status, 400);
    let why = refusal["errors"][0]["message"].as_str().unwrap();
    assert!(why.contains("since_id"), "{why}");
}

#[test]
fn pages_have_10_to_100_posts_and_a_plan_may_have_none() {
    let all = api(Settings::default(), &posts(150));
    assert_eq!(ids(&search(&all, "&max_results=100").1).len(), 100);
    assert_eq!(search(&all, "&max_results=101").0, 400);
    assert_eq!(search(&all, "&max_results=9").0, 400);

    let without = Settings {
        search: false,
        ..Settings::default()
    };
    assert_eq!(search(&api(without, &[]), "").0, 403);

    let twice = Settings {
        search_limit: 2,
        ..Settings::default()
    };
    let limited = api(twice, &[]);
    assert_eq!([(); 3].map(|()| search(&limited, "").0), [200, 200, 429]);
}
