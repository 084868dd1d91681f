//! The whole pipeline on one machine, for `cargo demo` and for tests: the real programs between the servers of `testkit`, which stand in for
//! the sources, and a local AWS.
//!
//! ```text
//! x_api | jetstream | lines  ->  producer  ->  network | chaos  ->  ministack  ->  tally
//! ```
//!
//! - [`producer`] is the real `headwater`, which [`binaries`] builds, on a board of files.
//! - Between it and AWS lies a network of the test kit, or shards with limits ([`throttle`]).
//! - [`ministack`] is a local AWS. [`deploy`] brings the real template and function there, by the few calls of [`aws`], signed by [`sign`].
//! - [`tally`] counts in the end.

pub mod aws;
pub mod binaries;
pub mod deploy;
pub mod ministack;
pub mod producer;
pub mod sign;
pub mod tally;
pub mod throttle;
