//! The queue as its users see it.

use super::*;

#[test]
fn what_is_appended_is_shown_in_order_until_it_is_acknowledged() {
    let rig = Rig::new(Size::default());
    for id in 0..20 {
        assert_eq!(rig.append(id), id);
    }
    let all: Vec<_> = (0..20).map(|id| (id, id)).collect();
    assert_eq!(rig.peek(), all);
    assert_eq!(rig.peek(), all, "they stay");
    rig.spool.ack(7);
    assert_eq!(rig.peek(), all[7..]);
    rig.spool.ack(20);
    assert_eq!(rig.peek(), []);
    rig.check_sum();
    assert_eq!(rig.spool.stats().delivered, 20);
}

#[test]
fn records_come_from_card_and_stage_in_one_row() {
    let rig = Rig::new(Size::default());
    rig.append_all(0..5);
    rig.spool.commit();
    rig.append_all(5..9);
    rig.spool.commit();
    rig.append_all(9..12);
    assert_eq!(rig.drain(), (0..12).map(|id| (id, id)).collect::<Vec<_>>());
}

#[test]
fn a_killed_program_loses_nothing_and_sends_nothing_twice() {
    let size = Size::default();
    let mut rig = Rig::new(size);
    let mut sent = Vec::new();
    for round in 0..40_u64 {
        for id in round * 3..round * 3 + 3 {
            rig.append(id);
        }
        if round % 3 == 0 {
            rig.spool.commit();
        }
        if round % 2 == 0 {
            let shown = rig.peek();
            let shown = &shown[..shown.len() / 2];
            sent.extend(shown.iter().map(|(_, id)| *id));
            if let Some((seq, _)) = shown.last() {
                rig.spool.ack(seq + 1);
            }
        }
        let (card, stage) = rig.kill();
        rig = Rig::on(size, card, stage);
        assert_eq!(rig.spool.position(), (round * 3 + 2).to_le_bytes());
        rig.check_sum();
    }
    sent.extend(rig.drain().iter().map(|(_, id)| *id));
    let stats = rig.spool.stats();
    assert_eq!(sent, (0..120).collect::<Vec<_>>(), "{stats:?}");
}

#[test]
fn what_is_acknowledged_in_a_run_is_gone_and_its_room_comes_free_with_what_waits_before_it() {
    // Given records on the card, and a run that begins far from the oldest
    let size = Size::default();
    let rig = Rig::new(size);
    rig.append_all(0..20);
    rig.spool.commit();
    rig.peek();
    assert!(rig.spool.begin_run(10));
    let before = rig.spool.stats();
    // When those of the run are acknowledged
    rig.spool.ack_each(10..20);
    // Then they do not wait and are not shown, and the oldest is the same; but their room is in use
    let stats = rig.spool.stats();
    assert_eq!((stats.waiting_records, stats.delivered), (10, 10));
    assert_eq!(stats.waiting_bytes, before.waiting_bytes);
    rig.append(20);
    let left: Vec<_> = (0..10).chain([20]).map(|id| (id, id)).collect();
    assert_eq!(rig.peek(), left);
    assert_eq!(rig.spool.stats().oldest, before.oldest);
    rig.check_sum();
    // And so it is after a kill, and after a power cut once the card was told
    rig.spool.commit();
    let (card, stage) = rig.kill();
    for stage in [stage, None] {
        let rig = Rig::on(size, card.clone(), stage);
        assert_eq!(rig.peek(), left);
        assert_eq!(
            rig.spool.newest_run().map(|run| (run.from, run.to)),
            Some((10, 20))
        );
        // When the head comes to the run, it jumps to its end
        rig.spool.ack(10);
        assert_eq!((rig.head(), rig.spool.newest_run()), (20, None));
        assert_eq!(rig.peek(), [(20, 20)]);
        rig.spool.ack(21);
        assert_eq!(rig.spool.stats().waiting_bytes, 0);
        rig.check_sum();
    }
}
