//! The real program on its spool: killed, doubled, on disks that are full, read-only, damaged or made by a later version.

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;
use support::board::board_to;

use testkit::kinesis::{Kinesis, Reply};
use testkit::program::Board;
use testkit::until;

const KILLS: u64 = 50;
const LINES_A_RUN: u64 = 40;

/// A Kinesis behind a network that can be cut.
fn cuttable() -> (Kinesis, Arc<AtomicBool>) {
    let cut = Arc::new(AtomicBool::new(true));
    let is_cut = cut.clone();
    let server = Kinesis::start(move |_, _| match is_cut.load(Ordering::SeqCst) {
        true => Reply::error(500, "InternalFailure"),
        false => Reply::Accept,
    });
    (server, cut)
}

/// How often each line arrived.
fn arrived(server: &Kinesis) -> BTreeMap<u64, u64> {
    let mut times = BTreeMap::new();
    for data in server.data() {
        let post: Value = serde_json::from_str(&data).unwrap();
        *times
            .entry(post["line"]["n"].as_u64().unwrap())
            .or_default() += 1;
    }
    times
}

fn add_lines(file: &Path, from: u64, to: u64) {
    let mut file = fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(file)
        .unwrap();
    let pad = "x".repeat(300);
    let lines: String = (from..to)
        .map(|n| format!("{{\"n\":{n},\"pad\":\"{pad}\"}}\n"))
        .collect();
    file.write_all(lines.as_bytes()).unwrap();
}

#[test]
fn fifty_kills_in_an_outage_lose_nothing_and_send_nothing_twice() {
    let (server, cut) = cuttable();
    let mut board = board_to(&server.url());
    let input = board.card().join("lines");
    board = board.with("HEADWATER_INPUT", &input);
    // another pause each time, from a start-up cut short to records on the card
    let mut pause = 7_u64;
    for run in 0..KILLS {
        add_lines(&input, run * LINES_A_RUN, (run + 1) * LINES_A_RUN);
        let running = board.start(&[]).unwrap();
        pause = (pause * 1_103_515_245 + 12_345) % (1 << 31);
        sleep(Duration::from_millis(
            pause % if run % 5 == 0 { 1500 } else { 120 },
        ));
        running.signal(Signal::KILL);
        running.end();
    }
    // the server may still be at the last call of a program that is gone: that one would be the call in flight
    let calls = || server.calls().len();
    until("the server is done", || {
        let before = calls();
        sleep(Duration::from_millis(300));
        (calls() == before).then_some(())
    });
    cut.store(false, Ordering::SeqCst);
    let running = board.start(&[]).unwrap();
    let total = KILLS * LINES_A_RUN;
    until("every line arrives", || {
        (arrived(&server).len() as u64 >= total).then_some(())
    });
    running.signal(Signal::TERM);
    let (went_well, said) = running.end();
    assert!(went_well, "{said}");
    let times = arrived(&server);
    let lost = (0..total).filter(|n| !times.contains_key(n)).count();
    let twice = times.values().filter(|times| **times > 1).count();
    println!(
        "{KILLS} kills, read {total}, stored {}, lost {lost}, twice {twice}",
        times.len()
    );
    assert_eq!((lost, twice), (0, 0));
}

#[test]
fn a_kill_while_online_repeats_at_most_the_call_in_flight() {
    const RUNS: u64 = 10;
    let (server, cut) = cuttable();
    cut.store(false, Ordering::SeqCst);
    let mut board = board_to(&server.url());
    let input = board.card().join("lines");
    board = board.with("HEADWATER_INPUT", &input);
    for run in 0..RUNS {
        let before = server.data().len();
        add_lines(&input, run * 500, (run + 1) * 500);
        let running = board.start(&[]).unwrap();
        until("some arrive", || {
            (server.data().len() > before).then_some(())
        });
        running.signal(Signal::KILL);
        running.end();
    }
    let running = board.start(&[]).unwrap();
    until("every line arrives", || {
        (arrived(&server).len() as u64 >= RUNS * 500).then_some(())
    });
    running.signal(Signal::TERM);
    running.end();
    let twice: u64 = arrived(&server).values().map(|times| times - 1).sum();
    let calls = server.calls();
    let largest = calls
        .iter()
        .map(|call| call.puts.len() as u64)
        .max()
        .unwrap();
    println!("{RUNS} kills online, {twice} sent twice, at most {largest} a call");
    assert!(twice <= RUNS * largest);
}

