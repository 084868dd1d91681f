use std::fs;
use std::path::PathBuf;

use super::*;

/// A file with these lines, and the place after all of them.
fn read(content: &str) -> (tempfile::TempDir, PathBuf, Place) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    fs::write(&path, content).unwrap();
    let file = File::open(&path).unwrap();
    let start = Place::start(&path, &file.metadata().unwrap(), SystemTime::now(), None);
    let place = after(start, content, &file);
    (folder, path, place)
}

fn after(start: Place, content: &str, file: &File) -> Place {
    let mut before = Before::read(file, 0);
    content.split_inclusive('\n').fold(start, |place, line| {
        place.after(line.len() as u64, line.as_bytes(), file, &mut before)
    })
}

#[test]
fn a_position_is_read_back_and_nothing_else_is_taken_for_one() {
    let (_folder, _, place) = read("one\ntwo\n");
    assert_eq!(Place::parse(place.position().as_bytes()), Some(place));
    let longer = format!("{} 7", place.position());
    for other in [
        "",
        "jetstream 7",
        "lines",
        "lines 1 2 3 4 5 6 7 8 9 10 x",
        &longer,
    ] {
        assert_eq!(Place::parse(other.as_bytes()), None, "{other}");
    }
}

#[test]
fn the_longest_position_fits() {
    let print = Print {
        bytes: u16::MAX,
        crc: u32::MAX,
    };
    let place = Place {
        path_crc: u32::MAX,
        born_ms: u64::MAX,
        ident: u32::MAX,
        inode: u64::MAX,
        turn: u64::MAX,
        offset: u64::MAX,
        head: print,
        before: print,
        seen_ms: u64::MAX,
    };
    assert!(place.position().ends_with(" 18446744073709551615"));
    assert!(place.position().len() <= 255);
}

#[test]
fn a_file_fits_as_long_as_it_holds_what_was_read_where_it_was() {
    let long: String = (0..200).map(|n| format!("line {n}\n")).collect();
    for read_so_far in ["one\ntwo\n", &long] {
        let (_folder, path, place) = read(read_so_far);
        let fits = |content: &str| {
            fs::write(&path, content).unwrap();
            place.fits(&File::open(&path).unwrap()).unwrap()
        };
        assert!(fits(read_so_far));
        assert!(fits(&format!("{read_so_far}more\n")));
        assert!(!fits(&read_so_far[1..]), "shorter");
        assert!(
            !fits(&format!("X{}", &read_so_far[1..])),
            "another beginning"
        );
        // A new file with the old one's beginning
        let end = read_so_far.len() - 2;
        assert!(!fits(&format!("{}X\nand longer\n", &read_so_far[..end])));
    }
}

#[test]
fn what_is_compared_is_the_same_however_the_lines_came() {
    // Given a file read in one run, and by two with a break in between
    let lines: String = (0..40).map(|n| format!("{n}\n")).collect();
    let (_folder, path, whole) = read(&lines);
    let file = File::open(&path).unwrap();
    let start = Place::start(&path, &file.metadata().unwrap(), SystemTime::now(), None);
    for at in [
        lines.find("7\n").unwrap() + 2,
        lines.find("30\n").unwrap() + 3,
    ] {
        let half = after(start, &lines[..at], &file);
        let mut before = Before::read(&file, half.offset());
        let rest = lines[at..].split_inclusive('\n');
        let end = rest.fold(half, |place, line| {
            place.after(line.len() as u64, line.as_bytes(), &file, &mut before)
        });
        assert_eq!(end, whole);
    }
    // When a line was not at hand, the file itself is asked
    let mut before = Before::read(&file, 0);
    let skipped = start.after(lines.len() as u64, b"", &file, &mut before);
    assert_eq!((skipped.head, skipped.before), (whole.head, whole.before));
}

#[test]
fn ids_sort_as_the_lines_of_a_file_and_differ_between_its_turns_and_its_contents() {
    let (_folder, path, end) = read("one\ntwo\n");
    let file = File::open(&path).unwrap();
    let start = |before| Place::start(&path, &file.metadata().unwrap(), SystemTime::now(), before);
    let id = |before, first: &str| after(start(before), first, &file).id(0);
    let second = start(Some(&end));
    let ids = [
        end.id(0),
        end.id(4),
        id(Some(&end), "one\n"),
        id(Some(&second), "one\n"),
    ];
    assert!(ids.is_sorted_by(|one, next| one < next));
    assert_eq!(id(None, "one\n"), end.id(0));
    assert_ne!(id(None, "other\n"), end.id(0));
}
