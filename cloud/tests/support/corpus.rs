//! The corpus: every shape of event as a file, and beside it what becomes of it.

use std::fs;
use std::path::Path;

use serde_json::Value;

/// An event of the corpus.
pub struct Event {
    /// The file's name, without its ending.
    pub name: String,
    /// The record's bytes.
    pub data: Vec<u8>,
    /// One field: `put` or `delete` with the item, `ignored`, or the `reason` why it can't be decoded. Of
    /// a pack: a list of these, one for each line, or the `reason` why it can't be unpacked.
    pub expected: Value,
}

/// All events, by name.
pub fn events() -> Vec<Event> {
    read("", "event", 110)
}

/// All packs, by name.
pub fn packs() -> Vec<Event> {
    read("packs", "zst", 20)
}

/// The files of a folder with this ending; there must be so many at least.
fn read(folder: &str, ending: &str, at_least: usize) -> Vec<Event> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/corpus")
        .join(folder);
    let files = folder.read_dir().unwrap().map(|file| file.unwrap().path());
    let mut events: Vec<_> = files
        .filter(|path| path.extension().is_some_and(|found| found == ending))
        .map(|path| Event {
            name: path.file_stem().unwrap().to_str().unwrap().to_owned(),
            data: fs::read(&path).unwrap(),
            expected: serde_json::from_slice(
                &fs::read(path.with_extension("expected.json")).unwrap(),
            )
            .unwrap(),
        })
        .collect();
    events.sort_by(|a, b| a.name.cmp(&b.name));
    assert!(
        events.len() >= at_least,
        "only {} of {ending}: files are missing",
        events.len()
    );
    events
}
