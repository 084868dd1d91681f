//! Every state a power cut can leave, as [`each_subset`] has them.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::thread;

use super::*;
use crate::spool::tests::sim::{Event, Faults, Page, Wrap, each_subset};

const SAMPLES: u64 = 400;

/// Tests for the board run in an emulator, thirty times slower.
pub const EMULATED: bool = cfg!(target_arch = "arm");

/// What the program was told up to the crash, and so may rely on.
#[derive(Clone, Debug, Default)]
pub struct Model {
    /// Numbers and contents of all that was kept.
    kept: BTreeMap<Seq, u64>,
    acked: Seq,
    acked_each: BTreeSet<Seq>,
    /// Those the card knows of.
    noted_each: BTreeSet<Seq>,
    /// As of the last finished commit: what was kept, and what the card knows to be delivered.
    committed: Seq,
    noted: Seq,
    /// The policy dropped nothing from here on, even in the commit that was cut.
    head: Seq,
    dropped: BTreeSet<Seq>,
}

impl Model {
    fn hear(&mut self, told: &Told) {
        match told {
            Told::Kept(seq, id) => drop(self.kept.insert(*seq, *id)),
            Told::Acked(below) => self.acked = *below,
            Told::AckedEach(seqs) => self.acked_each.extend(seqs),
            Told::Committed(below, noted, each) => {
                (self.committed, self.noted) = (*below, *noted);
                self.noted_each.extend(each);
            }
            Told::Head(seq) => self.head = *seq,
            Told::Dropped(from, to) => self.dropped.extend(*from..*to),
        }
    }
}

/// One run of the program: some appending, acknowledging, committing; if `faulty`, with syncs that fail now and then.
fn work(rig: &Rig, dice: &mut Dice, next_id: &mut u64, steps: u64, faulty: bool) {
    rig.spool.commit();
    let disk = rig.disk();
    let committed = || {
        let (below, noted, each) = rig.committed();
        Told::Committed(below, noted, each)
    };
    disk.tell(committed());
    for _ in 0..steps {
        match dice.roll(10) {
            0..4 => {
                for _ in 0..=dice.roll(4) {
                    let (low, unsaved) = rig.staged();
                    if let Appended::Kept(seq) = rig.try_append(*next_id) {
                        disk.tell(Told::Dropped(low.max(unsaved), rig.staged().0));
                        disk.tell(Told::Kept(seq, *next_id));
                    }
                    *next_id += 1;
                }
                disk.tell(Told::Head(rig.head()));
            }
            4 => {
                let shown = rig.peek();
                if !shown.is_empty() {
                    let (last, _) = shown[dice.roll(shown.len() as u64) as usize];
                    rig.spool.ack(last + 1);
                    disk.tell(Told::Acked(last + 1));
                }
                disk.tell(Told::Head(rig.head()));
            }
            8 | 9 => {
                // from anywhere on, and some of what is shown
                let head = rig.head();
                let shown = rig.peek_from(head + dice.roll(8));
                let some = shown.iter().filter(|_| dice.roll(3) == 0);
                let some: Vec<_> = some.map(|(seq, _)| *seq).collect();
                rig.spool.ack_each(some.iter().copied());
                disk.tell(Told::AckedEach(some));
                disk.tell(Told::Head(rig.head()));
            }
            5 => {
                let failing_syncs = u32::from(faulty && dice.roll(2) == 0);
                disk.set_faults(Faults {
                    failing_syncs,
                    ..Faults::default()
                });
                rig.tick(Duration::from_millis(500 + dice.roll(5000)));
                disk.tell(Told::Head(rig.head()));
            }
            _ => {
                rig.spool.commit();
                disk.tell(Told::Head(rig.head()));
                disk.tell(committed());
            }
        }
        rig.check_sum();
    }
}

