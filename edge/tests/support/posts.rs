//! Posts at the simulated X, as they are written, and what came of them.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use serde_json::Value;
use testkit::posts;
use testkit::x_api::XApi;

/// Has so many posts about pizza written at `api` now, and gives their ids. `written` counts them all.
pub fn write(api: &XApi, written: &mut usize, count: usize) -> BTreeSet<u64> {
    let posts = posts::about("pizza", SystemTime::now(), Duration::ZERO);
    let mut ids = BTreeSet::new();
    for post in posts.skip(*written).take(count) {
        ids.insert(post.id);
        api.post(post);
    }
    *written += count;
    ids
}

/// The ids of the posts in these lines.
pub fn ids<'a>(lines: impl IntoIterator<Item = &'a String>) -> Vec<u64> {
    let id = |line: &String| {
        let line: Value = serde_json::from_str(line).unwrap();
        line["data"]["id"].as_str().unwrap().parse().unwrap()
    };
    lines.into_iter().map(id).collect()
}

/// The fewest pages that the gaps asked for so far can have been read with.
pub fn least_pages(api: &XApi) -> usize {
    let posted = api.posted();
    let mut gaps: Vec<(u64, u64)> = Vec::new();
    for search in api.searches() {
        let (Some(since), Some(until)) = search.between else {
            continue;
        };
        match gaps.iter_mut().find(|(known, _)| *known == since) {
            Some((_, newest)) => *newest = until.max(*newest),
            None => gaps.push((since, until)),
        }
    }
    let pages = |(since, until): &(u64, u64)| {
        let posts = posted
            .iter()
            .filter(|post| (since + 1..*until).contains(&post.id));
        posts.count().div_ceil(100).max(1)
    };
    gaps.iter().map(pages).sum()
}
