//! The queue between the source and the uplink: fixed in size, safe from crashes, easy on flash.
//!
//! ```text
//! append --> stage (RAM that outlives the process) --> card (flash), what is not acknowledged by its deadline
//!               \______________ peek, ack ______________/
//! ```
//!
//! # The promise
//!
//! - A record is kept from the moment [`Spool::append`] returns, or [`Spool::flush`] after [`Spool::write`]: a crash of the program
//!   loses nothing and sends nothing twice, but for the call in flight.
//! - A power cut loses at most what is younger than [`Options::durable_within`], and the source reads even that again where it
//!   can: [`Spool::position`] is then that of the newest records that survived. It sends again at most what was acknowledged since
//!   the last cursor on the card: 5 s of draining, or 1/16 of the card.
//! - While records are acknowledged within their deadline nothing is written to flash, up to the end: a clean shutdown writes one
//!   block, so that position and acknowledgements outlive the power.
//! - Memory and disk are fixed: a full spool drops or waits by policy ([`WhenFull`]), and every record dropped or lost is counted.
//! - `appended = delivered + waiting + dropped + media_lost + unsynced_lost`, at every moment and across restarts.
//!
//! # The limits
//!
//! - The stage takes [`STAGE_BYTES`]. A record of more than half of that goes to the card at once and is synced before `append`
//!   returns; without a card it is dropped and counted. So is a record of more than half the card.
//! - A card too slow for its source fills the stage, and then the policy decides. Under [`WhenFull::DropOldest`] those that go are
//!   the oldest in the stage: what is on the card already is safe and costs no room there.
//! - A power cut may undo the counting of drops of its last second.
//!
//! # Who does what
//!
//! Three threads meet here. `state` is held for microseconds and never over I/O to flash. `committer` is held by whoever writes to
//! the card, through its `fdatasync`, `reader` by whoever peeks: so a slow card or a slow visitor never holds up the source.
//! Locks are taken in the order `turn`, `committer`, `reader`, `state`.
//!
//! | file | holds |
//! |---|---|
//! | `block`, `superblock`, `pack` | the bytes, read and written; no I/O |
//! | `storage`, `ring` | a file, and a file of blocks |
//! | `recover`, `walk` | what a ring holds; reading its records |
//! | `ledger` | which record waits, and what became of the others; no I/O |
//! | `stage`, `card` | the two media as they are written |
//! | `open`, `peek` | opening the whole, and reading it |
//! | `schedule`, `save`, `attach` | when to commit, how, and having a card to commit to |
//! | `inspect` | looking into a spool from outside |

mod attach;
mod block;
mod card;
pub mod inspect;
mod ledger;
mod open;
mod pack;
mod peek;
mod recover;
mod ring;
mod save;
mod schedule;
mod stage;
mod storage;
mod superblock;
mod walk;

#[cfg(test)]
mod tests;

use std::ops::{ControlFlow, Range};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use log::{info, warn};

use attach::Committer;
use block::{BLOCK, MAX_CURSOR, MAX_POSITION, Position, Vblk};
use ledger::Ledger;
use pack::Encoded;
use peek::Reader;
use ring::Ring;
use schedule::Schedule;
use stage::Stage;
pub use storage::Locked;
use storage::{FileSlot, NoSlot, Slot};
use walk::Found;

use crate::record::Record;
use crate::time::Clock;

/// A record's number: one more than that of the record before it, for the life of the spool.
pub type Seq = u64;

/// Bytes of the stage.
pub const STAGE_BYTES: u64 = 1 << 20;
/// The smallest card.
pub const MIN_SIZE_BYTES: u64 = 1 << 20;
/// The largest card.
pub const MAX_SIZE_BYTES: u64 = 64 << 30;

/// Blocks of the card kept free of admitted records, for the cursor and the padding of commits.
const SPARE_BLOCKS: u64 = 4;

