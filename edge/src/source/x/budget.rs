//! What the posts of a day may cost. X bills each post read; a day is one of UTC.

use std::num::NonZeroU64;
use std::str::FromStr;
use std::time::{Duration, UNIX_EPOCH};

use log::warn;

use crate::source::{Feed, Stopped};

/// Where the day's count is remembered.
const FACT: &str = "x.day";

const DAY_SECS: u64 = 24 * 60 * 60;

/// While the day is full, how often the clock is looked at: it may be set meanwhile.
const LOOK_AGAIN: Duration = Duration::from_secs(10 * 60);

/// Posts read today, against the most that may be.
#[derive(Debug)]
pub struct Budget {
    max: Option<NonZeroU64>,
    today: Today,
}

/// What is remembered: two numbers with a space between.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Today {
    /// Days since 1970.
    day: u64,
    posts: u64,
}

impl Budget {
    /// Takes up the count of an earlier run on the same day.
    pub fn new(max: Option<NonZeroU64>, feed: &Feed) -> Self {
        let today = feed.state.get(FACT).unwrap_or_default();
        Self { max, today }
    }

    /// What reading may cost, for a person.
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

    /// Waits for the next day when this one is full.
    pub fn wait(&mut self, feed: &Feed) -> Result<(), Stopped> {
        let mut is_told = false;
        while self.is_full(feed) {
            let left = Duration::from_secs(DAY_SECS - wall_secs(feed) % DAY_SECS);
            if !is_told {
                is_told = true;
                warn!(
                    "all {} posts of today are read (--max-per-day); \
                     reading goes on at 00:00 UTC, in {} h {} min",
                    self.today.posts,
                    left.as_secs() / 3600,
                    left.as_secs() / 60 % 60
                );
                // A power cut must not spend the day's money twice.
                feed.state.save();
            }
            feed.sleep(left.min(LOOK_AGAIN))?;
        }
        Ok(())
    }

    /// Counts one post. True when the day is full.
    pub fn spend(&mut self, feed: &Feed) -> bool {
        let Some(max) = self.max else { return false };
        self.turn_page(feed);
        self.today.posts += 1;
        // Remembered a hundred times a day at most: a crash forgets one percent.
        if self.today.posts.is_multiple_of((max.get() / 100).max(1)) {
            self.save(feed);
        }
        self.today.posts >= max.get()
    }

    /// Remembers the count.
    pub fn save(&self, feed: &Feed) {
        if self.max.is_some() {
            feed.state.set(FACT, self.today);
        }
    }

    fn is_full(&mut self, feed: &Feed) -> bool {
        self.turn_page(feed);
        self.max.is_some_and(|max| self.today.posts >= max.get())
    }

    fn turn_page(&mut self, feed: &Feed) {
        self.today = self.today.on(wall_secs(feed) / DAY_SECS);
    }
}

impl Today {
    /// The count on this `day`. A clock that was set back over midnight opens no new day; one that
    /// was more than a day ahead was wrong.
    fn on(self, day: u64) -> Self {
        if day == self.day || day + 1 == self.day {
            self
        } else {
            Self { day, posts: 0 }
        }
    }
}

fn wall_secs(feed: &Feed) -> u64 {
    feed.clock
        .wall()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
}

impl std::fmt::Display for Today {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.day, self.posts)
    }
}

impl FromStr for Today {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (day, posts) = text.split_once(' ').ok_or(())?;
        Ok(Self {
            day: day.parse().map_err(|_| ())?,
            posts: posts.parse().map_err(|_| ())?,
        })
    }
}

#[cfg(test)]
mod tests;
