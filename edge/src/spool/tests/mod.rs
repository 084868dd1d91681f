//! The spool over simulated media, and what the tests share.

mod basics;
mod crash;
mod faults;
mod images;
mod large;
mod model;
pub mod sim;

use std::ops::ControlFlow;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use self::sim::{Image, SimDisk, SimSlot};
use crate::platform::time::{Clock, TestClock};
use crate::post::record::Record;
use crate::spool::format::block::Seq;
use crate::spool::options::{Options, WhenFull};
use crate::spool::queue::schedule::Due;
use crate::spool::queue::state::Spool;
use crate::spool::stats::{Appended, Stats};

/// What a test notes in the disk's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    Kept(Seq, u64),
    Acked(Seq),
    /// Each by itself.
    AckedEach(Vec<Seq>),
    /// All below the first number is on the card, and that all below the second is delivered, and these above it.
    Committed(Seq, Seq, Vec<Seq>),
    /// The oldest record that may still be shown.
    Head(Seq),
    /// The stage was full, and these went.
    Dropped(Seq, Seq),
}

pub type Disk = SimDisk<Told>;

/// A spool on simulated media, with its parts in reach.
pub struct Rig {
    pub spool: Spool,
    pub card: Arc<Mutex<Option<Arc<Disk>>>>,
    pub stage: Arc<Mutex<Option<Arc<Disk>>>>,
    pub clock: Arc<TestClock>,
}

#[derive(Clone, Copy, Debug)]
pub struct Size {
    pub card_blocks: u64,
    pub stage_blocks: u64,
    pub when_full: WhenFull,
}

impl Default for Size {
    fn default() -> Self {
        Self {
            card_blocks: 64,
            stage_blocks: 32,
            when_full: WhenFull::DropOldest,
        }
    }
}

impl Rig {
    pub fn new(size: Size) -> Self {
        Self::on(size, None, None)
    }

    pub fn on(size: Size, card: Option<Image>, stage: Option<Image>) -> Self {
        Self::in_slots(size, SimSlot::new(card), SimSlot::new(stage))
    }

    pub fn in_slots(size: Size, card: SimSlot<Told>, stage: SimSlot<Told>) -> Self {
        let clock = Arc::new(TestClock::default());
        let options = Options {
            card: "sim".into(),
            stage: None,
            size_bytes: (size.card_blocks + 2) * 4096,
            when_full: size.when_full,
            durable_within: Duration::from_secs(1),
        };
        let (card_disk, stage_disk) = (card.disk(), stage.disk());
        let spool = Spool::open_in(
            Box::new(card),
            Box::new(stage),
            (size.stage_blocks + 2) * 4096,
            options,
            clock.clone(),
        )
        .unwrap();
        Self {
            spool,
            card: card_disk,
            stage: stage_disk,
            clock,
        }
    }

    pub fn disk(&self) -> Arc<Disk> {
        self.card.lock().unwrap().clone().unwrap()
    }

    pub fn stage_disk(&self) -> Arc<Disk> {
        self.stage.lock().unwrap().clone().unwrap()
    }

    /// Appends record `id`, and checks it is kept.
    pub fn append(&self, id: u64) -> Seq {
        match self.try_append(id) {
            Appended::Kept(seq) => seq,
            other => panic!("{other:?}"),
        }
    }

    pub fn append_all(&self, ids: std::ops::Range<u64>) {
        for id in ids {
            self.append(id);
        }
    }

    /// The oldest record the stage has, and the oldest that is in the stage alone.
    pub fn staged(&self) -> (Seq, Seq) {
        let state = self.spool.lock();
        (state.stage.low(), state.ledger.unsaved())
    }

    pub fn try_append(&self, id: u64) -> Appended {
        let appended = self.write(id);
        self.spool.flush();
        appended
    }

    /// Writes record `id`, which survives a kill from the next flush on.
    pub fn write(&self, id: u64) -> Appended {
        let data = data_of(id);
        let record = Record {
            partition_key: "key",
            data: &data,
        };
        self.spool.write(record, &id.to_le_bytes())
    }

