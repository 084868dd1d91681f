//! Handles Ctrl-C and similar signals: the demo returns, so that everything it started ends in order.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, ensure};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

/// Whether a signal has come.
#[derive(Debug)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    pub fn listen() -> anyhow::Result<Self> {
        let came = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            // The second one ends the program at once. Its child processes end, too: see `testkit::process`.
            signal_hook::flag::register_conditional_shutdown(signal, 130, Arc::clone(&came))
                .and_then(|_| signal_hook::flag::register(signal, Arc::clone(&came)))
                .context("signals cannot be listened to")?;
        }
        Ok(Self(came))
    }

    pub fn came(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// An error if a signal has come.
    pub fn check(&self) -> anyhow::Result<()> {
        ensure!(!self.came(), "interrupted");
        Ok(())
    }
}
