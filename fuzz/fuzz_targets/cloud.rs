//! Records that the function unpacks and decodes: `cargo +nightly fuzz run cloud`.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../src/cloud.rs"]
mod target;

fuzz_target!(|input: &[u8]| target::cloud(input));
