//! Tells the program when it was built: a lower bound of the true time, on a board whose clock is not set.

use std::time::{SystemTime, UNIX_EPOCH};

fn main() {
    // As reproducible builds ask for: https://reproducible-builds.org/specs/source-date-epoch/
    println!("cargo:rerun-if-env-changed=SOURCE_DATE_EPOCH");
    let now = || {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs())
            .to_string()
    };
    let built = std::env::var("SOURCE_DATE_EPOCH").unwrap_or_else(|_| now());
    println!("cargo:rustc-env=HEADWATER_BUILT={built}");
}