/// What to do with a record that finds the spool full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenFull {
    /// The oldest records make room.
    #[default]
    DropOldest,
    /// The new record is dropped.
    DropNewest,
    /// The source waits.
    Block,
}

/// Where a spool lies and how it behaves.
#[derive(Clone, Debug)]
pub struct Options {
    /// The file on flash; made if missing.
    pub card: PathBuf,
    /// The file on tmpfs, see [`crate::runtime::file_beside`]; `None` keeps the stage in memory that ends with the process.
    pub stage: Option<PathBuf>,
    /// The card's size, [`MIN_SIZE_BYTES`] to [`MAX_SIZE_BYTES`]. A file of another size keeps it until it is empty.
    pub size_bytes: u64,
    /// What a full spool does.
    pub when_full: WhenFull,
    /// How long a record may wait in the stage alone: a power cut loses at most what is younger.
    pub durable_within: Duration,
}

/// What became of an appended record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Appended {
    /// It survives a crash of the program from now on.
    Kept(Seq),
    /// It was dropped, and counted: the spool is full and drops the newest, or the record is too large for it.
    Dropped,
    /// The spool is closed.
    Closed,
}

/// Where records go that are not acknowledged in time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Place {
    /// To the card.
    #[default]
    Card,
    /// Nowhere yet: the card's file is being made, which takes a while for a large one.
    Making,
    /// Nowhere: the card cannot be used. Holds why.
    Memory(String),
}

/// What the spool holds and has seen.
#[derive(Clone, Debug, Default)]
pub struct Stats {
    /// Records waiting for their acknowledgement.
    pub waiting_records: u64,
    /// The room they take in stage and card, in bytes.
    pub waiting_bytes: u64,
    /// Records dropped because the spool was full, over its whole life.
    pub dropped: u64,
    /// Records offered over its whole life; those dropped at once included.
    pub appended: u64,
    /// Records acknowledged over its whole life.
    pub delivered: u64,
    /// Records lost with a damaged block of the card.
    pub media_lost: u64,
    /// Records lost to a power cut before they were synced, of which later ones survived.
    pub unsynced_lost: u64,
    /// Bytes the card has for records.
    pub capacity_bytes: u64,
    /// When the oldest waiting record was read, by the board's clock.
    pub oldest: Option<SystemTime>,
    /// Bytes written to the card since the start, the making of the file left out.
    pub flash_bytes: u64,
    /// Good syncs of the card since the start.
    pub syncs: u64,
    /// Where unacknowledged records go.
    pub place: Place,
    /// How long the card has kept the writing of a batch waiting, if it does now.
    pub writing_for: Option<Duration>,
    /// How long a reader has been at work, if one is: it may wait for the card.
    pub reading_for: Option<Duration>,
}

/// The queue: one thread appends, one peeks and acknowledges, one commits.
#[derive(Debug)]
pub struct Spool {
    options: Options,
    clock: Arc<dyn Clock>,
    /// Held over each append, so that a record on its way past the stage keeps its place in the row.
    turn: Mutex<()>,
    committer: Mutex<Committer>,
    reader: Mutex<Reader>,
    state: Mutex<State>,
    /// A record came, room came, or the spool was closed.
    changed: Condvar,
    /// The committer has something to do, or to wait for.
    due: Condvar,
}

#[derive(Debug)]
struct State {
    ledger: Ledger,
    stage: Stage,
    card: Option<CardView>,
    place: Place,
    /// When some of the staged records came, oldest first: the first of each sixteenth of the deadline.
    marks: heapless::Deque<(Seq, Duration), 32>,
    /// The first record written since the threads that wait were told of any.
    unannounced: Option<Seq>,
    /// The record at the head, and when it was read: known where it was appended to an empty spool, or peeked.
    oldest: (Seq, u32),
    /// The last record shown, and the card's block after it.
    shown_end: (Seq, Vblk),
    schedule: Schedule,
    /// Threads asleep on `changed`.
    sleepers: u32,
    closed: Option<Duration>,
    written: Written,
    /// When the batch was begun that is being written.
    writing_since: Option<Duration>,
    /// When the reader began.
    reading_since: Option<Duration>,
}