    /// What waits, read to the end: gaps are passed as an uplink would, by acknowledging what comes before.
    pub fn drain(&self) -> Vec<(Seq, u64)> {
        let mut all = Vec::new();
        loop {
            let shown = self.peek();
            let Some((last, _)) = shown.last() else {
                assert_eq!(self.spool.stats().waiting_records, 0);
                return all;
            };
            self.spool.ack(last + 1);
            all.extend(shown);
        }
    }

    /// Lets time go by, and has the committer do what is due then.
    pub fn tick(&self, time: Duration) {
        self.clock.advance(time);
        let due = self
            .spool
            .lock()
            .due(self.clock.elapsed(), Duration::from_secs(1));
        if due == Due::Save {
            self.spool.save(false);
        }
    }

    /// Up to where records are on the card, up to where the card knows of acknowledgements, and which ones above that it knows of.
    pub fn committed(&self) -> (Seq, Seq, Vec<Seq>) {
        let state = self.spool.lock();
        let (ledger, known) = (&state.ledger, &state.schedule.known);
        let above = ledger.head..ledger.cursor.card_next;
        let above = above.filter(|seq| ledger.acked.contains(*seq));
        let knows = known.acked == ledger.acked_on_card && known.head == ledger.head;
        let above = if knows { above.collect() } else { Vec::new() };
        (ledger.unsaved(), known.head, above)
    }

    /// The oldest number not let go.
    pub fn head(&self) -> Seq {
        self.spool.lock().ledger.head
    }

    /// What is shown from record `from` on.
    pub fn peek_from(&self, from: Seq) -> Vec<(Seq, u64)> {
        let mut shown = Vec::new();
        self.spool.peek_from(from, |seq, record| {
            shown.push((seq, id_of(record)));
            ControlFlow::Continue(())
        });
        shown
    }

    /// What one peek shows.
    pub fn peek(&self) -> Vec<(Seq, u64)> {
        let mut shown = Vec::new();
        self.spool.peek(|seq, record| {
            shown.push((seq, id_of(record)));
            ControlFlow::Continue(())
        });
        shown
    }

    /// Ends as a kill does: both media as the system has them.
    pub fn kill(self) -> (Option<Image>, Option<Image>) {
        let image =
            |disk: &Mutex<Option<Arc<Disk>>>| disk.lock().unwrap().as_ref().map(|disk| disk.seen());
        (image(&self.card), image(&self.stage))
    }

    pub fn check_sum(&self) {
        let stats = self.spool.stats();
        assert_eq!(
            stats.appended,
            stats.delivered
                + stats.waiting_records
                + stats.dropped
                + stats.media_lost
                + stats.unsynced_lost,
            "{stats:?}"
        );
    }
}

/// Numbers that look random and are the same each time.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn roll(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % below
    }
}

/// Data that says which record it is, of many sizes: the id, then one byte many times.
pub fn data_of(id: u64) -> Vec<u8> {
    let mut data = vec![fill_of(id); 8 + len_of(id)];
    data[..8].copy_from_slice(&id.to_le_bytes());
    data
}

/// Which record this is; panics if it was never made by [`data_of`].
pub fn id_of(record: Record<'_>) -> u64 {
    let (id, fill) = record.data.split_first_chunk().unwrap();
    let id = u64::from_le_bytes(*id);
    let altered =
        fill.len() != len_of(id) || fill[0] != fill_of(id) || fill[1..] != fill[..fill.len() - 1];
    assert!(
        !altered && record.partition_key == "key",
        "record {id} is altered"
    );
    id
}

fn fill_of(id: u64) -> u8 {
    (id as u8).wrapping_mul(31)
}

/// The id of the `n`th of those records that have so many MiB, key and data, or none.
pub fn large(n: u64, mib: u64) -> u64 {
    1 << 40 | n << 8 | mib
}

fn len_of(id: u64) -> usize {
    match (id >> 40, id & 0xff) {
        (0, _) | (_, 0) => [16, 300, 1000, 4096, 2500, 9000, 60][id as usize % 7],
        (_, mib) => mib as usize * (1 << 20) - "key".len() - 8,
    }
}
