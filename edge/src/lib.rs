//! The producer: from a live stream, through a queue that survives what boards suffer, into Amazon Kinesis.
//!
//! ```text
//! source ──append──▶ spool ──peek──▶ uplink ──put──▶ Kinesis
//! (thread)            │  ▲           (thread)           │
//!                     │  └───────────── ack ◀───────────┘
//!                     └─ committer (thread): to the card what is not acknowledged in time
//! ```
//!
//! From the top: [`commands`] is what a person starts, by the [`settings`] given. A [`source`] hands each [`post`] to the [`spool`], the only
//! queue there is; the [`uplink`] lets go of it when Kinesis has it. [`aws`] knows the board's credentials, the server's time and the Kinesis
//! API, [`net`] makes all connections, [`observe`] tells the user and systemd how it goes, [`platform`] is the machine. No module imports
//! one above it in this order: commands, settings, source and uplink, aws, net, observe, spool, post, platform.

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
