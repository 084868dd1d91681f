//! Ctrl-C, and its relatives: what runs is ended in order, by returning.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, ensure};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

/// Whether the user wants it to end.
#[derive(Debug)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    pub fn listen() -> anyhow::Result<Self> {
        let came = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            // The second one ends the program on the spot: what it started goes too, see `testkit::process`.
            signal_hook::flag::register_conditional_shutdown(signal, 130, Arc::clone(&came))
                .and_then(|_| signal_hook::flag::register(signal, Arc::clone(&came)))
                .context("signals cannot be listened to")?;
        }
        Ok(Self(came))
    }

    pub fn came(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// An error once it came.
    pub fn check(&self) -> anyhow::Result<()> {
        ensure!(!self.came(), "interrupted");
        Ok(())
    }
}
