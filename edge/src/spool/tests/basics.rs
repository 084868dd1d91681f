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
