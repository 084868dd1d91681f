//! The request to end.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// The request to end, made once and seen by every thread.
#[derive(Debug, Default)]
pub struct Stop {
    asked: AtomicBool,
    /// Held while the request is made, so that nobody begins to wait just then.
    asking: Mutex<()>,
    changed: Condvar,
}

impl Stop {
    /// Asks every thread to end.
    pub fn ask(&self) {
        let asking = self.asking.lock().unwrap_or_else(PoisonError::into_inner);
        self.asked.store(true, Ordering::SeqCst);
        drop(asking);
        self.changed.notify_all();
    }

    /// Whether the end was asked for.
    pub fn asked(&self) -> bool {
        self.asked.load(Ordering::SeqCst)
    }

    /// Waits until the end is asked for, `at_most` long. True when it was.
    pub fn wait(&self, at_most: Duration) -> bool {
        let asking = self.asking.lock().unwrap_or_else(PoisonError::into_inner);
        let woken = self
            .changed
            .wait_timeout_while(asking, at_most, |()| !self.asked());
        drop(woken);
        self.asked()
    }
}
