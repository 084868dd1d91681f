use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

// A quarter of a backlog of 20,000 may wait for one hot shard, and the rest passes by.
const _: () = assert!(WINDOW >= 20_000);

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(target_arch = "arm") { 8 } else { 256 }))]

    #[test]
    fn it_is_a_set_of_numbers_in_a_window_that_moves(
        start in 0..1_000_000_u64,
        steps in prop::collection::vec((0..WINDOW, 0..400_u64), 1..12),
    ) {
        // Given a set that was never asked for anything
        let (mut acked, mut model, mut head) = (Acked::default(), BTreeSet::new(), start);
        for (ahead, moved) in steps {
            // When numbers within the window are added, and the head moves on
            let seq = head + ahead;
            prop_assert_eq!(acked.insert(seq), model.insert(seq));
            let passed = model.range(head..head + moved).count() as u64;
            prop_assert_eq!(acked.remove(head..head + moved), passed);
            head += moved;
            model.retain(|seq| *seq >= head);

            // Then it holds what a set of numbers would
            prop_assert_eq!(acked.count(), model.len() as u64);
            let end = head + WINDOW;
            for probe in [head, seq, seq + 1, head + ahead / 2] {
                prop_assert_eq!(acked.contains(probe.max(head)), model.contains(&probe.max(head)));
                let next = (probe.max(head)..).find(|seq| !model.contains(seq)).unwrap();
                prop_assert_eq!(acked.next_unacked(probe.max(head)), next);
            }
            prop_assert_eq!(acked.count_in(head + ahead / 3..end), model.range(head + ahead / 3..end).count() as u64);

            // And its bitmap says the same, to whoever reads it with whatever head
            let (base, bytes) = acked.encode(head..end);
            prop_assert_eq!(Acked::decode(base, &bytes, head, end).encode(head..end), (base, bytes.clone()));
            let later = head + ahead / 2;
            let read = Acked::decode(base, &bytes, later, end);
            prop_assert_eq!(read.count(), model.range(later..end).count() as u64);
        }
    }
}
