//! Looks at the run once a second, and tells: the status file in RAM for `headwater status`, the metrics file, and systemd, which hears
//! that all is well only while every thread moves.
//!
//! Trouble that heals by itself, such as an outage, a server that hangs or a full spool, is no reason to be started again: the threads move
//! through it. Nor is a card that does not answer, whichever thread waits for it: a new program would wait for it at its very start. A thread
//! that gives no sign of life (see [`Vitals`](crate::observe::vitals::Vitals)) is one, and so is a spool that can no longer be asked for its figures,
//! which stops the monitor itself.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use log::Level;

use crate::observe::counters::Counters;
use crate::observe::snapshot::{About, Past, Snapshot};
use crate::observe::systemd::Systemd;
use crate::observe::{journal, metrics};
use crate::platform::file;
use crate::platform::rewriter::Rewriter;
use crate::platform::time::Clock;
use crate::platform::tmpfs;
use crate::spool::Spool;

/// A call that takes longer is trouble, though it may still be on its way.
const LONG_CALL: Duration = Duration::from_secs(30);

/// How often to look.
pub const EVERY: Duration = Duration::from_secs(1);

/// How long the monitor waits for what is silent before it calls it a fault.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// With a thread, beyond what it announced: longer than any step that one takes without a sign of life, such as a name looked up, a
    /// connection made, a slow card written to.
    pub thread: Duration,
    /// With the card: one that takes longer for a batch of some hundred KiB does not answer; one that is busy with itself takes a few seconds.
    pub card: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            thread: Duration::from_secs(2 * 60),
            card: Duration::from_secs(30),
        }
    }
}

impl Patience {
    /// That of a run. A build with debug assertions has no more than HEADWATER_TEST_PATIENCE_S, for tests that would take minutes; a released
    /// one does not know that variable.
    pub fn from_env(env: &dyn Fn(&str) -> Option<String>) -> Self {
        let of_tests = || env("HEADWATER_TEST_PATIENCE_S")?.parse().ok();
        match of_tests().filter(|_| cfg!(debug_assertions)) {
            Some(seconds) => Self::default().at_most(Duration::from_secs(seconds)),
            None => Self::default(),
        }
    }

    fn at_most(self, limit: Duration) -> Self {
        Self {
            thread: self.thread.min(limit),
            card: self.card.min(limit),
        }
    }
}

/// What is looked at, and who is told.
#[derive(Debug)]
pub struct Monitor {
    /// What runs.
    pub about: About,
    /// The figures of its threads.
    pub counters: Arc<Counters>,
    /// Where records wait.
    pub spool: Arc<Spool>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Where `headwater status` looks; on tmpfs.
    pub status_file: Option<PathBuf>,
    /// The metrics file, for node_exporter's textfile collector.
    pub metrics: Option<Rewriter>,
    /// Who starts the program again.
    pub systemd: Systemd,
    /// How long it waits for what is silent.
    pub patience: Patience,
    /// What it saw before.
    pub past: Past,
}

impl Monitor {
    /// Looks and tells.
    pub fn tick(&mut self) {
        let card_answers = self.listen_to_card();
        self.watch_call();
        let snapshot = self.snapshot();
        self.write(&snapshot);
        journal::sum_up(false);
        let now = self.clock.elapsed();
        let stuck = self.counters.stuck(now, self.patience.thread);
        match stuck.filter(|_| card_answers) {
            None => {
                let trouble = snapshot.troubles.first();
                let trouble = trouble.map(|trouble| trouble.text.as_str());
                self.systemd.alive(now, &in_a_line(&snapshot), trouble);
            }
            Some(thread) => log::error!(
                "the thread '{thread}' has stopped moving: a fault, please report it; every post that was read is kept, \
                 and systemd will start the program again"
            ),
        }
    }

    /// Tells of a call that lasts: its own thread waits for it.
    fn watch_call(&self) {
        let now = self.clock.elapsed();
        let since = self.counters.call.get();
        if let Some(since) = since.filter(|since| now.saturating_sub(*since) >= LONG_CALL) {
            let (host, seconds) = (&self.about.host, (now - since).as_secs());
            let text = format!(
                "a call to {host} has lasted {seconds} s and is not answered: the network is slow or the server is; every post is kept"
            );
            self.counters
                .uplink
                .trouble(Level::Warn, true, &text, since);
        }
    }

    /// Whether the card answers; a change is told.
    fn listen_to_card(&self) -> bool {
        let stats = self.spool.stats();
        let now = self.clock.elapsed();
        let silent_for =
            |waits: Option<Duration>| waits.filter(|waits| *waits >= self.patience.card);
        let (silent_for, what_it_means) = match (
            silent_for(stats.reading_for),
            silent_for(stats.writing_for),
        ) {
            (Some(time), _) => (
                time,
                "posts that only the card has are delivered when it does, and later ones after them",
            ),
            (None, Some(time)) => (
                time,
                "posts flow on through RAM, but a power cut loses those that wait",
            ),
            (None, None) => {
                self.counters.card.well("the card answers", now);
                return true;
            }
        };
        let text = format!(
            "the card does not answer: {what_it_means}; look at 'dmesg', and think of a new card"
        );
        let known = self.counters.card.current_trouble(now);
        if known.is_none_or(|(_, known)| known != text) {
            let since = now.saturating_sub(silent_for);
            self.counters.card.trouble(Level::Error, true, &text, since);
        }
        false
    }

    /// Tells the last figures.
    pub fn end(&mut self) {
        let snapshot = Snapshot {
            ended: true,
            ..self.snapshot()
        };
        self.write(&snapshot);
        if let Some(file) = &self.metrics {
            file.end(EVERY);
        }
        journal::sum_up(true);
    }

    /// The figures of this moment.
    pub fn snapshot(&mut self) -> Snapshot {
        let Self {
            about,
            counters,
            spool,
            clock,
            past,
            ..
        } = self;
        Snapshot::take(about, counters, &spool.stats(), past, &**clock)
    }

    fn write(&self, snapshot: &Snapshot) {
        if let Some(path) = &self.status_file
            && let Ok(json) = serde_json::to_vec(snapshot)
        {
            // Without it `headwater status` knows nothing; all else goes on.
            let _ = file::replace(path, &json, tmpfs::status_readers(path));
        }
        if let Some(file) = &self.metrics {
            file.replace(metrics::text(snapshot).into_bytes());
        }
    }
}

/// The figures that `systemctl status` shows.
fn in_a_line(snapshot: &Snapshot) -> String {
    let Snapshot {
        read,
        delivered,
        waiting_records,
        ..
    } = snapshot;
    format!("{read} read, {delivered} acknowledged, {waiting_records} wait")
}
