//! Opening files that lie on the card.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::OFlags;

/// Opens the file at `path` as `options` say, and has the system not note when it is read: that note is a write to the card. Where only the
/// file's owner may ask for that, others cause the note.
pub fn open_unnoted(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    let unnoted = OFlags::NOATIME.bits().cast_signed();
    match options.custom_flags(unnoted).open(path) {
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            options.custom_flags(0).open(path)
        }
        result => result,
    }
}

#[cfg(test)]
mod tests {
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
}
