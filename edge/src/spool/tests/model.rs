//! The spool against a queue that cannot fail: any row of writes, flushes, acknowledgements, commits, failures, kills and power cuts.

use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;
use crate::spool::tests::sim::Faults;

#[derive(Clone, Debug)]
enum Op {
    Write(u64),
    Flush,
    /// Peek, and acknowledge this part (of 4) of what was shown.
    Ack(usize),
    /// Peek from so far above the head on, and acknowledge those of what was shown whose bit is set.
    AckEach(u64, u64),
    /// A run begins so far below the next number, if this is not 0; and as before, from the end of the newest run on.
    AckRun(u64, u64),
    Commit,
    Tick(u64),
    FailSyncs(u32),
    Kill,
    /// The power goes, with each unsynced block written or not by these bits.
    PowerCut(u64),
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        8 => (1..6_u64).prop_map(Op::Write),
        6 => Just(Op::Flush),
        4 => (0..=4_usize).prop_map(Op::Ack),
        4 => (0..12_u64, any::<u64>()).prop_map(|(ahead, bits)| Op::AckEach(ahead, bits)),
        4 => (0..4_u64, any::<u64>()).prop_map(|(back, bits)| Op::AckRun(back, bits)),
        2 => Just(Op::Commit),
        3 => (100..6000_u64).prop_map(Op::Tick),
        1 => (1..=2_u32).prop_map(Op::FailSyncs),
        2 => Just(Op::Kill),
        1 => any::<u64>().prop_map(Op::PowerCut),
    ];
    prop::collection::vec(op, 1..60)
}

fn sizes() -> impl Strategy<Value = Size> {
    let when_full = prop_oneof![Just(WhenFull::DropOldest), Just(WhenFull::DropNewest)];
    (12..80_u64, 12..40_u64, when_full).prop_map(|(card_blocks, stage_blocks, when_full)| Size {
        card_blocks,
        stage_blocks,
        when_full,
    })
}

/// What the spool was told and said.
#[derive(Debug, Default)]
struct Model {
    waiting: VecDeque<(Seq, u64)>,
    /// Acknowledged each by itself: after a power cut, a card that was not told of it yet shows them again.
    acked_each: Vec<(Seq, u64)>,
    next_id: u64,
    /// The last record kept before the last flush.
    flushed: u64,
    offered: u64,
    acked: u64,
    refused: u64,
}

impl Model {
    /// What was shown is the rest of the row: what is missing at its front or amid was dropped or lost, and is counted.
    fn see(&mut self, shown: &[(Seq, u64)]) -> Result<(), TestCaseError> {
        for record in shown {
            let known = self.waiting.iter().position(|waiting| waiting == record);
            prop_assert!(
                known.is_some(),
                "{record:?} does not wait: {:?}",
                self.waiting
            );
        }
        prop_assert!(shown.is_sorted());
        Ok(())
    }

    /// Those shown from `from` on whose bit is set are acknowledged.
    fn ack_each(&mut self, rig: &Rig, from: Seq, bits: u64) -> Result<(), TestCaseError> {
        let shown = rig.peek_from(from);
        self.see(&shown)?;
        let chosen = |i: usize| bits >> (i % 64) & 1 == 1;
        let some = shown.iter().enumerate().filter(|(i, _)| chosen(*i));
        let some: Vec<_> = some.map(|(_, (seq, _))| *seq).collect();
        rig.spool.ack_each(some.iter().copied());
        self.acked += some.len() as u64;
        let acked = shown.iter().filter(|(seq, _)| some.contains(seq));
        self.acked_each.extend(acked);
        self.waiting.retain(|(seq, _)| !some.contains(seq));
        Ok(())
    }

    fn ack(&mut self, below: Seq, shown: &[(Seq, u64)]) {
        self.acked += shown.iter().filter(|(seq, _)| *seq < below).count() as u64;
        self.waiting.retain(|(seq, _)| *seq >= below);
    }
}

