use super::*;
use crate::spool::format::acked::MAX_RUNS;

fn with(seqs: impl IntoIterator<Item = Seq>, runs: &mut Runs) {
    seqs.into_iter().for_each(|seq| runs.insert(seq));
}

#[test]
fn a_run_grows_in_order_and_takes_in_what_lies_ahead() {
    let mut runs = Runs::default();
    assert!(runs.begin(100_000));
    with([100_001, 100_002, 100_005], &mut runs);
    assert_eq!(runs.newest().map(|run| run.to), Some(100_000));
    with([100_000], &mut runs);
    assert_eq!(runs.newest().map(|run| run.to), Some(100_003));
    assert_eq!(runs.count(), 4);
}

#[test]
fn what_lies_ahead_of_a_run_becomes_runs_where_the_next_one_begins() {
    // Given a run with two rows ahead of it, and a record that lies between
    let mut runs = Runs::default();
    runs.begin(1000);
    with((1000..1010).chain(1020..1030).chain(1040..1050), &mut runs);
    // When one begins after that record, then none is lost, and the newest goes on from there
    assert!(runs.begin(1031));
    assert_eq!(runs.list, [1000..1010, 1020..1030, 1031..1031]);
    with([1031], &mut runs);
    assert_eq!(runs.count(), 31);
    // And one that begins where the newest goes on changes nothing
    let before = runs.clone();
    assert!(runs.begin(1032));
    assert_eq!(runs, before);
}

#[test]
fn an_empty_run_gives_way_to_the_next_and_there_is_an_end_to_runs() {
    let mut runs = Runs::default();
    let most = MAX_RUNS as u64;
    for at in (1..=most).map(|i| i * 1000) {
        assert!(runs.begin(at - 500), "an empty one takes no place for ever");
        assert!(runs.begin(at));
        with([at], &mut runs);
    }
    // The last place is taken: the newest run goes on instead
    let before = runs.clone();
    assert!(!runs.begin(100_000));
    assert_eq!(runs, before);
    // When the head has passed the oldest, there is room for another
    runs.pass(1500, |_| panic!("nothing is ahead"));
    assert!(runs.begin(100_000));
}

#[test]
fn rows_too_many_to_become_runs_stay_ahead() {
    let mut runs = Runs::default();
    runs.begin(1000);
    with((0..40).map(|i| 1001 + 2 * i), &mut runs);
    let before = runs.clone();
    assert!(!runs.begin(5000));
    assert_eq!(runs, before);
}

#[test]
fn the_head_passes_a_run_and_keeps_what_lies_ahead_of_it() {
    let mut runs = Runs::default();
    runs.begin(1000);
    with([1000, 1001, 1005, 1009], &mut runs);
    let mut left = Vec::new();
    runs.pass(1002, |seq| left.push(seq));
    assert_eq!(left, [1005, 1009]);
    assert_eq!(runs, Runs::default());
}

#[test]
fn a_payload_that_cannot_be_is_none() {
    let bits = |runs: &[Range<Seq>]| RunBits {
        runs: runs.iter().cloned().collect(),
        ..RunBits::default()
    };
    for sound in [vec![5..9, 9..20], vec![5..9, 20..20]] {
        let bytes = bits(&sound).encode();
        let read = RunBits::decode(&bytes).map(|bits| bits.runs.to_vec());
        assert_eq!(read, Some(sound));
        for len in 0..bytes.len() {
            assert!(RunBits::decode(&bytes[..len]).is_none());
        }
    }
    let back = Range { start: 9, end: 5 };
    for wrong in [
        vec![5..9, 8..20],
        vec![20..30, 5..9],
        vec![back],
        vec![5..9, 9..u64::MAX],
    ] {
        assert!(
            RunBits::decode(&bits(&wrong).encode()).is_none(),
            "{wrong:?}"
        );
    }
}
