//! Answers of Kinesis, in JSON and CBOR: `cargo +nightly fuzz run kinesis`.

#![no_main]

use headwater::fuzzing;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| fuzzing::kinesis(input));
