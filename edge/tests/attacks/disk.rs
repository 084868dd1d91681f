//! Disks: full, limited, or with a file that goes away under the program.

use std::fs;
use std::process::{Command, Stdio};

use rustix::process::Signal;
use serde_json::Value;

use crate::stage::{POISON, Server, cannot_be_root, in_namespace};
use crate::support::board::{board_to, status};
use testkit::program::Board;
use testkit::until;

#[test]
fn a_limit_on_file_sizes_is_a_full_disk_and_not_the_end() {
    let server = Server::new(false);
    let board = board_to(&server.kinesis.url());
    let program = board.command(&[]);
    let mut shell = Command::new("sh");
    shell
        .args(["-c", "ulimit -f 100; echo a line | \"$@\"", "sh"])
        .arg(program.get_program());
    shell
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap());
    for (name, value) in program.get_envs() {
        shell.env(name, value.unwrap_or_default());
    }
    let output = shell.stdin(Stdio::null()).output().unwrap();
    println!("{}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {said}", output.status);
    assert!(said.contains("File too large"), "{said}");
    assert_eq!(server.lines(), ["a line"]);
}

#[test]
fn a_full_disk_tears_no_dead_letter() {
    if cannot_be_root() {
        return;
    }
    let server = Server::new(false);
    let board = board_to(&server.kinesis.url());
    let folder = board.card().display();
    let script =
        format!("mount -t tmpfs -o size=64k none {folder} && \"$@\" && cat {folder}/spool.dead");
    let input = format!(
        "first {POISON}\n{POISON} {}\nlast {POISON}\n",
        "x".repeat(100_000)
    );
    let output = in_namespace(&board, &["--ordered"], &script, input.as_bytes());
    assert!(output.status.success());
    let letters = String::from_utf8(output.stdout).unwrap();
    let letters: Vec<Value> = letters
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(letters.len(), 2);
}

/// Runs with a card that is lost in an outage, by `lose`, and then delivers.
fn loses(lose: fn(&Board), said_why: &str) -> Vec<String> {
    let server = Server::new(true);
    let board = board_to(&server.kinesis.url());
    let mut running = board.start(&[]).unwrap();
    running.write(&["first"]);
    running.wait_for("is in use");
    until("it is on the card", || {
        let bytes = fs::read(board.spool()).ok()?;
        bytes.windows(5).any(|part| part == b"first").then_some(())
    });
    // When the file goes, then that is said when the next line is to be kept
    lose(&board);
    running.write(&["second"]);
    running.wait_for(said_why);
    // And when all is delivered, then there is a new file
    server.heal();
    until("a new file", || {
        let len = fs::metadata(board.spool()).ok()?.len();
        (len >= 1 << 20).then_some(())
    });
    running.write(&["third"]);
    let (went_well, said) = running.end();
    assert!(went_well, "{said}");
    assert!(said.matches("is in use").count() == 2, "{said}");
    let verified = board.output(&["spool", "verify", &board.spool().display().to_string()]);
    assert!(verified.status.success());
    server.lines()
}

#[test]
fn a_spool_that_is_removed_is_noticed_and_loses_nothing() {
    let remove: fn(&Board) = |board| fs::remove_file(board.spool()).unwrap();
    let lines = loses(remove, "it was removed while the program runs");
    assert_eq!(lines, ["first", "second", "third"]);
}

#[test]
fn a_spool_that_is_cut_short_is_noticed_and_loses_only_what_was_cut_off() {
    let cut: fn(&Board) = |board| {
        let file = fs::OpenOptions::new().write(true).open(board.spool());
        file.unwrap().set_len(0).unwrap();
    };
    let lines = loses(cut, "it was cut short while the program runs");
    assert!(
        lines.ends_with(&["second".to_owned(), "third".to_owned()]),
        "{lines:?}"
    );
}

#[test]
fn what_damaged_blocks_lose_has_one_name_in_log_and_status() {
    // Given lines on the card alone
    let server = Server::new(true);
    let board = board_to(&server.kinesis.url());
    let mut running = board.start(&[]).unwrap();
    let long = |n: u32| format!("{n} {}", "x".repeat(6000));
    let lines: Vec<String> = (0..8).map(long).collect();
    running.wait_for("is in use");
    running.write(&lines.iter().map(String::as_str).collect::<Vec<_>>());
    until("they are on the card", || {
        let text = fs::read(board.spool()).ok()?;
        text.windows(4).any(|part| part == b"7 xx").then_some(())
    });
    running.signal(Signal::KILL);
    running.end();
    for file in fs::read_dir(board.ram()).unwrap() {
        fs::remove_file(file.unwrap().path()).unwrap();
    }
    // When two blocks of them are damaged, of a batch that no later one vouches for
    let mut bytes = fs::read(board.spool()).unwrap();
    for block in [4, 10] {
        bytes[block * 4096 + 2000..block * 4096 + 2100].fill(0xff);
    }
    fs::write(board.spool(), bytes).unwrap();
    server.heal();
    let running = board.start(&[]).unwrap();
    running.wait_for(" records were lost by ");
    until("the last arrives", || {
        server
            .lines()
            .last()
            .filter(|line| **line == lines[7])
            .map(|_| ())
    });
    let stats: Value = until("all is delivered", || {
        status(&board).filter(|status| status["waiting_records"] == 0)
    });
    let (_, said) = running.end();
    // Then the log counts them as the status does
    let told = |by: &str| -> u64 {
        let counts = said.lines().filter_map(|line| {
            let (before, _) = line.split_once(&format!(" records were lost by {by}"))?;
            before.rsplit(' ').next()?.parse::<u64>().ok()
        });
        counts.sum()
    };
    assert_eq!(
        Value::from(told("a damaged card")),
        stats["media_lost"],
        "{said}"
    );
    assert_eq!(
        Value::from(told("a power cut")),
        stats["unsynced_lost"],
        "{said}"
    );
    let lost = lines.len() - server.lines().len();
    assert_eq!(told("a damaged card") + told("a power cut"), lost as u64);
    assert!(told("a power cut") > 0);
}
