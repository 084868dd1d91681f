//! The limit of posts a day (`--max-per-day`). X bills each post that is read. Days are in UTC.

use std::num::NonZeroU64;
use std::time::Duration;

use crate::platform::today::{Today, until_midnight};
use crate::source::Feed;

/// The fact that holds the day's count.
const FACT: &str = "x.day";

/// How many posts were read today, and the limit.
#[derive(Debug)]
pub struct Budget {
    max: Option<NonZeroU64>,
    today: Today,
}

impl Budget {
    /// Continues the count of an earlier run on the same day.
    pub fn new(max: Option<NonZeroU64>, feed: &Feed) -> Self {
        let today = feed.state.get(FACT).unwrap_or_default();
        Self { max, today }
    }

    /// Says what reading may cost.
    pub fn price(&self) -> String {
        const EACH: &str = "X bills every post read, at about $0.005 to $0.015";
        match self.max {
            None => format!(
                "{EACH}: a broad keyword can cost $1,000 a day; --max-per-day N sets a limit"
            ),
            Some(max) => {
                let dollars = |each: f64| max.get() as f64 * each;
                format!(
                    "{EACH}: {max} posts a day are at most ${:.2} to ${:.2}",
                    dollars(0.005),
                    dollars(0.015)
                )
            }
        }
    }

    /// If the day's posts are used up: how many were read, and how long it is until the next day.
    pub fn full(&mut self, feed: &Feed) -> Option<(u64, Duration)> {
        self.is_full(feed)
            .then(|| (self.today.count, until_midnight(feed.clock.wall())))
    }

    /// How many posts of a gap may be read now. Half of the day's posts are kept for the stream.
    ///
    /// # Errors
    /// If fewer than `least` may be read: how long it is until the next day.
    pub fn room_for_gap(&mut self, least: u64, feed: &Feed) -> Result<u64, Duration> {
        let Some(max) = self.max else {
            return Ok(u64::MAX);
        };
        self.turn_page(feed);
        let room = (max.get() / 2).saturating_sub(self.today.count);
        if room < least {
            Err(until_midnight(feed.clock.wall()))
        } else {
            Ok(room)
        }
    }

    /// Whether posts of a gap can never be read, because half of a day's posts are fewer than `least`, the smallest request.
    pub fn is_too_small(&self, least: u64) -> bool {
        self.max.is_some_and(|max| max.get() / 2 < least)
    }

    /// Counts the posts of a page before it is requested.
    pub fn reserve(&mut self, posts: u64, feed: &Feed) {
        self.turn_page(feed);
        self.today.count += posts;
        self.save(feed);
    }

    /// Takes back `posts` that were reserved and not in the page.
    pub fn give_back(&mut self, posts: u64, feed: &Feed) {
        self.today.count = self.today.count.saturating_sub(posts);
        self.save(feed);
    }

    /// Counts one post. True if the day's posts are then used up.
    pub fn spend(&mut self, feed: &Feed) -> bool {
        let Some(max) = self.max else { return false };
        self.turn_page(feed);
        self.today.count += 1;
        // The fact is written at most a hundred times a day: a crash loses at most one percent of the count.
        if self.today.count.is_multiple_of((max.get() / 100).max(1)) {
            self.save(feed);
        }
        self.today.count >= max.get()
    }

    /// Writes the count to the fact.
    pub fn save(&self, feed: &Feed) {
        if self.max.is_some() {
            feed.state.set(FACT, self.today);
        }
    }

    fn is_full(&mut self, feed: &Feed) -> bool {
        self.turn_page(feed);
        self.max.is_some_and(|max| self.today.count >= max.get())
    }

    fn turn_page(&mut self, feed: &Feed) {
        self.today.turn(feed.clock.wall());
    }
}

#[cfg(test)]
mod tests;
