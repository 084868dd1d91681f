use std::fs::{self, FileTimes};
use std::time::{Duration, UNIX_EPOCH};

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
