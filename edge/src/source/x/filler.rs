//! Fills the gaps of the stream, in a thread of its own, so that live posts do not wait.
//!
//! Before each page is requested, the place is written to the card: after a power cut at most one page is fetched, and billed, again.

use std::time::Duration;

use log::{info, warn};
use serde_json::json;

use crate::platform::time::Rfc3339;
use crate::source::retry::{Backoff, Failure, In};
use crate::source::wire::Watch;
use crate::source::x::client::{Client, POST_FIELDS, SILENCE};
use crate::source::x::gap::Gap;
use crate::source::x::ids;
use crate::source::x::message::{self, Message};
use crate::source::x::outcome::{ApiError, NoPage};
use crate::source::x::progress::{Progress, Work};
use crate::source::x::search::{self, Page};
use crate::source::x::settings::Settings;
use crate::source::{Feed, Stopped};

/// How far the recent search reaches back, in ms: seven days (X API v2, "Search recent Posts").
const REACH_MS: u64 = 7 * 24 * 60 * 60 * 1000;

/// The first request stays this many ms within the reach, because time passes until X answers it.
const MARGIN_MS: u64 = 60 * 1000;

/// The thread that fills gaps.
pub struct Filler<'a> {
    settings: &'a Settings,
    feed: &'a Feed,
    progress: &'a Progress<'a>,
    client: Client<'a>,
    /// No page is requested before this time, by the program's clock.
    not_before: Duration,
    backoff: Backoff,
    /// [`MARGIN_MS`], doubled each time X found a request too old.
    margin_ms: u64,
    /// The beginning of the gap that is being filled, and how many of its posts were fetched.
    current: Option<(u64, u64)>,
    /// The token of the next page, if the last page was empty.
    token: Option<String>,
}

impl<'a> Filler<'a> {
    /// A filler for the gaps of `progress`.
    pub fn new(settings: &'a Settings, feed: &'a Feed, progress: &'a Progress<'a>) -> Self {
        let mut backoff = Backoff::new("x.search");
        let not_before = feed.clock.elapsed() + backoff.left(feed);
        Self {
            settings,
            feed,
            progress,
            client: Client::new(settings, Watch::beside(feed, SILENCE)),
            not_before,
            backoff,
            margin_ms: MARGIN_MS,
            current: None,
            token: None,
        }
    }

    /// Fills gaps until the stream ends for good.
    pub fn run(&mut self) {
        while self.step().is_ok() {}
    }

    /// Waits for something to do, and does it.
    fn step(&mut self) -> Result<(), Stopped> {
        match self.progress.work(self.not_before) {
            Work::End => return Err(Stopped),
            Work::Keep => self.feed.spool.commit(),
            Work::TooDear(gap) => {
                let why = "half of --max-per-day is kept for the live stream, and the other half \
                           is less than a page of X's search, 10 posts";
                self.give_up(gap, why);
            }
            Work::Page(gap, size) => self.page(gap, size)?,
        }
        Ok(())
    }

    /// Fetches one page of `gap`, and passes its posts on.
    fn page(&mut self, gap: Gap, size: u64) -> Result<(), Stopped> {
        let oldest_ms = self.progress.now_ms().saturating_sub(self.reach_ms());
        if self.progress.give_up_before(oldest_ms) {
            self.give_back(size);
            return Ok(());
        }
        self.begin(gap);
        self.feed.spool.commit();
        let rule = self.settings.rule();
        let path = search::path(&rule, gap, size, self.token.as_deref(), POST_FIELDS);
        let asked = self
            .client
            .authorize()
            .map_err(NoPage::from)
            .and_then(|()| self.client.search(&path));
        let (answer, wait) = match asked {
            Ok(answer) => answer,
            Err(trouble) => {
                self.give_back(size);
                self.recover(gap, trouble);
                return Ok(());
            }
        };
        let page = match Page::parse(&answer) {
            Ok(page) => page,
            Err(error) => {
                self.give_back(size);
                let what = format!("X's search answered no page: {error}");
                self.recover(gap, ApiError::Server(what).into());
                return Ok(());
            }
        };
        self.client.accepted();
        // If the rate limit is used up, X would refuse the next request, and count it too.
        self.backoff.answered(self.feed, wait);
        self.give_back(size.saturating_sub(page.posts.len() as u64));
        if let Some(wait) = wait {
            self.not_before = self.feed.clock.elapsed() + wait;
        }
        let taken = self.take(&page, gap);
        self.feed.flush();
        taken?;
        let is_last = page.next.is_none();
        let next = page.next.filter(|_| page.posts.is_empty());
        self.token = next.map(|token| token.0.into_owned());
        if is_last {
            self.end(gap);
        }
        Ok(())
    }

