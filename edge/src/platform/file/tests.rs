use std::fs::{self, FileTimes};
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::time::{Duration, UNIX_EPOCH};

use rustix::fs::{CWD, FileType, Mode, mknodat};

use super::*;

const HOUR: Duration = Duration::from_secs(3600);

#[test]
fn reading_changes_nothing_about_a_file() {
    // Given a file that was changed after it was read last, so that the system would note its reading
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    fs::write(&path, "text").unwrap();
    let file = File::options().write(true).open(&path).unwrap();
    let (earlier, later) = (UNIX_EPOCH + HOUR, UNIX_EPOCH + 2 * HOUR);
    let times = FileTimes::new().set_accessed(earlier).set_modified(later);
    file.set_times(times).unwrap();
    let times = || fs::metadata(&path).unwrap().accessed().unwrap();
    let before = times();

    // When it is read
    let file = open_unnoted(&path, OpenOptions::new().read(true));
    let text = io::read_to_string(file.unwrap()).unwrap();

    // Then it looks as before
    assert_eq!((text.as_str(), times()), ("text", before));
}

type Plant = fn(&Path);

/// What lies under a name, and may be neither followed nor waited for nor changed.
const PLANTS: [(&str, Plant); 5] = [
    ("a pipe", |path| {
        mknodat(CWD, path, FileType::Fifo, Mode::RWXU, 0).unwrap();
    }),
    ("a link", |path| {
        let target = path.with_extension("target");
        fs::write(&target, "theirs").unwrap();
        symlink(target, path).unwrap();
    }),
    ("a folder", |path| fs::create_dir(path).unwrap()),
    ("a socket", |path| drop(UnixListener::bind(path).unwrap())),
    ("a hard link", |path| {
        let target = path.with_extension("target");
        fs::write(&target, "theirs").unwrap();
        fs::hard_link(target, path).unwrap();
    }),
];

#[test]
fn an_own_file_is_regular_and_has_one_name() {
    for (what, plant) in PLANTS {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        plant(&path);
        for options in [
            OpenOptions::new().read(true),
            OpenOptions::new().append(true).create(true),
        ] {
            let error = open_own(&path, options).unwrap_err();
            println!("{what}: {error}");
        }
        let target = fs::read_to_string(path.with_extension("target"));
        assert!(target.is_ok_and(|text| text == "theirs") || !what.contains("link"));
    }
}

#[test]
fn only_a_regular_file_or_none_is_replaced_and_what_is_in_the_way_stays() {
    // A hard link's name may be taken: the file keeps its other one.
    for (what, plant) in &PLANTS[..4] {
        for name in ["file", "file.new"] {
            let folder = tempfile::tempdir().unwrap();
            plant(&folder.path().join(name));
            let before = fs::symlink_metadata(folder.path().join(name)).unwrap();
            let error = replace(&folder.path().join("file"), b"ours", Readers::Owner);
            let error = error.unwrap_err().to_string();
            assert!(error.contains("left as it is"), "{what} at {name}: {error}");
            let after = fs::symlink_metadata(folder.path().join(name)).unwrap();
            assert_eq!(before.ino(), after.ino(), "{what} at {name}");
        }
    }
    let device = replace(Path::new("/dev/full"), b"ours", Readers::Everyone);
    assert!(device.unwrap_err().to_string().contains("it is a device"));
}

#[test]
fn what_an_earlier_run_left_half_made_is_replaced_and_modes_do_not_hang_on_the_umask() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    fs::write(path.with_extension("new"), "half of a lo").unwrap();
    for (readers, mode) in [(Readers::Owner, 0o600), (Readers::Everyone, 0o644)] {
        replace(&path, b"whole", readers).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"whole");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, mode);
    }
}

#[test]
fn no_more_is_read_than_a_file_may_hold() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    fs::write(&path, "12345").unwrap();
    assert_eq!(read_own(&path, 5).unwrap(), b"12345");
    assert_eq!(
        read_own(&path, 4).unwrap_err().kind(),
        ErrorKind::FileTooLarge
    );
}
