//! What the program tells of itself: to the journal, to `headwater status`, to Prometheus, to systemd.
//!
//! Every thread adds to [`counters`] and says how it is in its [`vitals`]; once a second the [`monitor`] makes a [`snapshot`] of them, which
//! is read in three ways: the [`screen`] of `headwater status`, its JSON, and Prometheus's text ([`metrics`]). To its fleet the board tells
//! how it is by a [`report`].

pub mod counters;
pub mod journal;
pub mod metrics;
pub mod monitor;
pub mod report;
pub mod screen;
pub mod snapshot;
pub mod systemd;
pub mod vitals;
