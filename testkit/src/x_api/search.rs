//! The recent search: the posts of the last seven days that a query wants, newest first, page by page.
//!
//! As X documents it: `since_id` and `until_id` are exclusive, a page has 10 to 100 posts, `meta.next_token` is there until no more are left,
//! and what is younger than half a minute may not be found yet. An id from before the seven days is refused, with the time allowed.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::refusal::{Refusal, invalid};
use super::rules::Rule;
use super::wire::{Fields, iso_8601};
use super::{Api, Endpoint, State, authorized};
use crate::http::{Answer, Request};
use crate::posts::{self, Post};

/// How far the search reaches back.
const REACH: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// The posts of a page.
const PAGE: std::ops::RangeInclusive<usize> = 10..=100;

/// A search that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Search {
    /// Its words.
    pub query: String,
    /// The ids between which posts were wanted.
    pub between: (Option<u64>, Option<u64>),
    /// The status of the answer.
    pub status: u16,
    /// How many posts it had.
    pub posts: usize,
    /// How many searches were left in the window after it.
    pub left: usize,
}

impl Api {
    /// Answers a search, and remembers it.
    pub(super) fn search(&self, request: &Request) -> Answer {
        std::thread::sleep(self.settings.search_time);
        let mut state = self.state();
        let id = |name| request.query(name)?.parse().ok();
        let between = (id("since_id"), id("until_id"));
        let now = SystemTime::now();
        let limit = self.settings.search_limit;
        let window = state.search_window.filter(|(end, _)| now < *end);
        let (reset, searched) = window.unwrap_or((now + self.settings.search_window, 0));
        let left = limit.saturating_sub(searched + 1);
        state.search_window = Some((reset, searched + 1));
        let found = match state.refusal(Endpoint::Search) {
            Some(refusal) => Err(refusal.answer()),
            None if !authorized(request) => Err(Refusal::Unauthorized.answer()),
            None if !self.settings.search => Err(Refusal::ClientForbidden.answer()),
            None if searched >= limit => Err(Refusal::RateLimited(reset).answer()),
            None => state.find(request, between, now, now - self.settings.search_delay),
        };
        let (answer, posts) = match found {
            Ok(posts) => {
                let fields = Fields::of(request, self.settings.renamed);
                state.found.extend(posts.shown.iter().cloned());
                (page(&fields, &posts), posts.shown.len())
            }
            Err(answer) => (answer, 0),
        };
        state.searches.push(Search {
            query: request.query("query").unwrap_or_default(),
            between,
            status: answer.status,
            posts,
            left,
        });
        if answer.status != 200 {
            return answer;
        }
        let reset = reset.duration_since(UNIX_EPOCH).unwrap_or_default();
        answer
            .dated()
            .with("x-rate-limit-limit", limit)
            .with("x-rate-limit-remaining", left)
            .with("x-rate-limit-reset", reset.as_secs())
    }
}

/// One page.
struct Found {
    /// Newest first.
    shown: Vec<Post>,
    /// Whether there are older ones.
    more: bool,
}

impl State {
    fn find(
        &self,
        request: &Request,
        (since, until): (Option<u64>, Option<u64>),
        now: SystemTime,
        indexed: SystemTime,
    ) -> Result<Found, Answer> {
        let invalid = |message: String| invalid(&message);
        let query = request.query("query").unwrap_or_default();
        if query.contains("sample:") || query.contains("bio") {
            return Err(invalid(
                "the query has an operator of the stream".to_owned(),
            ));
        }
        let query = Rule::parse(String::new(), &query, None).map_err(invalid)?;
        let size = request.query("max_results");
        let size = size.map_or(Some(10), |size| size.parse().ok());
        let size = size
            .filter(|size| PAGE.contains(size))
            .ok_or_else(|| invalid("max_results is not between 10 and 100".to_owned()))?;
        let oldest = posts::first_id(now - REACH);
        if since.or(until).is_some_and(|id| id < oldest) {
            let time = iso_8601(now - REACH);
            return Err(invalid(format!(
                "'since_id' must be a tweet id created after [{time}]. Please use a 'since_id' that is larger than {oldest}"
            )));
        }
        let token = request.query("next_token");
        let before = token.map(|token| token.strip_prefix("before-")?.parse().ok());
        let before = match before {
            Some(None) => return Err(invalid("next_token is none of ours".to_owned())),
            before => before.flatten().unwrap_or(u64::MAX),
        };
        let ids = since.map_or(oldest, |since| since + 1)
            ..before
                .min(until.unwrap_or(u64::MAX))
                .min(posts::first_id(indexed));
        let mut wanted = self
            .posted
            .range(ids.start..ids.end.max(ids.start))
            .rev()
            .map(|(_, post)| post)
            .filter(|post| query.matches(post));
        let shown = wanted.by_ref().take(size).cloned().collect();
        Ok(Found {
            shown,
            more: wanted.next().is_some(),
        })
    }
}

fn page(fields: &Fields, found: &Found) -> Answer {
    let Found { shown, more } = found;
    let mut meta = json!({ "result_count": shown.len() });
    let mut page = json!({});
    if let (Some(newest), Some(oldest)) = (shown.first(), shown.last()) {
        meta["newest_id"] = json!(newest.id.to_string());
        meta["oldest_id"] = json!(oldest.id.to_string());
        if *more {
            meta["next_token"] = json!(format!("before-{}", oldest.id));
        }
        page["data"] = shown.iter().map(|post| fields.data(post)).collect();
        if fields.with_author {
            let authors: BTreeMap<u64, Value> = shown
                .iter()
                .map(|post| (post.author.id, fields.user(post.author)))
                .collect();
            page["includes"] = json!({ "users": authors.values().collect::<Vec<_>>() });
        }
    }
    page["meta"] = meta;
    Answer::json(200, &page)
}