#[test]
fn a_second_process_on_one_spool_fails_at_once_and_says_who_has_it() {
    let (server, _cut) = cuttable();
    let board = board_to(&server.url());
    let mut first = board.start(&[]).unwrap();
    first.write(&["{\"n\":1}"]);
    first.wait_for("is in use");
    let second = board.output(&[]);
    let said = String::from_utf8(second.stderr).unwrap();
    assert_eq!(second.status.code(), Some(1), "{said}");
    assert!(said.contains("in use by process"), "{said}");
    assert!(
        said.contains("stop that one, or give this one its own --spool FILE"),
        "{said}"
    );
}

/// A board whose spool has its file.
fn with_a_file(server: &Kinesis) -> Board {
    let board = board_to(&server.url());
    let mut running = board.start(&[]).unwrap();
    running.write(&["{\"n\":0}"]);
    running.wait_for("is in use");
    assert!(running.end().0);
    board
}

/// Sends two lines through a spool that lies as it does, and checks that they arrive.
fn delivers(board: &Board, server: &Kinesis) -> String {
    let before = server.data().len();
    let mut running = board.start(&[]).unwrap();
    running.write(&["{\"n\":1}", "{\"n\":2}"]);
    let (went_well, said) = running.end();
    assert!(went_well, "{said}");
    assert!(server.data().len() >= before + 2, "{said}");
    said
}

/// What becomes of a file's bytes.
type Damage = fn(Vec<u8>) -> Vec<u8>;

#[test]
fn a_spool_cut_short_grown_zeroed_or_of_noise_does_not_stop_the_program() {
    let (server, cut) = cuttable();
    cut.store(false, Ordering::SeqCst);
    let damages: [(&str, Damage); 6] = [
        ("empty", |_| Vec::new()),
        ("cut short", |bytes| bytes[..bytes.len() / 3].to_vec()),
        ("cut amid a block", |bytes| bytes[..5000].to_vec()),
        ("grown", |mut bytes| {
            bytes.resize(bytes.len() + 100_000, 7);
            bytes
        }),
        ("zeroed", |bytes| vec![0; bytes.len()]),
        ("noise", |bytes| {
            let mut seed = 1_u32;
            let mut next = || {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (seed >> 24) as u8
            };
            bytes.iter().map(|_| next()).collect()
        }),
    ];
    for (what, damage) in damages {
        let board = with_a_file(&server);
        let bytes = fs::read(board.spool()).unwrap();
        fs::write(board.spool(), damage(bytes)).unwrap();
        println!(
            "{what}: {}",
            delivers(&board, &server).lines().next().unwrap_or_default()
        );
    }
}

#[test]
fn a_spool_of_a_newer_format_is_left_untouched() {
    let (server, cut) = cuttable();
    cut.store(false, Ordering::SeqCst);
    let board = with_a_file(&server);
    let mut bytes = fs::read(board.spool()).unwrap();
    let last = bytes.len() - 4096;
    bytes[8] = 9;
    bytes[last + 8] = 9;
    fs::write(board.spool(), &bytes).unwrap();
    let said = delivers(&board, &server);
    assert!(
        said.contains("a newer headwater made it (format 9)"),
        "{said}"
    );
    assert!(said.contains("a power cut loses them"), "{said}");
    assert_eq!(fs::read(board.spool()).unwrap(), bytes);
}

