//! Attacks on the real program: what another user of the machine, a disk, or a program it calls may do to it. One test a line, so that
//! `cargo test -p headwater --test attacks -- --show-output` is the list with its verdicts.

#[path = "../support/mod.rs"]
mod support;

mod credentials;
mod disk;
mod files;
mod planted;
mod stage;
