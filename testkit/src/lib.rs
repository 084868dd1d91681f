//! Test support that headwater's crates and tools share.
//!
//! - Over real sockets ([`server`], [`http`], [`tls`]) stand [`kinesis`], [`x_api`], [`jetstream`] and [`dynamodb`] in for the services of
//!   their names; a server for anything else is a [`web`]. What the sources send is made up in [`posts`].
//! - Between them and a program lies a [`network`] that can be cut, a [`link`] as slow or bad as it is told to be, a kernel's queue between
//!   two network namespaces ([`netns`]), [`chaos`], or a [`proxy`].
//! - A [`stream`] is a Kinesis whose [`shards`] refuse what is over their limits, and which knows what became of every record. A [`pack`] is
//!   read as its other consumers read it.
//! - [`contenders`] are headwater and what the benchmarks compare it with.
//! - [`program`] runs the program under test on a board of files, [`notify`] hears what systemd would, and [`process`] sees to it that nothing
//!   of all this outlives who started it.
//!
//! This crate depends on none of the crates under test, so that each can use it. That is why the tests' clock is in `headwater::platform::time`,
//! beside the trait that it implements: the unit tests of that crate are a different build than one that this crate could link to.

#[cfg(feature = "services")]
pub mod cbor;
#[cfg(feature = "services")]
pub mod chaos;
pub mod contenders;
#[cfg(feature = "services")]
pub mod dynamodb;
pub mod http;
#[cfg(feature = "services")]
pub mod jetstream;
#[cfg(feature = "services")]
pub mod kinesis;
pub mod link;
pub mod netns;
pub mod network;
pub mod notify;
#[cfg(feature = "packs")]
pub mod pack;
#[cfg(feature = "services")]
pub mod posts;
pub mod process;
pub mod program;
pub mod proxy;
pub mod server;
pub mod shards;
#[cfg(feature = "services")]
pub mod stream;
pub mod tls;
pub mod web;
#[cfg(feature = "services")]
pub mod x_api;

use std::time::{Duration, Instant};

/// How long a test waits for something that must happen.
pub const PATIENCE: Duration = Duration::from_secs(150);

/// Calls `ask` repeatedly until it returns something.
///
/// # Panics
/// It returns nothing for a long time.
pub fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    let mut pause = Duration::from_millis(1);
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(20));
    }
}

/// Waits until `is_so`.
///
/// # Panics
/// It is not so for a long time.
pub fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    until(what, || is_so().then_some(()));
}

/// A loopback address on which nothing listens, although something did a moment ago.
///
/// # Panics
/// No port can be had.
pub fn nobody() -> std::net::SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address")
}
