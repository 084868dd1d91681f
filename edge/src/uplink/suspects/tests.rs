use super::Verdict::{Hold, Impossible, TryAnother};
use super::*;

#[test]
fn a_record_is_impossible_only_if_it_alone_is_refused() {
    let mut suspects = Suspects::default();
    assert_eq!(suspects.refused(7, true), TryAnother);
    suspects.accepted(Some(8));
    assert_eq!(suspects.refused(7, true), Impossible);
    assert!(!suspects.any());
}

#[test]
fn what_refuses_every_record_holds_them_all() {
    let mut suspects = Suspects::default();
    for _ in 0..100 {
        assert_eq!(suspects.refused(7, true), TryAnother);
        assert_eq!(suspects.refused(8, true), TryAnother);
        assert_eq!(suspects.refused(9, true), Hold);
    }
}

#[test]
fn a_lone_record_is_never_given_up() {
    let mut suspects = Suspects::default();
    for _ in 0..100 {
        assert_eq!(suspects.refused(7, false), Hold);
    }
}

#[test]
fn a_record_that_is_accepted_after_all_is_no_suspect() {
    let mut suspects = Suspects::default();
    assert_eq!(suspects.refused(7, true), TryAnother);
    assert_eq!(suspects.refused(8, true), TryAnother);
    // The set-up is mended: 9 arrives, then 7.
    suspects.accepted(Some(9));
    suspects.accepted(Some(7));
    suspects.accepted(Some(8));
    assert!(!suspects.any());
    assert_eq!(suspects.refused(7, true), TryAnother, "as if never seen");
}

#[test]
fn two_bad_records_are_both_found() {
    let mut suspects = Suspects::default();
    assert_eq!(suspects.refused(7, true), TryAnother);
    assert_eq!(suspects.refused(8, true), TryAnother);
    suspects.accepted(Some(9));
    assert_eq!(suspects.refused(7, true), Impossible);
    assert_eq!(suspects.refused(8, true), Impossible);
}
