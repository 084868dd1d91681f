use std::collections::BTreeSet;
use std::time::{Duration, UNIX_EPOCH};

use super::*;

#[test]
fn an_id_is_written_with_26_digits_that_sort_as_it_does() {
    let text = |id: Ulid| String::from_utf8(id.chars().to_vec()).unwrap();
    // The example of the specification: 01AN4Z07BY is the time 1465824320894.
    assert!(text(Ulid::new(1_465_824_320_894, 0)).starts_with("01AN4Z07BY0000"));
    assert_eq!(text(Ulid::new(0, 0)), "0".repeat(26));
    assert_eq!(
        text(Ulid::new((1 << 48) - 1, u128::MAX)),
        "7ZZZZZZZZZZZZZZZZZZZZZZZZZ"
    );
    let ids = [Ulid::new(1, 31), Ulid::new(1, 32), Ulid::new(2, 0)];
    assert!(ids.is_sorted() && ids.map(text).is_sorted());
}

#[test]
fn ids_of_a_run_differ_even_when_the_clock_stands_still_or_goes_back() {
    let mut run = Run::new().unwrap();
    let ids: BTreeSet<_> = (0..1000_u64)
        .map(|n| run.next(UNIX_EPOCH + Duration::from_secs(5 - n / 200)))
        .collect();
    assert_eq!(ids.len(), 1000);
}

#[test]
fn two_runs_have_nothing_in_common() {
    let mut runs = [Run::new().unwrap(), Run::new().unwrap()];
    let [one, two] = runs.each_mut().map(|run| run.next(UNIX_EPOCH));
    assert_ne!(one, two);
}