    fn take(&mut self, page: &Page<'_>, gap: Gap) -> Result<(), Stopped> {
        let mut rule = json!({ "tag": self.settings.filter.tag() });
        if let Some(id) = &self.progress.lock().rule_id {
            rule["id"] = json!(id);
        }
        let rules = json!([rule]).to_string();
        let is_last_page = page.next.is_none();
        for (index, found) in page.posts.iter().enumerate() {
            // The last record closes the gap, so that after a crash right then no empty page is requested.
            let is_last = is_last_page && index + 1 == page.posts.len();
            let line = page.line(found, &rules);
            match message::parse(line.as_bytes()) {
                Ok(Message::Post(post)) => {
                    self.progress
                        .take_late(&post, line.as_bytes(), gap, is_last)?;
                }
                Ok(_) => self
                    .feed
                    .unusable("a post of X's search", "it is no object"),
                Err(error) => self.feed.unusable("a post of X's search", error),
            }
        }
        if let Some((_, posts)) = &mut self.current {
            *posts += page.posts.len() as u64;
        }
        Ok(())
    }

    /// Logs, once a gap, that it is being filled.
    fn begin(&mut self, gap: Gap) {
        if self.current.is_none_or(|(after, _)| after != gap.after) {
            self.current = Some((gap.after, 0));
            self.token = None;
            info!(
                "fetching the posts {} that the stream missed",
                in_words(gap)
            );
        }
    }

    fn end(&mut self, gap: Gap) {
        let (after, posts) = self.current.take().unwrap_or((gap.after, 0));
        self.progress.close(gap);
        info!(
            "a gap is filled: {posts} posts from {} on",
            Rfc3339(ids::time_ms(after))
        );
    }

    /// Closes a gap whose posts cannot be fetched, and logs it.
    fn give_up(&mut self, gap: Gap, why: &str) {
        self.feed.missed(gap.times_ms(), why);
        self.progress.close(gap);
        self.current = None;
        self.token = None;
    }

    /// How far back posts are requested, in ms.
    fn reach_ms(&self) -> u64 {
        let wanted = self.settings.gap_at_most.unwrap_or_default().as_millis();
        let wanted_ms = u64::try_from(wanted).unwrap_or(u64::MAX);
        wanted_ms.min(REACH_MS.saturating_sub(self.margin_ms))
    }

    fn give_back(&self, posts: u64) {
        self.progress.lock().budget.give_back(posts, self.feed);
    }

    /// Logs a failure, and decides when to try again, if at all.
    fn recover(&mut self, gap: Gap, trouble: NoPage) {
        let trouble = match trouble {
            NoPage::NotAllowed(said) => {
                let why = format!(
                    "X's search refuses this app or its keyword{said}: check the account's plan \
                     in the developer console, or leave the search out with --no-gap-fill"
                );
                return self.give_up(gap, &why);
            }
            NoPage::TooOld => {
                self.margin_ms = self.margin_ms.saturating_mul(2);
                return;
            }
            NoPage::Trouble(trouble) => trouble,
        };
        let mut asked = None;
        let (failure, what) = match trouble {
            ApiError::Network(what) => (Failure::Network, what),
            ApiError::Server(what) => (Failure::Server, what),
            ApiError::Limited { wait } => {
                asked = wait;
                let what = "X limits the rate of searches".to_owned();
                (Failure::Limited, what)
            }
            ApiError::Unauthorized if self.client.refused() => return,
            other => (Failure::Person, self.client.in_words(other)),
        };
        let pause = self.backoff.failed(self.feed, failure, asked);
        self.not_before = self.feed.clock.elapsed() + pause;
        warn!(
            "the posts {} that the stream missed are not fetched yet, the next try is {}: {what}",
            in_words(gap),
            In(pause)
        );
    }
}

fn in_words(gap: Gap) -> String {
    let (from, until) = gap.times_ms();
    format!("from {} to {}", Rfc3339(from), Rfc3339(until))
}

#[cfg(test)]
mod tests;
