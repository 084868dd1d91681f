//! Lines of X and messages of Jetstream: `cargo +nightly fuzz run messages`.

#![no_main]

use headwater::fuzzing;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| fuzzing::messages(input));