/// Runs the program with its card's folder on a small file system of its own; `None` where the system allows nobody that.
fn on_its_own_disk(board: &Board, prepare: &str) -> Option<String> {
    let allowed = Command::new("unshare").args(["-rm", "true"]).status();
    if !allowed.is_ok_and(|status| status.success()) {
        println!("skipped: mount namespaces are not allowed here");
        return None;
    }
    let program = board.command(&[]);
    let mut command = Command::new("unshare");
    command.args(["-rm", "sh", "-ec", &format!("{prepare}; exec \"$@\""), "sh"]);
    command.arg(program.get_program()).args(program.get_args());
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default());
    for (name, value) in program.get_envs() {
        command.env(name, value.unwrap_or_default());
    }
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(b"{\"n\":1}\n{\"n\":2}\n")
        .unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    println!("{said}");
    assert!(output.status.success(), "{said}");
    Some(said)
}

#[test]
fn a_full_disk_leaves_a_program_that_works_from_memory() {
    let (server, cut) = cuttable();
    cut.store(false, Ordering::SeqCst);
    let board = board_to(&server.url());
    let prepare = format!(
        "mount -t tmpfs -o size=256k none {}",
        board.card().display()
    );
    if let Some(said) = on_its_own_disk(&board, &prepare) {
        assert!(said.contains("No space left on device"), "{said}");
        assert!(said.contains("a power cut loses them"), "{said}");
        assert_eq!(arrived(&server).len(), 2);
    }
}

#[test]
fn a_read_only_disk_gives_what_waits_on_it_and_the_program_works_from_memory() {
    let (server, cut) = cuttable();
    // Given a spool with a line that could not be delivered
    let board = board_to(&server.url());
    let mut running = board.start(&[]).unwrap();
    running.write(&["{\"n\":0}"]);
    running.wait_for("is in use");
    sleep(Duration::from_millis(1500));
    running.signal(Signal::TERM);
    running.end();
    cut.store(false, Ordering::SeqCst);
    // When its disk has become read-only, and the RAM was lost
    fs::remove_dir_all(board.ram()).unwrap();
    fs::create_dir(board.ram()).unwrap();
    let folder = board.card().display();
    let prepare = format!("mount --bind {folder} {folder}; mount -o remount,bind,ro {folder}");
    // Then old and new lines arrive
    if let Some(said) = on_its_own_disk(&board, &prepare) {
        assert_eq!(arrived(&server).len(), 3, "{said}");
    }
}

#[test]
fn a_spool_can_be_looked_into_while_the_program_runs() {
    let (server, _cut) = cuttable();
    let board = board_to(&server.url());
    let spool = board.spool().display().to_string();
    let mut running = board.start(&[]).unwrap();
    running.write(&["{\"n\":1}", "{\"n\":2}", "three"]);
    running.wait_for("is in use");
    let stat = || -> Value {
        let output = board.output(&["spool", "stat", "--json", &spool]);
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let stat = until("three wait", || {
        Some(stat()).filter(|stat| stat["waiting_records"] == 3)
    });
    assert!(
        stat["used_by_pid"].is_u64() && stat["oldest"].is_string(),
        "{stat}"
    );
    let text = |args: &[&str]| String::from_utf8(board.output(args).stdout).unwrap();
    assert!(text(&["spool", "stat", &spool]).contains("] "), "a bar");
    assert!(text(&["spool", "verify", &spool]).starts_with("ok: "));
    assert_eq!(
        text(&["spool", "peek", "--count", "2", &spool])
            .lines()
            .count(),
        2
    );
    let exported = text(&["spool", "export", &spool]);
    let lines: Vec<Value> = exported
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 3);
    let post: Value = serde_json::from_str(lines[2]["data"].as_str().unwrap()).unwrap();
    assert_eq!(post["line"], "three");
    let none = board.output(&["spool", "stat", "/nowhere/spool"]);
    assert_eq!(none.status.code(), Some(1));
    assert_eq!(board.output(&["spool", "look"]).status.code(), Some(2));
}
