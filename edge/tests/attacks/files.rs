//! Files that are not what they should be: devices, files without an end, texts that steer a terminal.

use std::fs;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::PathBuf;

use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};
use rustix::process::Signal;
use serde_json::Value;

use crate::stage::{POISON, Server};
use crate::support::board::board_to;
use testkit::program::{Board, Program};
use testkit::until;

/// Everything that makes a terminal show what is not there.
const STEERING: &str = "\u{1b}[2J\u{9b}31m\u{202e}\u{2066}\u{7f}";

fn steers(text: &str) -> bool {
    let blank = |c: char| c == '\n';
    text.chars()
        .any(|c| !blank(c) && (c.is_control() || STEERING[4..].contains(c) && !c.is_ascii()))
}

/// The file of this kind in the board's RAM, once it is there.
fn in_ram(board: &Board, kind: &str) -> PathBuf {
    until(kind, || {
        let mut files = fs::read_dir(board.ram()).unwrap();
        files.find_map(|file| {
            let path = file.unwrap().path();
            path.extension()
                .is_some_and(|end| end == kind)
                .then_some(path)
        })
    })
}

/// The most memory the program has had, in KiB.
fn peak_kib(running: &Program) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", running.pid())).unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM:"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn a_device_in_the_place_of_the_metrics_file_stays_one() {
    let server = Server::new(false);
    let board = board_to(&server.kinesis.url());
    let device = board.card().join("full");
    if let Err(error) = mknodat(
        CWD,
        &device,
        FileType::CharacterDevice,
        Mode::RWXU,
        makedev(1, 7),
    ) {
        println!("skipped: no device can be made here ({error})");
        return;
    }
    let running = board
        .start(&["--metrics-file", device.to_str().unwrap()])
        .unwrap();
    let (went_well, said) = running.end();
    assert!(
        went_well && said.contains("it is a device, and is left as it is"),
        "{said}"
    );
    assert!(
        fs::symlink_metadata(&device)
            .unwrap()
            .file_type()
            .is_char_device()
    );
}

#[test]
fn a_state_without_an_end_is_not_read_whole() {
    // Given the memory of a run without one
    let server = Server::new(false);
    let board = board_to(&server.kinesis.url());
    let mut running = board.start(&[]).unwrap();
    running.write(&["first"]);
    until("it is delivered", || {
        (server.lines().len() == 1).then_some(())
    });
    let usual = peak_kib(&running);
    running.end();
    // When the state is 400 MB, of zeros that take no room on the disk
    let state = board.spool().with_added_extension("state");
    fs::File::create(&state)
        .unwrap()
        .set_len(400 << 20)
        .unwrap();
    let mut running = board.start(&[]).unwrap();
    running.write(&["second"]);
    until("it is delivered", || {
        (server.lines().len() == 2).then_some(())
    });
    // Then it takes no more
    assert!(
        peak_kib(&running) < usual + (32 << 10),
        "{} KiB",
        peak_kib(&running)
    );
    assert!(running.end().0);
}