/// What the card holds, as far as it is synced.
#[derive(Clone, Debug)]
struct CardView {
    ring: Ring,
    /// Which opening of the file this is.
    generation: u32,
    /// No record that waits starts below this block.
    oldest: Vblk,
    /// The block after the last synced one.
    tail: Vblk,
    /// Blocks found at opening that may never have been synced.
    unsynced: Range<Vblk>,
    /// See [`recover::Found::untangled_at`].
    untangled_at: Seq,
}

#[derive(Clone, Copy, Debug, Default)]
struct Written {
    flash_bytes: u64,
    syncs: u64,
}

impl Spool {
    /// Opens the spool at `options.card`, with all that waits in it. Whatever is wrong with the card, the program can run: it says so
    /// and works from memory. The one error is another process at work on the same spool.
    pub fn open(options: Options, clock: Arc<dyn Clock>) -> Result<Self, Locked> {
        let card = Box::new(FileSlot::new(&options.card));
        let stage: Box<dyn Slot> = match &options.stage {
            Some(path) => Box::new(FileSlot::new(path)),
            None => {
                warn!(
                    "there is no tmpfs to keep the newest posts in: if the program crashes, those younger than {:?} are lost",
                    options.durable_within
                );
                Box::new(NoSlot)
            }
        };
        let spool = Self::open_in(card, stage, STAGE_BYTES, options, clock)?;
        info!("{}: {}", spool.options.card.display(), spool.found());
        Ok(spool)
    }

    /// Keeps `record`, and `position`: how its source finds the place right after it (at most 255 bytes, the source's own; a longer
    /// one is not noted). Waits for room only under [`WhenFull::Block`], and for the card only with a record too large for the stage.
    pub fn append(&self, record: Record<'_>, position: &[u8]) -> Appended {
        let appended = self.write(record, position);
        self.flush();
        appended
    }

    /// As [`Self::append`], for a source that has more at hand: the record is kept from the next [`Self::flush`] on.
    pub fn write(&self, record: Record<'_>, position: &[u8]) -> Appended {
        let wall = self.clock.wall().duration_since(UNIX_EPOCH);
        let when = wall.map_or(0, |wall| u32::try_from(wall.as_secs()).unwrap_or(u32::MAX));
        let encoded = Encoded::new(record, when);
        let position = Some(position).filter(|position| position.len() <= MAX_POSITION);
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let mut state = self.lock();
        if state.is_large(&encoded) {
            let before = &state.ledger.cursor.position;
            let position = position.unwrap_or(before);
            let position = Position::from_slice(position).unwrap_or_default();
            drop(state);
            return self.append_to_card(&encoded, position);
        }
        let position_len = position.map_or(0, <[u8]>::len);
        let blocks = state
            .stage
            .blocks_for(&encoded, &state.ledger.cursor, position_len);
        while !state.has_room(blocks, self.options.when_full) {
            match self.options.when_full {
                _ if state.closed.is_some() => break,
                WhenFull::DropOldest => {
                    let (low, to) = (state.stage.low(), state.stage.low_after(blocks));
                    state.ledger.drop_staged(low, to);
                    break;
                }
                WhenFull::DropNewest => {
                    state.ledger.cursor.tally.refused += 1;
                    state.note();
                    return Appended::Dropped;
                }
                WhenFull::Block if state.unannounced.is_some() => {
                    // Who makes room must know of it first.
                    drop(state);
                    self.flush();
                    state = self.lock();
                }
                WhenFull::Block => state = self.sleep(state, None),
            }
        }
        if state.closed.is_some() {
            return Appended::Closed;
        }
        let seq = state.push(&encoded, position);
        if state.ledger.waiting() == 1 {
            state.oldest = (seq, when);
        }
        state.unannounced.get_or_insert(seq);
        Appended::Kept(seq)
    }

