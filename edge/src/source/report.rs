//! Complaints about input, told often enough and no more.

use std::time::Duration;

use super::Feed;

/// How long one kind of complaint is kept back after it was told.
const QUIET: Duration = Duration::from_secs(60);

/// One kind of complaint.
#[derive(Debug, Default)]
pub struct Complaint {
    told: Option<Duration>,
    kept_back: u64,
}

impl Complaint {
    /// Counts one more; when it is time to tell, how many there were since the last telling.
    pub fn due(&mut self, feed: &Feed) -> Option<u64> {
        self.kept_back += 1;
        let now = feed.clock.elapsed();
        if self
            .told
            .is_some_and(|told| now.saturating_sub(told) < QUIET)
        {
            return None;
        }
        self.told = Some(now);
        Some(std::mem::take(&mut self.kept_back))
    }
}

/// Input that could not become a record.
#[derive(Debug, Default)]
pub struct Unusable(Complaint);

impl Unusable {
    /// Counts it, and says what was left out and why, at most once a minute.
    pub fn count(&mut self, feed: &Feed, what: &str, why: impl std::fmt::Display) {
        feed.counters.unusable.add(1);
        match self.0.due(feed) {
            None => {}
            Some(1) => log::warn!("left out {what}: {why}; reading goes on"),
            Some(n) => log::warn!(
                "left out {what}: {why}; {n} since the last such message; reading goes on"
            ),
        }
    }
}
