//! What systemd hears, over a socket of the tests' own: a program that can heal by itself is left alone, one that stands still is not.

mod support;

use std::net::TcpListener;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::time::Duration;

use headwater::monitor::Monitor;
use headwater::spool::WhenFull;
use headwater::time::Clock;
use rustix::process::Signal;
use support::kinesis::Kinesis;
use support::monitor::watched;
use support::program::{Board, PATIENCE};
use tempfile::TempDir;

/// The other end of NOTIFY_SOCKET.
struct Listener {
    folder: TempDir,
    socket: UnixDatagram,
}

impl Listener {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = UnixDatagram::bind(folder.path().join("notify")).unwrap();
        Self { folder, socket }
    }

    fn path(&self) -> String {
        self.folder.path().join("notify").display().to_string()
    }

    fn spool(&self) -> PathBuf {
        self.folder.path().join("spool")
    }

    /// The next message, if one comes in time.
    fn next(&self, patience: Duration) -> Option<String> {
        let mut buffer = [0; 4096];
        self.socket.set_read_timeout(Some(patience)).unwrap();
        let length = self.socket.recv(&mut buffer).ok()?;
        Some(String::from_utf8(buffer[..length].to_vec()).unwrap())
    }

    /// Waits for signs of life.
    fn signs(&self, count: usize) {
        let mut seen = 0;
        while seen < count {
            let message = self.next(PATIENCE).expect("a message");
            seen += usize::from(message.contains("WATCHDOG=1"));
        }
    }
}

fn board(url: &str, listener: &Listener) -> Board {
    // Half a second is half a second: signs of life come once a second at most.
    Board::new(url)
        .with("NOTIFY_SOCKET", &listener.path())
        .with("WATCHDOG_USEC", "2000000")
}

#[test]
fn systemd_hears_that_it_is_ready_that_it_lives_and_that_it_ends() {
    let listener = Listener::new();
    let server = Kinesis::scripted([]);
    let running = board(&server.url(), &listener).start(&[]);
    assert_eq!(listener.next(PATIENCE).unwrap(), "READY=1");
    let message = listener.next(PATIENCE).unwrap();
    assert_eq!(message, "WATCHDOG=1\nSTATUS=0 read, 0 acknowledged, 0 wait");
    listener.signs(1);
    running.signal(Signal::TERM);
    let mut last = String::new();
    while last != "STOPPING=1" {
        last = listener.next(PATIENCE).unwrap();
    }
    assert!(running.end().0);
}

#[test]
fn a_server_that_hangs_and_one_that_is_gone_are_no_reason_to_start_again() {
    let hangs = TcpListener::bind("127.0.0.1:0").unwrap();
    let gone = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    for address in [hangs.local_addr().unwrap(), gone] {
        let listener = Listener::new();
        let mut running = board(&format!("http://{address}"), &listener).start(&[]);
        running.write(&["a line"]);
        listener.signs(3);
    }
}

#[test]
fn a_program_that_is_stopped_is_silent_and_loses_nothing_when_it_goes_on() {
    let listener = Listener::new();
    let server = Kinesis::scripted([]);
    let mut running = board(&server.url(), &listener).start(&[]);
    running.write(&["before"]);
    listener.signs(1);
    // When it is stopped, then the signs of life that were on their way are the last
    running.signal(Signal::STOP);
    while listener.next(Duration::from_secs(3)).is_some() {}
    running.write(&["meanwhile"]);
    // When it goes on, then so do they, and every line arrives
    running.signal(Signal::CONT);
    listener.signs(1);
    assert!(running.end().0);
    assert_eq!(server.data().len(), 2);
}

/// Whether the monitor gives a sign of life now.
fn lives(monitor: &mut Monitor, listener: &Listener) -> bool {
    monitor.tick();
    // What was sent to a socket of this machine is there.
    listener.next(Duration::from_millis(10)).is_some()
}

#[test]
fn a_thread_that_stands_still_starves_the_watchdog_and_one_that_waits_does_not() {
    let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
    let listener = Listener::new();
    let (mut monitor, feed, clock) = watched(listener.spool(), WhenFull::Block, &listener.path());
    feed.alive();
    assert!(lives(&mut monitor, &listener), "the source moves");

    // A pause of sixteen minutes was announced
    feed.counters.source.alive(clock.elapsed(), minutes(16));
    clock.advance(minutes(16));
    assert!(
        lives(&mut monitor, &listener),
        "the source sleeps as it said"
    );

    // Nothing is heard of it after that, as of one that waits for a lock nobody lets go
    clock.advance(minutes(3));
    assert!(!lives(&mut monitor, &listener), "the source stands still");
    clock.advance(minutes(60));
    assert!(!lives(&mut monitor, &listener), "for good");

    // It was only slow
    feed.alive();
    assert!(lives(&mut monitor, &listener), "the source moves again");

    // The uplink in turn
    feed.counters.uplink.alive(clock.elapsed(), minutes(0));
    clock.advance(minutes(3));
    feed.alive();
    assert!(!lives(&mut monitor, &listener), "the uplink stands still");
}