    /// What was written survives a crash of the program from now on.
    pub fn flush(&self) {
        let mut state = self.lock();
        let State { stage, ledger, .. } = &mut *state;
        stage.flush(&ledger.cursor);
        if state.unannounced.is_some() {
            self.announce(state);
        }
    }

    /// Waits until a record waits or the spool is closed, `at_most` long. True when a record waits.
    pub fn wait(&self, at_most: Duration) -> bool {
        let mut state = self.lock();
        let until = self.clock.elapsed() + at_most;
        loop {
            let left = until.saturating_sub(self.clock.elapsed());
            if state.ledger.waiting() > 0 || state.closed.is_some() || left.is_zero() {
                return state.ledger.waiting() > 0;
            }
            state = self.sleep(state, Some(left));
        }
    }

    /// Shows the waiting records from the oldest on, in order, until `visit` breaks. They stay. Ends early at a gap: the next call
    /// goes on behind it.
    pub fn peek(&self, mut visit: impl FnMut(Seq, Record<'_>) -> ControlFlow<()>) {
        self.show(|found| visit(found.seq, found.record));
    }

    fn show(&self, mut visit: impl FnMut(Found<'_>) -> ControlFlow<()>) {
        let mut reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        reader.show(self, &mut visit);
    }

    /// Lets go of every record below `below`: delivered, or set aside. One dropped meanwhile counts as delivered after all.
    pub fn ack(&self, below: Seq) {
        let mut state = self.lock();
        state.ledger.ack(below);
        let (shown, vblk) = state.shown_end;
        let begins_at = if state.ledger.head == shown { vblk } else { 0 };
        state.release_below(begins_at);
        state.unmark();
        state.note();
        self.wake_committer_for_acks(&mut state);
        self.wake_sleepers(state);
    }

    /// Where the source goes on: the position that came with the newest record ever appended; empty if none did.
    pub fn position(&self) -> Vec<u8> {
        self.lock().ledger.cursor.position.to_vec()
    }

    /// Takes no more records and wakes every thread that waits here. Those that wait can still be peeked and acknowledged.
    pub fn close(&self) {
        let mut state = self.lock();
        state.closed.get_or_insert(self.clock.elapsed());
        self.due.notify_all();
        self.wake_sleepers(state);
    }

    /// Whether it takes no more records.
    pub fn is_closed(&self) -> bool {
        self.lock().closed.is_some()
    }

    /// What the spool holds and has seen.
    pub fn stats(&self) -> Stats {
        let state = self.lock();
        let ledger = &state.ledger;
        let waiting = ledger.waiting();
        let staged = state.stage.blocks_from(ledger.unsaved());
        let on_card = state
            .card
            .as_ref()
            .map_or(0, |card| card.tail - card.oldest);
        // The blocks of records that are all acknowledged are free, though nothing has been written over them yet.
        let blocks = if waiting == 0 { 0 } else { staged + on_card };
        let known = waiting > 0 && state.oldest.0 == ledger.head;
        let now = self.clock.elapsed();
        let lasts = |since: Option<Duration>| Some(now.saturating_sub(since?));
        Stats {
            waiting_records: waiting,
            waiting_bytes: blocks * BLOCK as u64,
            dropped: ledger.tally().dropped + ledger.tally().refused,
            appended: ledger.next + ledger.tally().refused,
            delivered: ledger.delivered(),
            media_lost: ledger.tally().media_lost,
            unsynced_lost: ledger.tally().unsynced_lost,
            capacity_bytes: state.capacity_bytes(),
            oldest: known.then(|| UNIX_EPOCH + Duration::from_secs(state.oldest.1.into())),
            flash_bytes: state.written.flash_bytes,
            syncs: state.written.syncs,
            place: state.place.clone(),
            writing_for: lasts(state.writing_since),
            reading_for: lasts(state.reading_since),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sleep<'a>(
        &self,
        mut state: MutexGuard<'a, State>,
        at_most: Option<Duration>,
    ) -> MutexGuard<'a, State> {
        state.sleepers += 1;
        let mut state = match at_most {
            None => self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner),
            Some(time) => {
                let woken = self.changed.wait_timeout(state, time);
                woken.unwrap_or_else(PoisonError::into_inner).0
            }
        };
        state.sleepers = state.sleepers.saturating_sub(1);
        state
    }

    /// A condition variable's wake is a system call: made only where someone sleeps, and without the lock they wake up to.
    fn wake_sleepers(&self, state: MutexGuard<'_, State>) {
        let sleepers = state.sleepers;
        drop(state);
        if sleepers > 0 {
            self.changed.notify_all();
        }
    }
}

impl State {
    /// Whether a record of `blocks` blocks can be kept without dropping another.
    fn has_room(&self, blocks: u64, when_full: WhenFull) -> bool {
        let fits_stage =
            self.stage.low_after(blocks) <= self.ledger.unsaved().max(self.stage.low());
        // What is admitted must find room on the card by its deadline, unless the oldest may go for it.
        let fits_card = when_full == WhenFull::DropOldest
            || self.card.as_ref().is_none_or(|card| {
                let used = card.tail - card.oldest + blocks + SPARE_BLOCKS;
                let fits = |staged| used + staged <= card.ring.blocks();
                // How much is staged takes a search: only near the end.
                fits(self.stage.ring().blocks())
                    || fits(self.stage.blocks_from(self.ledger.unsaved()))
            });
        fits_stage && fits_card
    }