/// Calls `visit` with every state a crash can leave of `log`, which began with `image` and `model`.
pub fn each_crash(
    image: Image,
    mut model: Model,
    log: &[Event<Told>],
    dice: &mut Dice,
    mut visit: impl FnMut(&Image, &Model),
) {
    let mut safe = image;
    let mut pending: Vec<(usize, Page)> = Vec::new();
    for (i, event) in log.iter().enumerate() {
        match event {
            Event::Write(place, page) => pending.push((*place, page.clone())),
            Event::Told(told) => model.hear(told),
            Event::Synced | Event::Failed(_) => {
                let ahead = log[i..].iter().find_map(|event| match event {
                    Event::Told(Told::Head(head)) => Some(*head),
                    _ => None,
                });
                let mut cut = model.clone();
                cut.head = cut.head.max(ahead.unwrap_or(0));
                each_subset(&safe, &pending, SAMPLES, dice, |image| visit(image, &cut));
                let reached = |i| match event {
                    Event::Failed(reached) => reached[i],
                    _ => true,
                };
                for (i, (place, page)) in pending.drain(..).enumerate() {
                    if reached(i) {
                        safe[place] = page;
                    }
                }
            }
        }
    }
    each_subset(&safe, &pending, SAMPLES, dice, |image| visit(image, &model));
}

/// Opens what a crash left, and holds it against the model. Returns what it found, and where the source goes on.
pub fn check(
    size: Size,
    image: &Image,
    model: &Model,
    wrap: Wrap<Told>,
) -> Result<Vec<(Seq, u64)>, String> {
    let open = || {
        Rig::in_slots(
            size,
            SimSlot::wrapped(Some(image.clone()), wrap),
            SimSlot::new(None),
        )
    };
    let rig = open();
    let disk = rig.disk();
    let state = |rig: &Rig| {
        let state = rig.spool.lock();
        (
            state.ledger.clone(),
            state.card.as_ref().map(|card| (card.oldest, card.tail)),
        )
    };
    let before = state(&rig);
    let shown = rig.drain();
    let stats = rig.spool.stats();
    let fail = |what: &str| {
        Err(format!(
            "{what}\nshown {shown:?}\n{model:?}\n{stats:?}\nopened as {before:?}"
        ))
    };
    for (seq, id) in &shown {
        if model.kept.get(seq) != Some(id) {
            return fail(&format!("record {seq} was invented: it is {id}"));
        }
    }
    if !shown.is_sorted_by_key(|(seq, _)| *seq) {
        return fail("out of order");
    }
    let has = |seq: &Seq| shown.binary_search_by_key(seq, |(seq, _)| *seq).is_ok();
    let needed = |seq: &Seq| {
        let let_go = model.dropped.contains(seq) || model.acked_each.contains(seq);
        *seq >= model.acked.max(model.head) && !let_go
    };
    if let Some(seq) = model
        .kept
        .keys()
        .find(|seq| needed(seq) && **seq < model.committed && !has(seq))
    {
        return fail(&format!("record {seq} was committed, and is lost"));
    }
    let noted = |seq: &Seq| *seq < model.noted || model.noted_each.contains(seq);
    if let Some((seq, _)) = shown.iter().find(|(seq, _)| noted(seq)) {
        return fail(&format!(
            "record {seq} is sent again, though a commit noted that it was delivered"
        ));
    }
    // The source goes on at the position: what comes before and is not here is gone for good.
    let position = rig.spool.position();
    let resumed = <[u8; 8]>::try_from(&position[..]).map_or(0, u64::from_le_bytes);
    let gone = |(seq, id): &(&Seq, &u64)| {
        !position.is_empty() && **id <= resumed && needed(seq) && !has(seq)
    };
    if let Some((seq, _)) = model.kept.iter().find(gone) {
        return fail(&format!(
            "record {seq} is lost, and its source goes on behind it"
        ));
    }
    if stats.media_lost > 0 {
        return fail("no block was damaged, yet some count as lost to the medium");
    }
    if stats.appended
        != stats.delivered
            + stats.waiting_records
            + stats.dropped
            + stats.media_lost
            + stats.unsynced_lost
    {
        return fail("the counters do not add up");
    }
    if disk.writes() > 0 {
        return fail("opening or reading wrote to the card");
    }
    if state(&open()) != before {
        return fail("opened twice, it is not the same");
    }
    Ok(shown)
}

