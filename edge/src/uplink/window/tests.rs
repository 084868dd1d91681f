use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

#[test]
fn a_window_that_waits_for_its_oldest_record_takes_no_more_than_the_spool_can_note() {
    let mut window = Window::default();
    window.read_to(101);
    window.park(100, 7);
    window.read_to(100 + WINDOW);
    assert_eq!(window.reach(100), 100 + WINDOW);
    assert_eq!(
        window.reach(5000),
        100 + WINDOW,
        "the oldest parked one counts"
    );
    window.unpark(100);
    window.read_to(window.end());
    assert_eq!(window.reach(5000), 5000 + WINDOW);
}

proptest! {
    #[test]
    fn it_is_a_map_of_the_records_that_wait(
        start in 0..1_000_000_u64,
        steps in prop::collection::vec((any::<bool>(), 0..500_u64, 0..70_u8), 1..200),
    ) {
        // Given a window that has read nothing yet
        let (mut window, mut model) = (Window::default(), BTreeMap::new());
        window.read_to(start);
        for (parks, which, reason) in steps {
            // When records are read and parked, let go, or leave the spool
            if parks && window.end() < window.reach(start) {
                let seq = window.end();
                window.read_to(seq + 1 + which / 100);
                window.park(seq, reason);
                model.insert(seq, reason);
            } else if reason < 60 {
                let nth = model.keys().nth(which as usize % model.len().max(1)).copied();
                if let Some(seq) = nth {
                    window.unpark(seq);
                    model.remove(&seq);
                }
            } else {
                let head = window.lowest().unwrap_or(window.end()) + which / 50;
                window.forget_below(head);
                model.retain(|seq, _| *seq >= head);
            }
            // Then it knows those that wait, in their order, and why
            prop_assert_eq!(window.parked().collect::<BTreeMap<_, _>>(), model.clone());
            prop_assert!(window.parked().is_sorted());
            prop_assert_eq!(window.is_empty(), model.is_empty());
            prop_assert_eq!(window.lowest(), model.keys().next().copied());
        }
    }
}
