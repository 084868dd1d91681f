use super::*;

#[test]
fn pauses_grow_to_their_ceiling_and_start_again_after_success() {
    let mut backoff = Backoff::default();
    for failed in 0..100u32 {
        let most = CEILING.min(FIRST.saturating_mul(1 << failed.min(16)));
        assert!(backoff.next(false) <= most, "after {failed} failures");
    }
    backoff.reset();
    assert!(backoff.next(false) <= FIRST);
}

#[test]
fn a_fleet_does_not_come_back_together() {
    let pauses: std::collections::BTreeSet<_> = (0..20)
        .map(|_| {
            let mut board = Backoff { failed: 10 };
            board.next(false)
        })
        .collect();
    assert!(pauses.len() > 10, "{pauses:?}");
}

#[test]
fn what_a_person_must_mend_is_tried_slowly() {
    let mut backoff = Backoff::default();
    assert!(backoff.next(true) >= FIRST_SLOW / 2);
    for _ in 0..40 {
        assert!(backoff.next(true) <= CEILING_SLOW);
    }
}
