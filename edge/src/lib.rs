//! The producer: from a live stream, through a queue that survives what boards suffer, into Amazon Kinesis.
//!
//! ```text
//! source ──append──▶ spool ──peek──▶ uplink ──put──▶ Kinesis
//! (thread)            │  ▲           (thread)           │
//!                     │  └───────────── ack ◀───────────┘
//!                     └─ committer (thread): to the card what is not acknowledged in time
//! ```
//!
//! [`cli`] reads what the user asked for, [`run`] starts the threads and ends them. A [`source`] hands each
//! [`record`] to the [`spool`], the only queue there is; the [`uplink`] lets go of it when Kinesis has it. All else
//! serves these: [`filter`] is the keyword; [`kinesis`] builds requests and reads answers; [`aws`] knows
//! who the board is and what time it is for the server; [`http`] is what all connections have in common, [`net`] what they are made of; [`state`] and
//! [`runtime`] keep small facts across a restart, and [`file`] opens files without a write to the card; the [`monitor`] tells
//! [`systemd`] and the user how it goes, in the words and figures of [`status`] and [`report`]; [`check`] tries all that a run needs.

pub mod aws;
pub mod check;
pub mod cli;
pub mod file;
pub mod filter;
pub mod http;
pub mod kinesis;
pub mod monitor;
pub mod net;
pub mod record;
pub mod report;
pub mod run;
pub mod runtime;
pub mod source;
pub mod spool;
pub mod state;
pub mod status;
pub mod systemd;
pub mod time;
pub mod uplink;
