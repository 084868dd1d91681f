use std::sync::mpsc::channel;
use std::{fs, thread};

use rustix::fs::{CWD, FileType, Mode, mknodat};

use super::*;

/// Little, so that a test need not wait: nothing here asserts how long anything took.
const LIMITS: Limits = Limits {
    output_bytes: 4 << 10,
    time: Duration::from_millis(300),
};

fn error(command: &str, limits: Limits) -> String {
    let error = format!("{:#}", fetch(command, limits).unwrap_err());
    assert!(!error.contains('\n'), "{error}");
    error
}

/// A program that never ends writes this into a pipe that is closed when the last process is gone that has it open.
fn ends_with_all_it_started(command: &str, limits: Limits) -> String {
    let folder = tempfile::tempdir().unwrap();
    let fifo = folder.path().join("alive");
    mknodat(CWD, &fifo, FileType::Fifo, Mode::RWXU, 0).unwrap();
    let (tell, told) = channel();
    let reader = thread::spawn({
        let fifo = fifo.clone();
        move || drop(tell.send(fs::read_to_string(fifo).unwrap()))
    });
    let command = format!("exec 3>{}; {command}", fifo.display());
    let error = error(&command, limits);
    // Reading ends when every writer has.
    assert_eq!(told.recv_timeout(Duration::from_secs(60)).unwrap(), "");
    reader.join().unwrap();
    error
}

#[test]
fn a_program_that_hangs_is_ended_with_all_it_started() {
    let said = ends_with_all_it_started("sleep 1000 & sleep 1000", LIMITS);
    assert!(said.contains("did not end within 300ms"), "{said}");
}

#[test]
fn a_program_that_prints_without_end_is_ended_and_its_output_not_kept() {
    let limits = Limits {
        time: Duration::from_secs(60),
        ..LIMITS
    };
    let said = ends_with_all_it_started("yes", limits);
    assert!(said.contains("printed more than 4096 bytes"), "{said}");
}

#[test]
fn complaints_without_end_are_read_and_their_beginning_kept() {
    let said = error("yes trouble >&2", LIMITS);
    assert!(said.contains("did not end within"), "{said}");
    let said = error(
        "yes trouble | head -c 100000 >&2; exit 3",
        Limits::default(),
    );
    assert!(
        said.contains("trouble (the first line of 65536 bytes"),
        "{said}"
    );
}

#[test]
fn what_was_left_behind_neither_holds_the_credentials_up_nor_lives_on() {
    let json = r#"{"Version":1,"AccessKeyId":"AK","SecretAccessKey":"a-secret-of-the-tests"}"#;
    let command = format!("sleep 1000 & echo '{json}'");
    let limits = Limits::default();
    assert_eq!(fetch(&command, limits).unwrap().access_key_id(), "AK");
}

#[test]
fn a_complaint_is_repeated_without_what_may_be_a_key() {
    let table = [
        ("no such profile: board", "no such profile: board"),
        (
            "+ curl -H 'X-Token: dG9rZW4tb2YtdGhlLXRlc3Rz1'",
            "+ curl -H 'X-Token: [secret]'",
        ),
        ("wJalrXUtnFEMI/K7MDENG/bPxRfiCYsecret!", "[secret]!"),
        ("token 0cc175b9c0f1b6a831c399e269772661!", "token [secret]!"),
        (
            "/usr/lib/python3/dist-packages/thing.py: not found",
            "/usr/lib/python3/dist-packages/thing.py: not found",
        ),
        ("\u{202e}desrever", " desrever"),
        ("", "it printed no reason"),
    ];
    for (said, told) in table {
        assert_eq!(complaint(said.as_bytes()), told);
    }
}

#[test]
fn the_keys_a_failing_program_printed_are_not_told_when_it_complains_of_them() {
    let json = r#"{"AccessKeyId":"AK","SecretAccessKey":"a-secret-of-the-tests"}"#;
    let command = format!("echo '{json}'; echo bad: a-secret-of-the-tests >&2; exit 1");
    let said = error(&command, Limits::default());
    assert!(said.ends_with("(exit status: 1): bad: [secret]"), "{said}");
}
