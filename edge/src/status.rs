//! What the program tells of itself: counters that every thread adds to, and what is made of them.

use std::fmt::Write;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::spool::Stats;
use crate::state;

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Counts `n` more.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// The count so far.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What happened since the program started. What the spool counts over its whole life stands in [`crate::spool::Stats`].
#[derive(Debug, Default)]
pub struct Counters {
    /// Records the source handed over.
    pub read: Counter,
    /// Events the filter did not want.
    pub filtered: Counter,
    /// Inputs that could not become a record: too long, not UTF-8, not the source's format.
    pub unusable: Counter,
    /// Connections of the source that were lost and opened again.
    pub reconnects: Counter,
    /// Records Kinesis acknowledged.
    pub delivered: Counter,
    /// Records Kinesis can never take, set aside in the dead-letter file.
    pub impossible: Counter,
    /// Calls to Kinesis, whatever their outcome.
    pub calls: Counter,
    /// Records sent again after a failure.
    pub retried: Counter,
}

/// One moment's figures.
#[derive(Clone, Debug, Default)]
pub struct Snapshot(Vec<(&'static Metric, u64)>);

/// One figure, by Prometheus's conventions.
#[derive(Debug)]
pub struct Metric {
    /// Its name; a counter's ends in `_total`.
    pub name: &'static str,
    /// What it counts.
    pub help: &'static str,
    value: fn(&Counters, &Stats) -> u64,
}

/// Every figure of the metrics file.
pub const METRICS: &[Metric] = &[
    Metric {
        name: "headwater_read_total",
        help: "Records the source handed over since the start",
        value: |c, _| c.read.get(),
    },
    Metric {
        name: "headwater_filtered_total",
        help: "Events the filter did not want",
        value: |c, _| c.filtered.get(),
    },
    Metric {
        name: "headwater_unusable_total",
        help: "Inputs that could not become a record",
        value: |c, _| c.unusable.get(),
    },
    Metric {
        name: "headwater_reconnects_total",
        help: "Connections of the source lost and opened again",
        value: |c, _| c.reconnects.get(),
    },
    Metric {
        name: "headwater_delivered_total",
        help: "Records Kinesis acknowledged",
        value: |c, _| c.delivered.get(),
    },
    Metric {
        name: "headwater_impossible_total",
        help: "Records set aside in the dead-letter file",
        value: |c, _| c.impossible.get(),
    },
    Metric {
        name: "headwater_calls_total",
        help: "Calls to Kinesis, whatever their outcome",
        value: |c, _| c.calls.get(),
    },
    Metric {
        name: "headwater_retried_total",
        help: "Records sent again after a failure",
        value: |c, _| c.retried.get(),
    },
    Metric {
        name: "headwater_spool_waiting_records",
        help: "Records in the spool",
        value: |_, s| s.waiting_records,
    },
    Metric {
        name: "headwater_spool_waiting_bytes",
        help: "Their bytes",
        value: |_, s| s.waiting_bytes,
    },
    Metric {
        name: "headwater_spool_dropped_total",
        help: "Records dropped because the spool was full, over its life",
        value: |_, s| s.dropped,
    },
];

impl Snapshot {
    /// The figures now.
    pub fn take(counters: &Counters, stats: &Stats) -> Self {
        Self(
            METRICS
                .iter()
                .map(|metric| (metric, (metric.value)(counters, stats)))
                .collect(),
        )
    }

    /// The figures in Prometheus's text format.
    pub fn prometheus(&self) -> String {
        let mut text = String::new();
        for (Metric { name, help, .. }, value) in &self.0 {
            let kind = if name.ends_with("_total") {
                "counter"
            } else {
                "gauge"
            };
            let _ = writeln!(
                text,
                "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}"
            );
        }
        text
    }

    /// Puts the figures in the place of the file at `path`, for node_exporter's textfile collector.
    pub fn write_metrics(&self, path: &Path) {
        if let Err(error) = state::replace(path, self.prometheus().as_bytes()) {
            log::warn!(
                "the metrics file {} cannot be written ({error}); delivery goes on",
                path.display()
            );
        }
    }
}
