//! Once a second, takes a snapshot of the run and writes it to the status file in RAM (for `headwater status`) and to the metrics file, and
//! feeds systemd's watchdog while every thread makes progress.
//!
//! An outage, a server that hangs and a full spool do not trigger a restart: the threads give signs of life throughout. Nor does a card that
//! hangs, whichever thread waits for it: a new process would wait for it, too. A thread that gives no sign of life (see
//! [`Vitals`](crate::observe::vitals::Vitals)) does, and so does a spool whose lock is never released, because the monitor itself then stops.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use log::Level;

use crate::observe::counters::Counters;
use crate::observe::past::Past;
use crate::observe::snapshot::{About, Snapshot};
use crate::observe::systemd::Systemd;
use crate::observe::{journal, metrics};
use crate::platform::file;
use crate::platform::rewriter::Rewriter;
use crate::platform::time::Clock;
use crate::platform::tmpfs;
use crate::spool::Spool;

/// A call that takes longer than this is reported as trouble, although it may still succeed.
const LONG_CALL: Duration = Duration::from_secs(30);

/// Interval of snapshots.
pub const EVERY: Duration = Duration::from_secs(1);

/// How long the monitor waits for a silent thread, or a silent card.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For a thread, beyond the time that it announced. It is longer than any step without a sign of life, such as a DNS lookup, a TLS handshake, or
    /// a write to a slow card.
    pub thread: Duration,
    /// For the card. A batch is some hundred KiB; a card that is busy with its own housekeeping takes a few seconds for it.
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
    /// The default. A build with debug assertions shortens it to HEADWATER_TEST_PATIENCE_S, for tests that would take minutes. A release build ignores
    /// that variable.
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

/// What is watched, and where the figures go.
#[derive(Debug)]
pub struct Monitor {
    /// The program and its settings, as the snapshot shows them.
    pub about: About,
    /// The counters of all threads.
    pub counters: Arc<Counters>,
    /// The queue.
    pub spool: Arc<Spool>,
    /// The program's clock.
    pub clock: Arc<dyn Clock>,
    /// The file that `headwater status` reads, on tmpfs.
    pub status_file: Option<PathBuf>,
    /// The metrics file, for node_exporter's textfile collector.
    pub metrics: Option<Rewriter>,
    /// The service manager.
    pub systemd: Systemd,
    /// Time limits for silence.
    pub patience: Patience,
    /// Earlier figures, from which rates are computed.
    pub past: Past,
}

impl Monitor {
    /// Takes and writes one snapshot, and feeds the watchdog.
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
                "the thread '{thread}' has stopped moving: a bug, please report it; every post that was read is kept, \
                 and systemd will start the program again"
            ),
        }
    }

    /// Reports a call that takes long, because the uplink's thread itself is waiting for it.
    fn watch_call(&self) {
        let now = self.clock.elapsed();
        let since = self.counters.call.get();
        if let Some(since) = since.filter(|since| now.saturating_sub(*since) >= LONG_CALL) {
            let (host, seconds) = (&self.about.host, (now - since).as_secs());
            let text = format!(
                "a call to {host} has lasted {seconds} s and is not answered: the network or the server is slow; every post is kept"
            );
            self.counters
                .uplink
                .trouble(Level::Warn, true, &text, since);
        }
    }

    /// Whether the card answers. A change is reported.
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
                "posts that are only on the card are delivered when it answers, and later ones after them",
            ),
            (None, Some(time)) => (
                time,
                "delivery goes on through RAM, but a power cut loses the posts that wait",
            ),
            (None, None) => {
                self.counters.card.well("the card answers", now);
                return true;
            }
        };
        let text = format!(
            "the card does not answer: {what_it_means}; look at 'dmesg', and replace the card if this happens again"
        );
        let known = self.counters.card.current_trouble(now);
        if known.is_none_or(|(_, known)| known != text) {
            let since = now.saturating_sub(silent_for);
            self.counters.card.trouble(Level::Error, true, &text, since);
        }
        false
    }

    /// Writes the last figures.
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

    /// The current figures.
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
            // If this fails, only `headwater status` lacks its figures.
            let _ = file::replace(path, &json, tmpfs::status_readers(path));
        }
        if let Some(file) = &self.metrics {
            file.replace(metrics::text(snapshot).into_bytes());
        }
    }
}

/// The line that `systemctl status` shows.
fn in_a_line(snapshot: &Snapshot) -> String {
    let Snapshot {
        read,
        delivered,
        waiting_records,
        ..
    } = snapshot;
    format!("{read} read, {delivered} acknowledged, {waiting_records} wait")
}