fn run(size: Size, ops: &[Op]) -> Result<(), TestCaseError> {
    let mut rig = Rig::new(size);
    let mut model = Model::default();
    rig.spool.commit();
    for op in ops {
        match op {
            Op::Write(count) => {
                for _ in 0..*count {
                    model.next_id += 1;
                    model.offered += 1;
                    match rig.write(model.next_id) {
                        Appended::Kept(seq) => model.waiting.push_back((seq, model.next_id)),
                        Appended::Dropped => model.refused += 1,
                        Appended::Closed => prop_assert!(false, "it was never closed"),
                    }
                }
            }
            Op::Flush => {
                rig.spool.flush();
                model.flushed = position(&rig);
            }
            Op::Ack(part) => {
                let shown = rig.peek();
                model.see(&shown)?;
                let below = match shown.len() * part / 4 {
                    0 => 0,
                    count => shown[count - 1].0 + 1,
                };
                rig.spool.ack(below);
                model.ack(below, &shown);
            }
            Op::AckEach(ahead, bits) => {
                model.ack_each(&rig, rig.head() + ahead, *bits)?;
            }
            Op::AckRun(back, bits) => {
                if *back > 0 {
                    let next = rig.spool.next();
                    rig.spool.begin_run((next + 1).saturating_sub(*back));
                }
                if let Some(run) = rig.spool.newest_run() {
                    model.ack_each(&rig, run.to, *bits)?;
                }
            }
            Op::Commit => rig.spool.commit(),
            Op::Tick(ms) => rig.tick(Duration::from_millis(*ms)),
            Op::FailSyncs(count) => rig.disk().set_faults(Faults {
                failing_syncs: *count,
                ..Faults::default()
            }),
            Op::Kill => {
                let stats = rig.spool.stats();
                let last = position(&rig);
                let (card, stage) = rig.kill();
                rig = Rig::on(size, card, stage);
                let after = rig.spool.stats();
                if last == model.flushed {
                    prop_assert_eq!(
                        counted(&after),
                        counted(&stats),
                        "a kill changes no counter"
                    );
                }
                // Of what was written since the last flush the last may be gone, and the source is told to read them again.
                let survived = position(&rig);
                prop_assert!((model.flushed..=last).contains(&survived));
                let next = rig.spool.lock().ledger.next;
                model.waiting.retain(|(seq, _)| *seq < next);
                model.offered = after.appended;
                model.flushed = survived;
            }
            Op::PowerCut(bits) => {
                let committed = rig.committed().0;
                let mut image = rig.disk().safe();
                for (i, (place, page)) in rig.disk().pending().into_iter().enumerate() {
                    if bits >> (i % 64) & 1 == 1 {
                        image[place] = page;
                    }
                }
                rig = Rig::on(size, Some(image), None);
                model = after_power_cut(&rig, size, model, committed)?;
            }
        }
        let stats = rig.spool.stats();
        prop_assert_eq!(stats.appended, model.offered);
        prop_assert_eq!(stats.delivered, model.acked);
        prop_assert_eq!(
            stats.waiting_records + stats.dropped + stats.media_lost + stats.unsynced_lost,
            model.offered - model.acked
        );
        prop_assert_eq!(stats.media_lost, 0);
    }
    let shown = rig.drain();
    model.see(&shown)?;
    let stats = rig.spool.stats();
    prop_assert_eq!(stats.waiting_records, 0);
    prop_assert_eq!(stats.delivered, model.acked + shown.len() as u64);
    Ok(())
}

/// Where the source goes on: after the last record that was kept.
fn position(rig: &Rig) -> u64 {
    let bytes = rig.spool.position().try_into();
    bytes.map_or(0, u64::from_le_bytes)
}

fn counted(stats: &Stats) -> [u64; 6] {
    let Stats {
        appended,
        delivered,
        waiting_records,
        dropped,
        media_lost,
        unsynced_lost,
        ..
    } = *stats;
    [
        appended,
        delivered,
        waiting_records,
        dropped,
        media_lost,
        unsynced_lost,
    ]
}

/// The source begins anew after what survived: the model goes on from there.
fn after_power_cut(
    rig: &Rig,
    size: Size,
    mut model: Model,
    committed: Seq,
) -> Result<Model, TestCaseError> {
    let twin = Rig::on(size, Some(rig.disk().seen()), None);
    let survived = twin.drain();
    for (seq, id) in &survived {
        let known = model.waiting.contains(&(*seq, *id)) || model.acked_each.contains(&(*seq, *id));
        let invented = *seq >= committed && !known;
        prop_assert!(!invented, "{seq}: {id} never waited");
    }
    if size.when_full == WhenFull::DropNewest {
        let lost = model
            .waiting
            .iter()
            .find(|waiting| waiting.0 < committed && !survived.contains(waiting));
        prop_assert!(lost.is_none(), "{lost:?} was committed, and is lost");
    }
    let stats = rig.spool.stats();
    model.waiting = survived.into();
    model.offered = stats.appended;
    model.acked = stats.delivered;
    model.refused = 0;
    model.flushed = position(rig);
    Ok(model)
}

proptest! {
    // PROPTEST_CASES=20000 for a longer look
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_spool_is_a_queue_through_kills_cuts_and_failures(size in sizes(), ops in ops()) {
        run(size, &ops)?;
    }
}
