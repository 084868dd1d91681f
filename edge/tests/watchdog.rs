//! What systemd hears, over a socket of the tests' own: a program that can heal by itself is left alone, one that stands still is not.

mod support;

use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::time::Duration;
use std::{fs, thread};

use log::Level;
use nix::sys::ptrace;
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;
use rustix::process::Signal;
use support::board::{board_to, heard_by};
use support::lines::append;
use support::monitor::watched;

use headwater::observe::monitor::Monitor;
use headwater::platform::time::Clock;
use headwater::spool::WhenFull;
use testkit::kinesis::{Kinesis, Reply};
use testkit::notify::Listener;
use testkit::program::Program;
use testkit::{PATIENCE, nobody, until};

#[test]
fn systemd_hears_that_it_is_ready_that_it_lives_and_that_it_ends() {
    let listener = Listener::new();
    let server = Kinesis::scripted([]);
    let running = heard_by(&listener, board_to(&server.url()))
        .start(&[])
        .unwrap();
    assert_eq!(listener.next(PATIENCE).unwrap(), "READY=1");
    let message = listener.next(PATIENCE).unwrap();
    // On a slow disk it goes on with the spool's file, which is still being made.
    let expected = "WATCHDOG=1\nSTATUS=0 read, 0 acknowledged, 0 wait";
    assert!(message.starts_with(expected), "{message}");
    listener.signs(1);
    running.signal(Signal::TERM);
    let mut last = String::new();
    while last != "STOPPING=1" {
        last = listener.next(PATIENCE).unwrap();
    }
    assert!(running.end().0);
}

#[test]
fn systemd_shows_a_new_trouble_at_once() {
    let listener = Listener::new();
    let (mut monitor, feed, _) = watched(listener.spool(), WhenFull::Block, &listener.path());
    feed.spool.commit();
    let mut heard = || {
        monitor.tick();
        listener.next(Duration::from_millis(10))
    };
    assert!(heard().is_some());
    assert_eq!(heard(), None, "nothing has changed");
    feed.trouble(Level::Warn, "the source is gone");
    assert!(heard().unwrap().ends_with("wait; the source is gone"));
    assert_eq!(heard(), None, "it is known");
    feed.well();
    assert!(heard().unwrap().ends_with(" wait"));
}

#[test]
fn settings_that_are_missing_are_one_line_of_the_journal_with_its_priority() {
    // Given standard error that is the journal's
    let board = board_to("http://127.0.0.1:1").with("AWS_REGION", "");
    let path = board.card().join("journal");
    let journal = fs::File::create(&path).unwrap();
    let metadata = journal.metadata().unwrap();
    let stream = format!("{}:{}", metadata.dev(), metadata.ino());
    let board = board.with("JOURNAL_STREAM", &stream);

    // When a setting is missing, then one line names it
    let status = board.command(&[]).stderr(journal).status().unwrap();
    assert_eq!(status.code(), Some(2));
    let said = fs::read_to_string(path).unwrap();
    assert!(
        said.starts_with("<3>headwater: set what is missing: AWS_REGION ("),
        "{said}"
    );
    assert_eq!(said.lines().count(), 1, "{said}");
}

#[test]
fn a_server_that_is_gone_is_no_reason_to_start_again() {
    let gone = nobody();
    let listener = Listener::new();
    let board = heard_by(&listener, board_to(&format!("http://{gone}")));
    let mut running = board.start(&[]).unwrap();
    running.write(&["a line"]);
    running.wait_for("every post is kept");
    listener.forget();
    listener.signs(3);
}

#[test]
fn a_server_that_hangs_is_no_reason_to_start_again_and_nothing_is_lost() {
    // Given a server that does not answer its first call
    let listener = Listener::new();
    let (answer, answers) = channel();
    let answers = Mutex::new(answers);
    let server = Kinesis::start(move |call, _| {
        if call == 0 {
            answers.lock().unwrap().recv().unwrap();
        }
        Reply::Accept
    });
    let mut running = heard_by(&listener, board_to(&server.url()))
        .start(&[])
        .unwrap();
    running.write(&["a line"]);
    until("the server is asked", || {
        (server.connections() > 0).then_some(())
    });

    // When it hangs, then the program gives signs of life
    listener.forget();
    listener.signs(3);

    // When it answers, then the line was not lost
    answer.send(()).unwrap();
    assert!(running.end().0);
    assert_eq!(server.data().len(), 1);
}

