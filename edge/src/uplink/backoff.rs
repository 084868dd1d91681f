//! How long to wait before the next attempt: exponential backoff with full jitter, so that a fleet whose network failed does not return in one
//! moment ("Exponential Backoff And Jitter", AWS Architecture Blog, section "Adding Jitter").

use std::time::Duration;

use ring::rand::{SecureRandom, SystemRandom};

const FIRST: Duration = Duration::from_millis(100);
const CEILING: Duration = Duration::from_secs(10);

const FIRST_SLOW: Duration = Duration::from_secs(5);
const CEILING_SLOW: Duration = Duration::from_secs(60);

/// Counts the attempts that failed in a row.
#[derive(Debug, Default)]
pub struct Backoff {
    failed: u32,
}

impl Backoff {
    /// Counts one more failure and returns the pause before the next attempt: a random time up to 100 ms, doubled with each failure up to
    /// 10 s. If a person must act first (`slow`), at least half of a limit that doubles from 5 s to 60 s.
    pub fn next(&mut self, slow: bool) -> Duration {
        let (least, most) = self.bounds(slow);
        least + (most - least).mul_f64(random_fraction())
    }

    /// Counts one more failure, as [`Self::next`] does, and returns the shortest and the longest pause.
    pub fn bounds(&mut self, slow: bool) -> (Duration, Duration) {
        let (first, ceiling, least) = if slow {
            (FIRST_SLOW, CEILING_SLOW, 0.5)
        } else {
            (FIRST, CEILING, 0.0)
        };
        let most = ceiling.min(first.saturating_mul(1 << self.failed.min(16)));
        self.failed = self.failed.saturating_add(1);
        (most.mul_f64(least), most)
    }

    /// Begins again with the shortest pause: a record was delivered.
    pub fn reset(&mut self) {
        self.failed = 0;
    }
}

/// A random number from 0 to 1.
fn random_fraction() -> f64 {
    let mut bytes = [0; 4];
    // If the system gives no random numbers, the pause is the longest.
    match SystemRandom::new().fill(&mut bytes) {
        Ok(()) => f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX),
        Err(_) => 1.0,
    }
}

#[cfg(test)]
mod tests;
