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
        let (first, ceiling, least) = if slow {
            (FIRST_SLOW, CEILING_SLOW, 0.5)
        } else {
            (FIRST, CEILING, 0.0)
        };
        let most = ceiling.min(first.saturating_mul(1 << self.failed.min(16)));
        self.failed = self.failed.saturating_add(1);
        most.mul_f64(least + (1.0 - least) * random_fraction())
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
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_their_ceiling_and_start_again_after_success() {
        let mut backoff = Backoff::default();
        for failed in 0..100u32 {
            let most = CEILING.min(FIRST.saturating_mul(1 << failed.min(16)));
            assert!(backoff.next(false) <= most, "after {failed} failures");
        }
        backoff.reset();
        assert!(backoff.next(false) <= FIRST);
    }

    #[test]
    fn a_fleet_does_not_come_back_together() {
        let pauses: std::collections::BTreeSet<_> = (0..20)
            .map(|_| {
                let mut board = Backoff { failed: 10 };
                board.next(false)
            })
            .collect();
        assert!(pauses.len() > 10, "{pauses:?}");
    }

    #[test]
    fn what_a_person_must_mend_is_tried_slowly() {
        let mut backoff = Backoff::default();
        assert!(backoff.next(true) >= FIRST_SLOW / 2);
        for _ in 0..40 {
            assert!(backoff.next(true) <= CEILING_SLOW);
        }
    }
}
