//! How long to wait before the next attempt: exponential with full jitter, so that a fleet which lost its network together does not come
//! back together.

use std::time::Duration;

use ring::rand::{SecureRandom, SystemRandom};

const FIRST: Duration = Duration::from_millis(100);
const CEILING: Duration = Duration::from_secs(10);

const FIRST_SLOW: Duration = Duration::from_secs(5);
const CEILING_SLOW: Duration = Duration::from_secs(60);

/// The attempts in a row that failed.
#[derive(Debug, Default)]
pub struct Backoff {
    failed: u32,
}

impl Backoff {
    /// Counts one more failure and says how long to wait: anything up to 100 ms, doubling to 10 s; or, where a person must act first
    /// (`slow`), between half of and all of 5 s, doubling to 60 s.
    pub fn next(&mut self, slow: bool) -> Duration {
        let (least, most) = self.bounds(slow);
        least + (most - least).mul_f64(random_fraction())
    }

    /// The same, as the shortest and the longest time.
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

    /// Something arrived.
    pub fn reset(&mut self) {
        self.failed = 0;
    }
}

/// Between 0 and 1.
fn random_fraction() -> f64 {
    let mut bytes = [0; 4];
    // Without randomness the pause is its longest.
    match SystemRandom::new().fill(&mut bytes) {
        Ok(()) => f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX),
        Err(_) => 1.0,
    }
}

#[cfg(test)]
mod tests;
