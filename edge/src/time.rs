//! Time as the rest of the program sees it: passed in, so that tests own it.

use std::fmt;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

/// Where the program gets its time from.
pub trait Clock: Send + Sync + fmt::Debug {
    /// The board's own wall clock, right or wrong. `aws::clock` knows how far it is off.
    fn wall(&self) -> SystemTime;

    /// Time since some fixed moment, which never runs backwards.
    fn elapsed(&self) -> Duration;

    /// Lets `pause` go by, or less if `stop` is asked for meanwhile. True when it was.
    fn sleep(&self, pause: Duration, stop: &Stop) -> bool;
}

/// The machine's clocks.
#[derive(Debug)]
pub struct SystemClock {
    start: Instant,
}

impl Default for SystemClock {
    fn default() -> Self {
        Self {
            start: Instant::now(),
        }
    }
}

impl Clock for SystemClock {
    fn wall(&self) -> SystemTime {
        SystemTime::now()
    }

    fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    fn sleep(&self, pause: Duration, stop: &Stop) -> bool {
        stop.wait(pause)
    }
}

/// The request to end, made once and seen by every thread.
#[derive(Debug, Default)]
pub struct Stop {
    asked: Mutex<bool>,
    changed: Condvar,
}

impl Stop {
    /// Asks every thread to end.
    pub fn ask(&self) {
        *self.asked.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
    }

    /// Whether the end was asked for.
    pub fn asked(&self) -> bool {
        *self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the end is asked for, `at_most` long. True when it was.
    pub fn wait(&self, at_most: Duration) -> bool {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let (asked, _) = self
            .changed
            .wait_timeout_while(asked, at_most, |asked| !*asked)
            .unwrap_or_else(PoisonError::into_inner);
        *asked
    }
}
