//! The producer: from a live stream, through a queue that survives crashes, power cuts and outages, into Amazon Kinesis.
//!
//! ```text
//! source ──append──▶ spool ──peek──▶ uplink ──put──▶ Kinesis
//! (thread)            │  ▲           (thread)           │
//!                     │  └───────────── ack ◀───────────┘
//!                     └─ committer (thread): copies to the card what is not acknowledged in time
//! ```
//!
//! From the top: [`commands`] are what a person starts, with the [`settings`] given. A [`source`] appends each [`post`] to the [`spool`], the only
//! queue. The [`uplink`] delivers it, and removes it when Kinesis has acknowledged it. [`aws`] holds the credentials, the server's time and the
//! Kinesis API, [`net`] makes all connections, [`observe`] reports to the user and to systemd, [`platform`] is the machine. No module imports one
//! above it in this order: commands, settings, source and uplink, aws, net, observe, spool, post, platform.

pub mod aws;
pub mod commands;
#[cfg(any(test, fuzzing))]
#[path = "../../fuzz/src/board.rs"]
pub mod fuzzing;
pub mod net;
pub mod observe;
pub mod platform;
pub mod post;
pub mod settings;
pub mod source;
pub mod spool;
pub mod uplink;
