//! The request to end, made once and seen by every thread.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// The request, and a way to wait for it.
#[derive(Debug, Default)]
pub struct Stop {
    asked: AtomicBool,
    /// Held while the request is made, so that no thread misses it between its check and its wait.
    asking: Mutex<()>,
    changed: Condvar,
}

impl Stop {
    /// Makes the request: every thread is to end.
    pub fn ask(&self) {
        let asking = self.asking.lock().unwrap_or_else(PoisonError::into_inner);
        self.asked.store(true, Ordering::SeqCst);
        drop(asking);
        self.changed.notify_all();
    }

    /// Whether the request was made.
    pub fn asked(&self) -> bool {
        self.asked.load(Ordering::SeqCst)
    }

    /// Waits for the request, for `at_most` at the longest. True if it was made.
    pub fn wait(&self, at_most: Duration) -> bool {
        let asking = self.asking.lock().unwrap_or_else(PoisonError::into_inner);
        let woken = self
            .changed
            .wait_timeout_while(asking, at_most, |()| !self.asked());
        drop(woken);
        self.asked()
    }
}
