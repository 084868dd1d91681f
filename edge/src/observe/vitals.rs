//! How one thread is, as the others see it: whether it moves, and what troubles it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use log::Level;

use crate::observe::journal;

/// Trouble that was over sooner than this, and heals by itself, is not worth a line.
const UNSAID: Duration = Duration::from_secs(2);

/// One thread's signs of life.
#[derive(Debug, Default)]
pub struct Vitals {
    /// Until when its silence is no reason to worry, in ms of the program's clock; 0 for a thread that nobody waits for.
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
    /// The thread moves, and may now be silent for `at_most`, and some more on a slow board.
    pub fn alive(&self, now: Duration, at_most: Duration) {
        let due = now.saturating_add(at_most).as_millis();
        let due_ms = u64::try_from(due).unwrap_or(u64::MAX);
        self.due_ms.store(due_ms.max(1), Ordering::Relaxed);
    }

    /// The thread waits for another one, or has ended: its silence says nothing.
    pub fn waits(&self) {
        self.due_ms.store(0, Ordering::Relaxed);
    }

    /// Whether the thread has been silent for longer than it may, and `margin` more.
    pub fn is_stuck(&self, now: Duration, margin: Duration) -> bool {
        match self.due_ms.load(Ordering::Relaxed) {
            0 => false,
            due_ms => now > Duration::from_millis(due_ms).saturating_add(margin),
        }
    }

    /// There is trouble, new or the same as before. It is said at once as an error (a person must act) or if it is `news`, else when it
    /// lasts.
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

    /// The trouble, if there was any, is over. `what` happens again is said if the trouble was.
    pub fn well(&self, what: &str, now: Duration) {
        if let Some(trouble) = self.lock().take()
            && trouble.said
        {
            let lasted = now.saturating_sub(trouble.since).as_secs();
            log::info!("{what} again, after {lasted} s");
        }
    }

    /// The trouble of the moment, and for how long there has been any.
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
