//! Lines of files, and their envelopes: `cargo +nightly fuzz run lines`.

#![no_main]

use headwater::fuzzing;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| fuzzing::lines(input));