    /// Whether a record is too large to pass through the stage, or for the card behind it.
    fn is_large(&self, record: &Encoded<'_>) -> bool {
        let blocks = record.blocks(MAX_CURSOR);
        let card = self.card.as_ref().map(|card| card.ring.blocks());
        blocks > self.stage.ring().blocks() / 2 || card.is_some_and(|card| blocks + 1 > card / 2)
    }

    fn push(&mut self, record: &Encoded<'_>, position: Option<&[u8]>) -> Seq {
        let Self { stage, ledger, .. } = self;
        let seq = stage.next();
        let position_len = position.map_or(0, <[u8]>::len);
        stage.append(record, ledger.head, &ledger.cursor, position_len);
        if let Some(position) = position {
            ledger.cursor.position.clear();
            // Cannot fail: its length was asked.
            let _ = ledger.cursor.position.extend_from_slice(position);
        }
        ledger.next = stage.next();
        seq
    }

    /// Fills `to` with blocks of the stage, the newest records included; see [`Stage::read`].
    fn read_stage(&mut self, vblk: Vblk, to: &mut [u8]) -> u64 {
        self.stage.flush(&self.ledger.cursor);
        self.stage.read(vblk, to)
    }

    /// No record that waits starts below block `vblk` of the card.
    fn release_below(&mut self, vblk: Vblk) {
        let head = self.ledger.head;
        let drained = head >= self.ledger.cursor.card_next;
        let Some(card) = &mut self.card else { return };
        let oldest = match () {
            () if drained => card.tail,
            () if head < card.untangled_at => vblk.min(card.unsynced.start),
            () => vblk.min(card.tail),
        };
        card.oldest = card.oldest.max(oldest);
    }

    /// Writes the ledger to the stage.
    fn note(&mut self) {
        self.stage.note(self.ledger.head, &self.ledger.cursor);
    }

    fn capacity_bytes(&self) -> u64 {
        let card = self.card.as_ref().map(|card| card.ring.blocks());
        card.map_or(self.stage.capacity_bytes(), |blocks| blocks * BLOCK as u64)
    }
}
