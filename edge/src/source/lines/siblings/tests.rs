use std::time::{Duration, UNIX_EPOCH};

use super::*;

/// Makes a file that was last written to at `seconds`.
fn write(folder: &Path, name: &str, content: &[u8], seconds: u64) {
    let path = folder.join(name);
    fs::write(&path, content).unwrap();
    let time = UNIX_EPOCH + Duration::from_secs(seconds);
    File::options()
        .write(true)
        .open(path)
        .unwrap()
        .set_modified(time)
        .unwrap();
}

fn names(siblings: &[Sibling]) -> Vec<String> {
    let name = |sibling: &Sibling| {
        sibling
            .path
            .file_name()
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned()
    };
    siblings.iter().map(name).collect()
}

#[test]
fn rotated_names_are_told_from_those_of_other_files() {
    for (name, original) in [
        ("syslog.1", "syslog"),
        ("syslog.2.gz", "syslog"),
        ("syslog-20260131", "syslog"),
        ("syslog.old", "syslog"),
        ("app.log.1", "app.log"),
        ("app.log-20260131.xz", "app.log"),
        ("app.1.log", "app.log"),
        ("app-2026-01-31.log", "app.log"),
        ("app.log_2026-01-31_10", "app.log"),
    ] {
        assert!(is_rotated(name, original), "{name}");
    }
    for (name, original) in [
        ("syslog", "syslog"),
        ("syslog.conf", "syslog"),
        ("syslog2", "syslog"),
        ("worker-1.log", "worker.log"),
        ("app.err.log", "app.log"),
        ("app.log.lock", "app.log"),
        (".1", ".log"),
    ] {
        assert!(!is_rotated(name, original), "{name}");
    }
}

#[test]
fn a_higher_number_is_older_whatever_the_times_of_two_say() {
    let folder = tempfile::tempdir().unwrap();
    // A late writer has the older one changed last.
    write(folder.path(), "log", b"", 9);
    write(folder.path(), "log.2", b"", 8);
    write(folder.path(), "log.1", b"", 7);
    assert_eq!(
        names(&beside(&folder.path().join("log"), None)),
        ["log.2", "log.1"]
    );
    // Some count upwards, and then the times of all say so.
    write(folder.path(), "log.3", b"", 9);
    write(folder.path(), "log.1", b"", 7);
    let found = beside(&folder.path().join("log"), None);
    assert_eq!(names(&found), ["log.1", "log.2", "log.3"]);
}

#[test]
fn dates_are_sorted_by_the_times_of_the_files_and_then_by_name() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "log", b"", 9);
    write(folder.path(), "log-20260103", b"", 3);
    write(folder.path(), "log-20260102.gz", b"", 2);
    write(folder.path(), "log-20260101", b"", 2);
    let found = beside(&folder.path().join("log"), None);
    assert_eq!(
        names(&found),
        ["log-20260101", "log-20260102.gz", "log-20260103"]
    );
}

#[test]
fn the_size_of_what_gzip_compressed_is_known_and_that_of_others_not() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "log", b"", 9);
    write(folder.path(), "log.2.gz", b"....\x10\x27\0\0", 2);
    write(folder.path(), "log.1.xz", b"....\x10\x27\0\0", 2);
    let found = beside(&folder.path().join("log"), None);
    assert_eq!([found[0].bytes, found[1].bytes], [Some(10_000), None]);
}

#[test]
fn a_missing_number_is_a_deleted_file() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "log", b"", 9);
    write(folder.path(), "log.4", b"", 1);
    write(folder.path(), "log.2.gz", b"....\x10\x27\0\0", 2);
    let found = beside(&folder.path().join("log"), None);
    assert_eq!(holes(&found, found[0].inode), 2);
    assert_eq!(holes(&found, found[1].inode), 1);
    assert_eq!(holes(&found, (0, 0)), 0);
}
