//! `cargo demo`, as the user sees it, and what is left of it however it ends.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

fn demo(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_demo"));
    command.args(arguments).stdin(Stdio::null());
    command
}

fn last_line(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().last().unwrap_or_default().to_owned()
}

#[test]
fn it_ends_with_a_count_that_adds_up() {
    // Each waits for an outage or for its posts: side by side they take as long as one.
    let cases: [&[&str]; 4] = [
        &["--outage", "2", "pizza"],
        &["--no-outage", "東京 タワー"],
        &["--no-outage", "--source", "lines"],
        &[
            "--no-outage",
            "--source",
            "jetstream",
            "--offline",
            "deep",
            "dish",
        ],
    ];
    thread::scope(|scope| {
        for arguments in cases {
            scope.spawn(move || adds_up(arguments));
        }
    });
}

fn adds_up(arguments: &[&str]) {
    let output = demo(&["--posts", "40"]).args(arguments).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{arguments:?}: {text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(
        last_line(&output),
        "read 40, stored 40, lost 0, twice 0",
        "{text}"
    );
}

#[test]
fn what_x_had_while_the_network_failed_is_fetched_and_counted() {
    for arguments in [&["pizza"][..], &["--outage", "source", "pizza"]] {
        let output = demo(arguments).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success(),
            "{arguments:?}: {text}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        assert!(text.contains("the network to X fails"), "{text}");
        assert!(text.contains("were fetched from X's search"), "{text}");
        assert_eq!(
            last_line(&output),
            "read 200, stored 200, lost 0, twice 0",
            "{text}"
        );
    }
}

#[test]
fn a_spool_too_small_for_the_outage_counts_what_it_drops() {
    let arguments = [
        "--posts",
        "6000",
        "--rate",
        "1500",
        "--spool-size",
        "1MiB",
        "--outage",
        "6",
    ];
    let output = demo(&arguments).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(text.contains("dropped = 6000 read"), "{text}");
    let last = last_line(&output);
    assert!(
        last.starts_with("read 6000, ") && last.contains(", lost 0, twice 0, dropped "),
        "{text}"
    );
}

#[test]
fn a_board_of_a_fleet_that_is_unplugged_is_named_and_named_well_again() {
    let arguments = ["--boards", "5", "--silent-after", "25", "--rate", "5"];
    let output = demo(&arguments).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let told = |what: &str| text.matches(what).count();
    assert_eq!(
        told("headwater: 1 board is silent\": board-3: last heard of"),
        1,
        "{text}"
    );
    assert_eq!(
        told("headwater: 1 board is back\": board-3: was silent from"),
        1,
        "{text}"
    );
    assert!(last_line(&output).contains(", lost 0, "), "{text}");
}

#[test]
fn ctrl_c_and_kill_leave_no_process_and_no_file_behind() {
    for (signal, exit_code) in [(Signal::INT, Some(130)), (Signal::KILL, None)] {
        // Given a demo at work, with a local AWS, the function and the producer
        let mut demo = demo(&["--posts", "10000", "--no-outage"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(demo.stdout.take().unwrap())
            .lines()
            .map_while(Result::ok);
        let at_work = lines.take_while(|line| !line.contains("stored 1")).count();
        assert!(at_work > 0);
        let started = descendants(&demo);
        let folders = folders_of(&started);
        for name in ["hypercorn", "bootstrap", "headwater"] {
            assert!(
                started.values().any(|line| line.contains(name)),
                "no {name} in {started:#?}"
            );
        }
        assert!(!folders.is_empty());

        // When it is ended
        kill_process(Pid::from_child(&demo), signal).unwrap();
        let status = demo.wait().unwrap();

        // Then so is everything it started, and its files are gone
        assert_eq!(status.code(), exit_code);
        let left = || {
            let alive = started
                .iter()
                .filter(|(pid, line)| command_line(**pid).as_ref() == Some(line));
            let files = folders.iter().filter(|folder| fs::exists(folder).unwrap());
            (alive.count(), files.count())
        };
        let deadline = Instant::now() + Duration::from_secs(20);
        while left() != (0, 0) {
            assert!(
                Instant::now() < deadline,
                "left of {started:#?}: {:?}",
                left()
            );
            thread::sleep(Duration::from_millis(50));
        }
    }
}

#[test]
fn what_it_does_not_understand_is_one_line_and_exit_2() {
    for arguments in [
        &["--posts", "many"][..],
        &["--posts", "0"],
        &["--fast"],
        &["--source", "rss"],
        &["--offline"],
        &["--outage", "soon"],
        &["--outage", "source", "--source", "lines"],
        &["--boards", "0"],
        &["--boards", "5", "--network", "2g"],
    ] {
        let output = demo(arguments).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
}

/// The command lines of all that a process started, and of what those started, by process id.
fn descendants(root: &Child) -> BTreeMap<u32, String> {
    let mut found = BTreeMap::from([(root.id(), String::new())]);
    loop {
        let before = found.len();
        for entry in fs::read_dir("/proc").unwrap().flatten() {
            let Ok(pid) = entry.file_name().to_string_lossy().parse() else {
                continue;
            };
            if parent(pid).is_some_and(|parent| found.contains_key(&parent)) {
                found.extend(command_line(pid).map(|line| (pid, line)));
            }
        }
        if found.len() == before {
            found.remove(&root.id());
            return found;
        }
    }
}

fn parent(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in parentheses, may hold spaces; behind it come the state and the parent.
    stat.rsplit_once(')')?
        .1
        .split_whitespace()
        .nth(1)?
        .parse()
        .ok()
}

/// A zombie has none: it has ended.
fn command_line(pid: u32) -> Option<String> {
    let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let line = String::from_utf8_lossy(&line).replace('\0', " ");
    (!line.is_empty()).then_some(line)
}

/// The run's own folders, as the command lines name them.
fn folders_of(processes: &BTreeMap<u32, String>) -> Vec<String> {
    let words = processes.values().flat_map(|line| line.split_whitespace());
    words
        .filter(|word| {
            word.rsplit('/')
                .next()
                .is_some_and(|name| name.starts_with("headwater-scratch-"))
        })
        .map(str::to_owned)
        .collect()
}
