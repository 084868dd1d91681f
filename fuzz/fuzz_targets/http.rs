//! Answers of HTTP/1.1, cut anyhow: `cargo +nightly fuzz run http`.

#![no_main]

use headwater::fuzzing;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| fuzzing::http(input));
