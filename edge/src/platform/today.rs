//! A count that begins anew each day (UTC), and that the next process continues.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use crate::platform::time::since_1970;

/// Seconds of a day.
pub const DAY_SECONDS: u64 = 24 * 60 * 60;

/// The count of a day. As a fact: two numbers with a space between.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Today {
    /// Days since 1970.
    day: u64,
    /// What was counted on that day.
    pub count: u64,
}

impl Today {
    /// Starts a new count if `wall` is on another day.
    pub fn turn(&mut self, wall: SystemTime) {
        *self = self.on(since_1970(wall).as_secs() / DAY_SECONDS);
    }

    /// The count on this `day`. A clock that is set back over midnight does not start a new day; if it was more than a day ahead, it was wrong.
    fn on(self, day: u64) -> Self {
        if day == self.day || day + 1 == self.day {
            self
        } else {
            Self { day, count: 0 }
        }
    }
}

/// The time from `wall` until the next day.
pub fn until_midnight(wall: SystemTime) -> Duration {
    Duration::from_secs(DAY_SECONDS - since_1970(wall).as_secs() % DAY_SECONDS)
}

impl fmt::Display for Today {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.day, self.count)
    }
}

impl FromStr for Today {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (day, count) = text.split_once(' ').ok_or(())?;
        Ok(Self {
            day: day.parse().map_err(|_| ())?,
            count: count.parse().map_err(|_| ())?,
        })
    }
}

#[cfg(test)]
mod tests;
