use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

// A quarter of a backlog of 20,000 may wait for one hot shard, and the rest passes by.
const _: () = assert!(WINDOW >= 20_000);

/// What is done to the set.
#[derive(Clone, Debug)]
enum Step {
    /// A number so far above the head is added.
    Near(u64),
    /// A run begins so far above the highest number there is.
    Begin(u64),
    /// So many numbers from the end of the newest run on are added.
    InOrder(u64),
    /// A number so far above the end of the newest run is added.
    Ahead(u64),
    /// The head moves by so much, and past those that are in the set.
    Move(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0..WINDOW).prop_map(Step::Near),
        2 => (1..100_000_u64).prop_map(Step::Begin),
        4 => (1..1500_u64).prop_map(Step::InOrder),
        4 => prop_oneof![0..8_u64, 0..4000_u64].prop_map(Step::Ahead),
        2 => prop_oneof![0..400_u64, 0..200_000_u64].prop_map(Step::Move),
    ];
    prop::collection::vec(step, 1..16)
}

/// A set, and the numbers it should have.
#[derive(Debug)]
struct Twin {
    acked: Acked,
    model: BTreeSet<Seq>,
    head: Seq,
}

impl Twin {
    fn insert(&mut self, seq: Seq) {
        if seq >= self.head && !self.model.contains(&seq) && self.acked.reaches(seq, self.head) {
            assert!(self.acked.insert(seq));
            self.model.insert(seq);
        }
    }

    fn top(&self) -> Seq {
        self.model.last().map_or(self.head, |last| last + 1)
    }

    fn step(&mut self, step: &Step) {
        let newest = self.acked.runs().newest();
        let end = newest.map_or(self.head, |run| run.to);
        match step {
            Step::Near(ahead) => self.insert(self.head + ahead),
            Step::Begin(ahead) => drop(self.acked.begin_run(self.top() + ahead)),
            Step::InOrder(count) => (end..end + count).for_each(|seq| self.insert(seq)),
            Step::Ahead(ahead) => self.insert(end + ahead),
            Step::Move(by) => {
                let to = self.acked.next_unacked(self.head + by);
                self.acked.remove(self.head..to);
                self.model = self.model.split_off(&to);
                self.head = to;
            }
        }
    }

    fn compare(&self, probes: &[u64]) {
        let Self { acked, model, head } = self;
        let end = self.top() + 10;
        let probes: Vec<_> = probes
            .iter()
            .map(|probe| head + probe % (end - head))
            .collect();
        // What is written says the same to who reads it.
        let bytes = acked.encode(*head..end);
        let read = Acked::decode(bytes.bits(), *head, end);
        for acked in [acked, &read] {
            assert_eq!(acked.count(), model.len() as u64);
            for probe in &probes {
                let probe = *probe;
                assert_eq!(acked.contains(probe), model.contains(&probe));
                let next = (probe..).find(|seq| !model.contains(seq)).unwrap();
                assert_eq!(acked.next_unacked(probe), next);
                let above = model.range(probe..).count() as u64;
                assert_eq!(acked.count_in(probe..end), above);
                assert_eq!(acked.count_in(*head..probe), model.len() as u64 - above);
            }
        }
        for probe in probes {
            // Those below a number that is given out, and those from it on.
            let cut = Acked::decode(acked.encode(*head..probe).bits(), *head, probe);
            assert_eq!(cut.count(), model.range(..probe).count() as u64);
            assert_eq!(
                Acked::decode(bytes.bits(), *head, probe).count(),
                cut.count()
            );
            let later = Acked::decode(bytes.bits(), probe, end);
            for seq in [probe, probe + 1, end - 1] {
                assert!(!later.contains(seq) || model.contains(&seq));
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if cfg!(target_arch = "arm") { 8 } else { 64 },
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn it_is_a_set_of_numbers_near_the_head_and_in_runs(
        head in 0..1_000_000_u64,
        steps in steps(),
        probes in prop::collection::vec(any::<u64>(), 6),
    ) {
        // Given a set that was never asked for anything
        let mut twin = Twin { acked: Acked::default(), model: BTreeSet::new(), head };
        for step in &steps {
            // When numbers are added, runs begin, and the head moves on
            twin.step(step);
            // Then it holds what a set of numbers would
            twin.compare(&probes);
        }
    }
}

#[test]
fn a_set_from_before_there_were_runs_is_read_as_it_was() {
    // Given what an earlier version wrote: a bitmap alone
    let bits = AckedBits {
        base: 640,
        bitmap: &[0b101, 1],
        runs: &[],
    };
    // Then its numbers are there
    let acked = Acked::decode(bits, 640, 1000);
    let found: Vec<_> = (640..1000).filter(|seq| acked.contains(*seq)).collect();
    assert_eq!(found, [640, 642, 648]);
    assert_eq!(acked.runs().newest(), None);
}
