//! How the program reports on itself: to the journal, `headwater status`, Prometheus and systemd.
//!
//! Every thread updates [`counters`], and its health in [`vitals`]. Once a second the [`monitor`] takes a [`snapshot`] of them, which is shown in
//! three forms: the [`screen`] of `headwater status`, its JSON, and Prometheus text ([`metrics`]).
//! A [`report`] tells the fleet how the board is.

pub mod counters;
pub mod journal;
pub mod metrics;
pub mod monitor;
pub mod past;
pub mod report;
pub mod screen;
pub mod snapshot;
pub mod systemd;
pub mod vitals;
