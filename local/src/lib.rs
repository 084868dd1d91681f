//! The whole pipeline on one machine, for `cargo demo` and for tests.
//!
//! ```text
//! x_api | jetstream | lines  ->  producer  ->  network | chaos  ->  ministack  ->  tally
//! ```
//!
//! - What a source sends is made up in [`posts`], and sent by [`x_api`] and [`jetstream`], simulated servers on real sockets ([`server`],
//!   [`http`]).
//! - [`producer`] runs the real `headwater`, which [`binaries`] builds, on a board of files.
//! - Between it and AWS lies a [`network`] that can be cut, [`chaos`], or shards with limits ([`throttle`]).
//! - [`ministack`] is a local AWS. [`deploy`] brings the real template and function there, by the few calls of [`aws`], signed by [`sign`].
//! - [`tally`] counts in the end.
//! - [`process`] sees to it that nothing of all this outlives who started it.

pub mod aws;
pub mod binaries;
pub mod chaos;
pub mod deploy;
pub mod http;
pub mod jetstream;
pub mod ministack;
pub mod network;
pub mod posts;
pub mod process;
pub mod producer;
pub mod server;
pub mod sign;
pub mod tally;
pub mod throttle;
pub mod x_api;
