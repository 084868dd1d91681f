//! Media of the spool: any card and any stage open, and the spool works on: `cargo +nightly fuzz run spool`.

#![no_main]

use headwater::fuzzing;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| fuzzing::spool(input));