#[test]
fn its_files_are_its_users_alone_whatever_the_umask() {
    let server = Server::new(false);
    let board = board_to(&server.kinesis.url());
    let program = board.command(&[]);
    let mut shell = std::process::Command::new("sh");
    shell
        .args(["-c", "umask 000; exec \"$@\"", "sh"])
        .arg(program.get_program());
    shell.env_clear();
    for (name, value) in program.get_envs() {
        shell.env(name, value.unwrap_or_default());
    }
    let mut child = shell.stdin(std::process::Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    std::io::Write::write_all(&mut stdin, format!("a line of {POISON}\n").as_bytes()).unwrap();
    let dead = board.spool().with_added_extension("dead");
    until("a letter", || dead.exists().then_some(()));
    until("the spool", || board.spool().exists().then_some(()));
    let mode = |path: &PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let (stage, status) = (in_ram(&board, "stage"), in_ram(&board, "status"));
    for path in [&board.spool(), &dead, &stage] {
        assert_eq!(mode(path), 0o600, "{}", path.display());
    }
    // In the service's folder the status is for everyone: that folder says who gets there.
    assert_eq!(mode(&status), 0o644);
    drop(stdin);
    assert!(child.wait().unwrap().success());
    let state = board.spool().with_added_extension("state");
    assert_eq!(mode(&state), 0o600);
}

#[test]
fn a_status_file_with_terminal_codes_is_shown_without_them() {
    let server = Server::new(false);
    let board = board_to(&server.kinesis.url());
    let running = board.start(&[]).unwrap();
    let file = in_ram(&board, "status");
    running.signal(Signal::STOP);
    let mut forged: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    for name in [
        "version",
        "source",
        "stream",
        "region",
        "host",
        "credentials",
        "spool",
    ] {
        forged[name] = STEERING.into();
    }
    forged["troubles"] = serde_json::json!([{"of": STEERING, "for_s": 1, "text": STEERING}]);
    forged["waiting_bytes"] = u64::MAX.into();
    forged["dropped"] = u64::MAX.into();
    forged["media_lost"] = u64::MAX.into();
    fs::write(&file, forged.to_string()).unwrap();
    for args in [&["status"][..], &["status", "--json"]] {
        let output = board.output(args);
        let shown = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success() && !shown.is_empty());
        assert!(!steers(&shown), "{}", shown.escape_debug());
    }
    running.signal(Signal::CONT);
    running.end();
}

#[test]
fn a_post_with_terminal_codes_in_key_and_text_is_shown_without_them() {
    let server = Server::new(true);
    let board = board_to(&server.kinesis.url()).with("HEADWATER_PARTITION_KEY", "/key");
    let mut running = board.start(&[]).unwrap();
    let line = serde_json::json!({"key": STEERING, "text": STEERING}).to_string();
    running.write(&[&line]);
    running.wait_for("is in use");
    let spool = board.spool().display().to_string();
    let shown = until("it waits", || {
        let output = board.output(&["spool", "peek", &spool]);
        Some(String::from_utf8(output.stdout).unwrap()).filter(|shown| !shown.is_empty())
    });
    assert!(!steers(&shown), "{}", shown.escape_debug());
    running.signal(Signal::TERM);
    running.end();
}

#[test]
fn a_server_that_answers_with_terminal_codes_does_not_reach_the_log() {
    let message = serde_json::json!({"__type": STEERING, "message": STEERING}).to_string();
    let kinesis = testkit::kinesis::Kinesis::start(move |_, _| {
        testkit::kinesis::Reply::Answer(400, message.clone())
    });
    let board = board_to(&kinesis.url());
    let mut running = board.start(&[]).unwrap();
    running.write(&["a line"]);
    until("a call", || kinesis.calls().first().map(|_| ()));
    running.signal(Signal::TERM);
    let (_, said) = running.end();
    assert!(!steers(&said), "{}", said.escape_debug());
}

#[test]
fn a_stage_in_which_nothing_waits_goes_with_its_run() {
    let server = Server::new(false);
    let board = board_to(&server.kinesis.url());
    let mut running = board.start(&[]).unwrap();
    running.write(&["a line"]);
    running.wait_for("is in use");
    let stage = in_ram(&board, "stage");
    assert!(running.end().0);
    assert!(!stage.exists());
    assert_eq!(server.lines(), ["a line"]);
    // One in which something waits stays.
    let server = Server::new(true);
    let board = board_to(&server.kinesis.url());
    let mut running = board.start(&[]).unwrap();
    running.write(&["a line"]);
    running.wait_for("is in use");
    let stage = in_ram(&board, "stage");
    running.signal(Signal::TERM);
    running.end();
    assert!(stage.exists());
}

#[test]
fn looking_at_a_pipe_in_the_place_of_a_spool_ends_at_once() {
    let server = Server::new(false);
    let board = board_to(&server.kinesis.url());
    mknodat(CWD, board.spool(), FileType::Fifo, Mode::RWXU, 0).unwrap();
    let spool = board.spool().display().to_string();
    for verb in ["stat", "verify", "peek", "export"] {
        let output = board.output(&["spool", verb, &spool]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("cannot be read"), "{said}");
    }
}
