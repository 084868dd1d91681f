use std::fs;

use super::*;

fn file_with(content: &[u8]) -> (tempfile::TempDir, File, Place) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    fs::write(&path, content).unwrap();
    let file = File::open(&path).unwrap();
    let place = Place::start(&path, &file.metadata().unwrap(), SystemTime::now());
    (folder, file, place)
}

#[test]
fn a_position_is_read_back_under_its_own_name_alone() {
    let (folder, file, mut place) = file_with(&[b'x'; 1000]);
    place.advance(300, &file);
    let position = place.cut().position();
    let path = folder.path().join("log");
    assert_eq!(Place::parse(position.as_bytes(), &path), Some(place.cut()));
    assert_eq!(
        Place::parse(position.as_bytes(), &folder.path().join("other")),
        None
    );
    for other in [
        "",
        "jetstream 7",
        "file",
        "file 1 2 3",
        "file 1 2 3 4 5 6 x",
    ] {
        assert_eq!(Place::parse(other.as_bytes(), &path), None, "{other}");
    }
}

#[test]
fn the_longest_position_fits() {
    let place = Place {
        path_crc: u32::MAX,
        inode: u64::MAX,
        born_ns: u64::MAX,
        cuts: u64::MAX,
        offset: u64::MAX,
        head_bytes: u16::MAX,
        head_crc: u32::MAX,
    };
    assert!(place.position().ends_with(" 4294967295"));
    assert!(place.position().len() <= 255);
}

#[test]
fn a_file_fits_as_long_as_it_begins_as_it_did() {
    let (folder, file, mut place) = file_with(b"one\ntwo\n");
    let path = folder.path().join("log");
    place.advance(4, &file);
    assert!(place.fits(&file));
    fs::write(&path, "one\nother").unwrap();
    assert!(place.fits(&file), "what was read is unchanged");
    fs::write(&path, "owe\ntwo\n").unwrap();
    assert!(!place.fits(&file));
    fs::write(&path, "on").unwrap();
    assert!(!place.fits(&file));
}

#[test]
fn ids_sort_as_the_lines_of_a_file_and_differ_between_its_cuts() {
    let (_folder, file, start) = file_with(b"one\ntwo\n");
    let mut second = start;
    second.advance(4, &file);
    let cut = start.cut();
    let ids = [start.id(), second.id(), cut.id(), cut.cut().id()];
    assert!(ids.is_sorted_by(|one, next| one < next));
}
