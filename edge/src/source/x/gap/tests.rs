use super::*;

/// The id of a post written so many seconds after some moment.
fn id(secs: u64) -> u64 {
    ids::first_at(1_768_473_300_000 + secs * 1000) + 7
}

/// A place whose newest post is that of second `newest`.
fn place(newest: u64) -> Place {
    let mut place = Place::at(b"", "pizza");
    place.read(id(newest));
    place
}

/// Opens so many gaps, ten seconds each, and further and further apart.
fn gaps(count: u64) -> Place {
    let mut place = place(0);
    for n in 0..count {
        place.note(id(1000 * n * n + 10));
        place.read(id(1000 * (n + 1) * (n + 1)));
    }
    place
}

#[test]
fn a_stream_that_comes_back_has_missed_what_lies_between() {
    let mut place = place(100);
    place.note(id(160));
    let gap = place.gap().unwrap();
    assert_eq!(gap.until, id(160));
    // A little before the newest post, for posts come out of order
    assert_eq!(gap.times_ms().0, ids::time_ms(id(98)));
    assert!(gap.after < id(98));
}

#[test]
fn a_first_run_and_a_pause_that_was_wanted_miss_nothing() {
    let mut first = Place::at(b"", "pizza");
    first.note(id(5));
    assert_eq!(first.gap(), None);
    let mut paused = place(5);
    paused.pause();
    paused.note(id(500));
    assert_eq!(paused.gap(), None);
}

#[test]
fn a_position_says_all_and_belongs_to_its_rule() {
    for count in [0, 1, MAX_GAPS as u64] {
        let place = gaps(count);
        assert_eq!(place.gaps() as u64, count);
        let position = place.position();
        assert_eq!(Place::at(position.as_bytes(), "pizza"), place);
        assert_eq!(Place::at(position.as_bytes(), "pasta").newest, 0);
    }
    for nonsense in ["", "x", "x 1", "x 1 zz", "x 1 2 3", "jetstream 5"] {
        assert_eq!(Place::at(nonsense.as_bytes(), "pizza").newest, 0);
    }
}

#[test]
fn the_longest_position_fits_a_block() {
    let mut place = Place::at(b"", "pizza");
    place.rule_crc = u32::MAX;
    place.newest = u64::MAX;
    place.noted = u64::MAX;
    for _ in 0..MAX_GAPS {
        let (after, until) = (u64::MAX - 2, u64::MAX);
        place.gaps.push(Gap { after, until }).unwrap();
    }
    let position = place.position();
    assert_eq!(position.len(), MAX_POSITION_BYTES);
    assert!(position.len() <= 255);
    assert_eq!(Place::parse(position.as_bytes()), Some(place));
}

#[test]
fn gaps_that_do_not_fit_are_joined_and_none_is_forgotten() {
    // Given as many gaps as fit
    let mut place = gaps(MAX_GAPS as u64);
    let before: Vec<_> = place.gaps.iter().copied().collect();

    // When there is one more
    place.note(id(1_000_000));

    // Then every one lies in some gap, and the nearest two are one
    for gap in before {
        let holds = |whole: &&Gap| whole.after <= gap.after && whole.until >= gap.until;
        assert!(place.gaps.iter().any(|whole| holds(&whole)), "{gap:?}");
    }
    assert_eq!(place.gaps(), MAX_GAPS);
    assert_eq!(place.gaps[0].until, id(10));
    assert_eq!(place.gaps[1].until, id(4010));
    assert_eq!(place.gaps.last().unwrap().until, id(1_000_000));
}

#[test]
fn an_outage_right_after_another_does_not_reach_into_its_gap() {
    let mut place = place(100);
    place.note(id(160));
    // However far the first one is filled
    let first = place.gap().unwrap();
    place.filled_down_to(first.after, id(110));
    place.note(id(161));
    assert_eq!(place.gaps[1].after, first.until - 1);
}

#[test]
fn a_gap_shrinks_from_its_newest_post_to_its_oldest_and_is_gone() {
    let mut place = gaps(2);
    let gap = place.gap().unwrap();
    place.filled_down_to(gap.after, id(9));
    assert_eq!(
        place.gap().unwrap(),
        Gap {
            until: id(9),
            ..gap
        }
    );
    // A post that X sends again does not open it again
    place.filled_down_to(gap.after, id(10));
    assert_eq!(place.gap().unwrap().until, id(9));
    place.filled_down_to(gap.after, gap.after + 1);
    assert_eq!(place.gaps(), 1);
    place.close(place.gap().unwrap().after);
    assert_eq!(place.gap(), None);
}

#[test]
fn what_the_search_no_longer_has_is_given_up_and_said_once() {
    let mut place = gaps(1);
    let gap = place.gap().unwrap();
    assert_eq!(place.give_up_below(gap.after), None);
    let missed = place.give_up_below(id(4)).unwrap();
    assert_eq!((missed.after, missed.until), (gap.after, id(4)));
    assert_eq!(place.give_up_below(id(4)), None);
    let rest = place.give_up_below(id(5000)).unwrap();
    assert_eq!((rest.after, rest.until), (id(4), gap.until));
    assert_eq!(place.gap(), None);
}
