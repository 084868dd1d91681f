//! The function's fuzz target over the kept corpus, and over a fixed number of its mutations.

use std::path::Path;

#[path = "../../fuzz/src/mutate.rs"]
mod mutate;
#[path = "../../fuzz/src/cloud.rs"]
mod target;

#[test]
fn records_of_any_bytes() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = ["tests/corpus", "tests/corpus/packs", "../fuzz/corpus/cloud"];
    let folders = folders.map(|folder| root.join(folder));
    mutate::over(
        &folders.each_ref().map(|folder| &**folder),
        500,
        target::cloud,
    );
}