/// A card that was just made counts from when it is found under its name: what it held then, and what came after.
pub fn once_made(size: Size, log: &[Event<Told>]) -> (Image, &[Event<Told>]) {
    let synced = log.iter().position(|event| matches!(event, Event::Synced));
    let (making, rest) = log.split_at(1 + synced.unwrap());
    let mut base = sim::zeros(size.card_blocks as usize + 2);
    for event in making {
        if let Event::Write(place, page) = event {
            base[*place] = page.clone();
        }
    }
    (base, rest)
}

/// Runs the program `runs` times, each cut at some moment and gone on from what that left. Returns how many states were tried.
pub fn campaign(
    size: Size,
    seed: u64,
    runs: u64,
    steps: u64,
    wrap: Wrap<Told>,
) -> Result<u64, String> {
    let mut dice = Dice::new(seed);
    let mut next_id = 1;
    let mut tried = 0;
    let mut image: Option<Image> = None;
    let mut model = Model::default();
    for _ in 0..runs {
        let rig = Rig::in_slots(
            size,
            SimSlot::wrapped(image.clone(), wrap),
            SimSlot::new(None),
        );
        work(&rig, &mut dice, &mut next_id, steps, seed % 2 == 1);
        let log = rig.disk().log();
        let (base, log) = match image.take() {
            Some(image) => (image, &log[..]),
            None => once_made(size, &log),
        };
        let mut failure = None;
        let mut next = None;
        let mut draw = Dice::new(dice.roll(u64::MAX));
        let mut seen = 0;
        each_crash(base, model.clone(), log, &mut dice, |image, model| {
            tried += 1;
            seen += 1;
            match check(size, image, model, wrap) {
                Err(why) => drop(failure.get_or_insert(why)),
                Ok(shown) => {
                    if draw.roll(seen) == 0 {
                        next = Some((image.clone(), shown));
                    }
                }
            }
        });
        if let Some(failure) = failure {
            return Err(failure);
        }
        if let Some((left, shown)) = next {
            // What survived is on the medium, and so must stay.
            let committed = shown.last().map_or(0, |(seq, _)| seq + 1);
            model = Model {
                kept: shown.into_iter().collect(),
                committed,
                ..Model::default()
            };
            image = Some(left);
        }
    }
    Ok(tried)
}

#[test]
fn no_power_cut_loses_alters_or_repeats_what_the_promise_covers() {
    let size = |card_blocks, stage_blocks, when_full| Size {
        card_blocks,
        stage_blocks,
        when_full,
    };
    let campaigns = [
        (size(64, 16, WhenFull::DropOldest), 0..4),
        (size(16, 16, WhenFull::DropOldest), 10..14),
        (size(12, 32, WhenFull::DropOldest), 20..23),
        (size(20, 16, WhenFull::DropNewest), 30..36),
    ];
    let tried: u64 = thread::scope(|scope| {
        let running = campaigns.map(|(size, seeds)| {
            scope.spawn(move || -> u64 {
                seeds
                    .take(if EMULATED { 1 } else { usize::MAX })
                    .map(|seed| match campaign(size, seed, 5, 40, |disk| disk) {
                        Ok(tried) => tried,
                        Err(why) => panic!("{size:?}, seed {seed}: {why}"),
                    })
                    .sum()
            })
        });
        running.map(|thread| thread.join().unwrap()).iter().sum()
    });
    // Written past the capture of tests: the count is a result.
    let _ = writeln!(io::stdout(), "crash states tried: {tried}, in violation: 0");
    assert!(tried >= 100_000 || EMULATED);
}
