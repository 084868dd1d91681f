//! The health of one thread, as other threads see it: whether it makes progress, and what troubles it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use log::Level;

use crate::observe::journal;

/// Trouble that heals by itself within this time is not logged.
const UNSAID: Duration = Duration::from_secs(2);

/// One thread's health.
#[derive(Debug, Default)]
pub struct Vitals {
    /// When its next sign of life is due, in ms of the program's clock. 0 if none is expected.
    due_ms: AtomicU64,
    trouble: Mutex<Option<Ongoing>>,
}

#[derive(Debug)]
struct Ongoing {
    since: Duration,
    said: bool,
    text: String,
}

impl Vitals {
    /// Records a sign of life at `now`. The next one is due after `at_most`.
    pub fn alive(&self, now: Duration, at_most: Duration) {
        let due = now.saturating_add(at_most).as_millis();
        let due_ms = u64::try_from(due).unwrap_or(u64::MAX);
        self.due_ms.store(due_ms.max(1), Ordering::Relaxed);
    }

    /// Expects no sign of life from now on: the thread waits for another one, or has ended.
    pub fn waits(&self) {
        self.due_ms.store(0, Ordering::Relaxed);
    }

    /// Whether a sign of life is overdue by more than `margin`.
    pub fn is_stuck(&self, now: Duration, margin: Duration) -> bool {
        match self.due_ms.load(Ordering::Relaxed) {
            0 => false,
            due_ms => now > Duration::from_millis(due_ms).saturating_add(margin),
        }
    }

    /// Records trouble, new or ongoing. It is logged at once if it is an error (a person must act) or `news`, otherwise once it has lasted two
    /// seconds.
    pub fn trouble(&self, level: Level, news: bool, text: &str, now: Duration) {
        let text = journal::clean(text);
        let mut trouble = self.lock();
        let since = trouble.as_ref().map_or(now, |before| before.since);
        let said = trouble.as_ref().is_some_and(|before| before.said);
        let is_due = level == Level::Error || news || said || now.saturating_sub(since) >= UNSAID;
        if is_due {
            log::log!(level, "{text}");
        }
        *trouble = Some(Ongoing {
            since,
            said: said || is_due,
            text,
        });
    }

    /// Ends the trouble, if there was any. If it was logged, "`what` again" is logged.
    pub fn well(&self, what: &str, now: Duration) {
        if let Some(trouble) = self.lock().take()
            && trouble.said
        {
            let lasted = now.saturating_sub(trouble.since).as_secs();
            log::info!("{what} again, after {lasted} s");
        }
    }

    /// The current trouble, and how long there has been any.
    pub fn current_trouble(&self, now: Duration) -> Option<(Duration, String)> {
        self.lock()
            .as_ref()
            .map(|trouble| (now.saturating_sub(trouble.since), trouble.text.clone()))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Ongoing>> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
