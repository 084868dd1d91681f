//! `credential_process`: a program of the user's that may do anything.

use std::fs;
use std::path::Path;

use rustix::process::Signal;

use crate::stage::Server;
use crate::support::board::board_to;
use testkit::program::Board;

/// Nobody told the program of these: they are what its credential process knows.
const SECRETS: [&str; 2] = [
    "wJalrXUtnFEMI/K7MDENG/bPxRfiCYsecret",
    "profile-secret-0cc175b9c0f1b6a8",
];

/// A board whose keys come from `process`.
fn board(server: &Server, folder: &Path, process: &str) -> Board {
    let config = folder.join("config");
    let script = folder.join("process");
    fs::write(&script, process).unwrap();
    let text = format!("[default]\ncredential_process = sh {}\n", script.display());
    fs::write(&config, text).unwrap();
    board_to(&server.kinesis.url())
        .with("AWS_ACCESS_KEY_ID", "")
        .with("AWS_SECRET_ACCESS_KEY", "")
        .with("AWS_CONFIG_FILE", config.display().to_string())
        .with("PATH", std::env::var("PATH").unwrap())
}

#[test]
fn secrets_it_complains_with_are_in_neither_log_nor_status() {
    let server = Server::new(false);
    let folder = tempfile::tempdir().unwrap();
    let [key, token] = SECRETS;
    let process = format!("echo 'bad key {key}, token={token}' >&2; echo {key} >&2; exit 1");
    let board = board(&server, folder.path(), &process);
    let mut running = board.start(&[]).unwrap();
    running.write(&["a line"]);
    running.wait_for("credential_process failed (exit status: 1): bad key [secret], token=");
    running.wait_for("the first line of ");
    let status = testkit::until("a status with trouble", || {
        let status = crate::support::board::status(&board)?.to_string();
        status.contains("credential_process").then_some(status)
    });
    running.signal(Signal::TERM);
    let (_, said) = running.end();
    for secret in SECRETS {
        assert!(
            !said.contains(secret) && !status.contains(secret),
            "{said}{status}"
        );
    }
}

#[test]
fn a_hundred_megabytes_from_it_are_not_kept() {
    let server = Server::new(false);
    let folder = tempfile::tempdir().unwrap();
    let board = board(&server, folder.path(), "head -c 100000000 /dev/zero");
    let mut running = board.start(&[]).unwrap();
    running.write(&["a line"]);
    running.wait_for("credential_process printed more than 65536 bytes and was ended");
    let status = fs::read_to_string(format!("/proc/{}/status", running.pid())).unwrap();
    let peak = status
        .lines()
        .find(|line| line.starts_with("VmHWM:"))
        .unwrap();
    let kib: u64 = peak.split_whitespace().nth(1).unwrap().parse().unwrap();
    assert!(kib < 48 << 10, "{peak}");
    running.signal(Signal::TERM);
    running.end();
}
