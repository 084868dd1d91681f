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
    /// One field: `put` or `delete` with the item, `ignored`, or the `reason` why it can't be decoded.
    pub expected: Value,
}

/// All events, by name.
pub fn events() -> Vec<Event> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let files = folder.read_dir().unwrap().map(|file| file.unwrap().path());
    let mut events: Vec<_> = files
        .filter(|path| path.extension().is_some_and(|ending| ending == "event"))
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
        events.len() > 80,
        "only {} events: files are missing",
        events.len()
    );
    events
}