#[test]
fn a_program_that_is_stopped_is_silent_and_loses_nothing_when_it_goes_on() {
    let listener = Listener::new();
    let server = Kinesis::scripted([]);
    let mut running = heard_by(&listener, board_to(&server.url()))
        .start(&[])
        .unwrap();
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

/// Holds one thread of a program, and no other. It goes on when this is dropped, on the thread of the test that held it.
struct Held(Pid);

fn hold(running: &Program, name: &str) -> Held {
    let tasks = format!("/proc/{}/task", running.pid());
    let is_wanted = |task: &PathBuf| {
        let comm = fs::read_to_string(task.join("comm")).unwrap_or_default();
        comm.trim_end() == name
    };
    let task = fs::read_dir(tasks)
        .unwrap()
        .map(|task| task.unwrap().path())
        .find(is_wanted)
        .unwrap();
    let id = task.file_name().unwrap().to_str().unwrap();
    let held = Held(Pid::from_raw(id.parse().unwrap()));
    ptrace::seize(held.0, ptrace::Options::empty()).unwrap();
    ptrace::interrupt(held.0).unwrap();
    until("it stands still", || {
        let status = fs::read_to_string(task.join("status")).unwrap();
        status.contains("(tracing stop)").then_some(())
    });
    held
}

impl Drop for Held {
    fn drop(&mut self) {
        // One that was killed meanwhile is there until its tracer has seen the end of it.
        if ptrace::detach(self.0, None).is_err() {
            let _ = waitpid(self.0, Some(WaitPidFlag::__WALL));
        }
    }
}

/// When the thread called `name` stands still, then the program falls silent, and after a restart all is there, once.
fn is_found_out(name: &str) {
    // Given a program that follows a file, and has delivered its first line
    let listener = Listener::new();
    let server = Kinesis::scripted([]);
    // A user's program waits two minutes: a thread that looks up a name or writes to a slow card may be silent for nearly as long.
    let board = heard_by(&listener, board_to(&server.url())).with("HEADWATER_TEST_PATIENCE_S", "5");
    let input = board.card().join("input");
    append(&input, "before\n");
    let args = ["--input", input.to_str().unwrap()];
    let running = board.start(&args).unwrap();
    let arrive = |count| {
        until("they arrive", || {
            (server.data().len() == count).then_some(())
        });
    };
    arrive(1);
    // It is held between its steps: within one it may have the spool's lock, and what it has sent may not be acknowledged yet.
    until("it is acknowledged", || {
        let status = board.output(&["status", "--json"]).stdout;
        let status = String::from_utf8_lossy(&status).into_owned();
        let is_so =
            status.contains(r#""delivered":1,"#) && status.contains(r#""waiting_records":0,"#);
        is_so.then_some(())
    });

    // When one of its threads stands still, then it says so, and gives no more signs of life
    let held = hold(&running, name);
    append(&input, "meanwhile\n");
    running.wait_for(&format!("the thread '{name}' has stopped moving"));
    listener.forget();
    assert_eq!(listener.next(Duration::from_secs(3)), None);

    // When systemd ends it for that and starts it again, then nothing is lost, and nothing sent twice
    running.signal(Signal::ABORT);
    drop(held);
    running.end();
    let running = board.start(&args).unwrap();
    append(&input, "after\n");
    arrive(3);
    running.signal(Signal::TERM);
    assert!(running.end().0);
    let data = server.data().concat();
    for line in ["before", "meanwhile", "after"] {
        assert_eq!(data.matches(&format!("\"{line}\"")).count(), 1, "{data}");
    }
}

#[test]
#[cfg_attr(
    target_arch = "arm",
    ignore = "qemu's user mode, in which they run, has no ptrace"
)]
fn a_single_thread_that_stands_still_starves_the_watchdog_and_the_restart_loses_nothing() {
    thread::scope(|scope| {
        for name in ["source", "uplink"] {
            scope.spawn(move || is_found_out(name));
        }
    });
}
