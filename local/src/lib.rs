//! The whole pipeline on one machine.
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
pub mod x_api;
