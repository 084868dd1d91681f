//! Opening a spool: what card and stage hold, and which of the two to believe.
//!
//! - Opening reads both files before it changes anything: a crash before the first change leaves them as they were. The first change is a new
//!   stage file with the records that are still needed, renamed into place. The first commit is the first write to the card.
//! - A stage belongs to the card if it carries the card's salt, was written by the card's last writer or later, and knows every batch of the card
//!   except the last. Then its numbers, counters, position and limit of the card are the right ones.
//! - Any other stage is left over, from another card or from before this card was used without it. Records that wait only in it are appended as
//!   new ones.

mod stage;

use std::hash::{BuildHasher, RandomState};
use std::io::ErrorKind;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use log::{info, warn};

use crate::platform::time::Clock;
use crate::spool::attach::{floor_of, oldest_needed};
use crate::spool::format::block::{BLOCK, Seq};
use crate::spool::format::pack::Stamp;
use crate::spool::format::superblock::Super;
use crate::spool::media::card::Card;
use crate::spool::media::ring::{NotARing, Ring};
use crate::spool::media::stage::warn_without_folder;
use crate::spool::media::storage::{FileSlot, Locked, NoSlot, OpenError, Slot};
use crate::spool::open::stage::{Claim, OldStage, STAGE_READ, make_stage};
use crate::spool::options::{Options, STAGE_BYTES};
use crate::spool::queue::committer::{Committer, Disk, RETRY};
use crate::spool::queue::ledger::Ledger;
use crate::spool::queue::reader::Reader;
use crate::spool::queue::schedule::{Known, Schedule};
use crate::spool::queue::state::{CardView, Spool, State, Written};
use crate::spool::recover::{self, Recovered};
use crate::spool::stats::Destination;
use crate::spool::walk::Walk;

/// What was found at the card's path.
enum OldCard {
    Good(Ring, Box<Recovered>),
    /// Nothing, or (`set_aside`) a file that holds no spool.
    Missing {
        set_aside: bool,
    },
    /// A file that must not be changed, or not now (`retry`).
    Unusable {
        why: String,
        retry: bool,
    },
}

impl Spool {
    /// Opens the spool at `options.card`, with all that waits in it. If the card cannot be used, the spool says so in the log and keeps records
    /// in memory.
    ///
    /// # Errors
    /// Only if another process uses the same spool.
    pub fn open(options: Options, clock: Arc<dyn Clock>) -> Result<Self, Locked> {
        let card = Box::new(FileSlot::new(&options.card));
        let stage: Box<dyn Slot> = match &options.stage {
            Some(path) => Box::new(FileSlot::new(path)),
            None => {
                warn_without_folder(options.durable_within);
                Box::new(NoSlot)
            }
        };
        let spool = Self::open_in(card, stage, STAGE_BYTES, options, clock)?;
        info!("{}: {}", spool.options.card.display(), spool.found());
        Ok(spool)
    }

    /// What waits in the spool, for the log.
    pub(in crate::spool) fn found(&self) -> String {
        let state = self.lock();
        let waiting = state.ledger.waiting();
        let on_card = state
            .ledger
            .cursor
            .card_next
            .saturating_sub(state.ledger.head);
        match (waiting, &state.card) {
            (0, None) => "there is no file to use yet".to_owned(),
            (0, Some(_)) => "nothing waits".to_owned(),
            _ => format!(
                "{waiting} records wait, {} of them on the card",
                on_card.min(waiting)
            ),
        }
    }

    /// Opens the spool in these slots, with a stage of `stage_bytes`.
    pub(crate) fn open_in(
        card_slot: Box<dyn Slot>,
        stage_slot: Box<dyn Slot>,
        stage_bytes: u64,
        options: Options,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, Locked> {
        let old_card = read_card(&*card_slot)?;
        let old_stage = read_stage(&*stage_slot)?;
        let (mut ledger, claim) = decide(&old_card, &old_stage);
        let random = RandomState::new().hash_one(0);
        let epochs = [
            old_card.found().map(|found| found.epoch),
            old_stage.as_ref().map(|(_, found)| found.epoch),
        ];
        let stamp = Stamp {
            epoch: epochs.into_iter().flatten().max().unwrap_or(0) + 1,
            run: random as u16,
            ..Stamp::default()
        };
        let known = known(&old_card, &ledger);
        let (disk, place, view) = plan(old_card, &ledger, &options, stamp, random);
        let card_salt = match (&disk, &view, &old_stage) {
            (Disk::Make(spec, _), ..) => spec.salt,
            (_, Some(view), _) => view.ring.spec().salt,
            (.., Some((ring, _))) => ring.spec().card_salt,
            _ => random,
        };
        let spec = Super {
            blocks: Ring::blocks_in(stage_bytes),
            salt: random.rotate_left(32),
            card_salt,
            large: false,
        };
        let stage = make_stage(&*stage_slot, spec, stamp, &mut ledger, &old_stage, claim)?;
        let mut state = State {
            schedule: Schedule {
                not_before: match disk {
                    Disk::Never => Duration::MAX,
                    Disk::Reopen => clock.elapsed() + RETRY,
                    _ => Duration::ZERO,
                },
                known,
                ..Schedule::default()
            },
            ledger,
            stage,
            card: view,
            place,
            marks: heapless::Deque::new(),
            unannounced: None,
            oldest: (Seq::MAX, 0),
            shown_end: (0, 0),
            sleepers: 0,
            closed: None,
            written: Written::default(),
            writing_since: None,
            reading_since: None,
        };
        if state.ledger.unsaved() < state.ledger.next {
            // They waited before the start: treat them as past their deadline.
            let _ = state
                .marks
                .push_back((state.ledger.unsaved(), Duration::ZERO));
        }
        let committer = Committer {
            slot: card_slot,
            card: disk,
            walk: Walk::new(state.stage.ring().clone(), STAGE_READ),
            stamp,
            pause: RETRY,
        };
        Ok(Self {
            options,
            clock,
            turn: Mutex::new(()),
            committer: Mutex::new(committer),
            reader: Mutex::new(Reader::new(&state)),
            state: Mutex::new(state),
            changed: Condvar::new(),
            due: Condvar::new(),
        })
    }
}

impl OldCard {
    fn found(&self) -> Option<&Recovered> {
        match self {
            Self::Good(_, found) => Some(&**found),
            _ => None,
        }
    }
}

fn read_card(slot: &dyn Slot) -> Result<OldCard, Locked> {
    let unusable = |why: String, retry| Ok(OldCard::Unusable { why, retry });
    let storage = match slot.open() {
        Ok(storage) => storage,
        Err(OpenError::Locked(locked)) => return Err(locked),
        Err(OpenError::Io(error)) if error.kind() == ErrorKind::NotFound => {
            return Ok(OldCard::Missing { set_aside: false });
        }
        Err(OpenError::Io(error)) => {
            return unusable(format!("it cannot be opened: {error}"), true);
        }
    };
    match Ring::open(storage) {
        Ok(ring) => Ok(match recover::find(&ring) {
            Some(found) => OldCard::Good(ring, Box::new(found)),
            None => OldCard::Missing { set_aside: true },
        }),
        Err(NotARing::Newer(major)) => unusable(
            format!(
                "a newer headwater made it (format {major}), and it is left as it is: use that version, or another --spool FILE"
            ),
            false,
        ),
        Err(NotARing::Nothing) => Ok(OldCard::Missing { set_aside: true }),
        Err(NotARing::Unreadable(error)) => unusable(format!("it cannot be read: {error}"), true),
    }
}

/// The old stage; `None` if it cannot be read.
fn read_stage(slot: &dyn Slot) -> Result<OldStage, Locked> {
    let storage = match slot.open() {
        Ok(storage) => storage,
        Err(OpenError::Locked(locked)) => return Err(locked),
        Err(OpenError::Io(_)) => return Ok(None),
    };
    let ring = Ring::open(storage).ok();
    Ok(ring.and_then(|ring| recover::find(&ring).map(|found| (ring, found))))
}

/// The numbers and counters to continue with, and which records of the old stage to keep.
fn decide(card: &OldCard, stage: &OldStage) -> (Ledger, Claim) {
    let go_on = |ring: &Ring, found: &Recovered| {
        let mut bytes = [0; BLOCK];
        let acked = ring.read_acked(&mut bytes);
        Ledger::new(found.head, found.next, found.cursor.clone(), acked)
    };
    let (ring, found) = match (card, stage) {
        (OldCard::Good(ring, found), Some(_)) => (ring, found),
        (OldCard::Good(_, found), None) => return (from_card(found), Claim::New(Seq::MAX)),
        (_, Some((ring, stage))) => {
            let ledger = go_on(ring, stage);
            let unsaved = ledger.unsaved();
            return (ledger, Claim::Numbered(unsaved));
        }
        (_, None) => return (Ledger::default(), Claim::New(Seq::MAX)),
    };
    let Some((stage_ring, stage)) = stage else {
        return (from_card(found), Claim::New(Seq::MAX));
    };
    let unsaved = stage.head.max(stage.cursor.card_next);
    let same_card = stage_ring.spec().card_salt == ring.spec().salt;
    let same_run = (found.epoch, found.run) == (stage.epoch, stage.run);
    if !same_card || !(same_run || found.epoch < stage.epoch) {
        return (from_card(found), Claim::New(unsaved));
    }
    // The stage notes each batch before the next one begins: a stage that missed two is left over.
    if same_run && found.durable_vblk > stage.cursor.card_tail {
        return (from_card(found), Claim::New(unsaved.max(found.next)));
    }
    let mut ledger = go_on(stage_ring, stage);
    if found.next > stage.next {
        // A large record was saved, without the stage, just before the end.
        ledger.next = found.next;
        ledger.cursor.card_next = found.next;
        ledger.cursor.position = found.cursor.position.clone();
    }
    let unsaved = ledger.unsaved();
    (ledger, Claim::Numbered(unsaved))
}

/// The ledger of a card without a stage: all that waits is on the card.
fn from_card(found: &Recovered) -> Ledger {
    let acked = found.acked.bits();
    let mut ledger = Ledger::new(found.head, found.next, found.cursor.clone(), acked);
    ledger.cursor.card_next = ledger.next;
    ledger.cursor.card_tail = found.tail;
    ledger
}

/// What the card would know after a power cut.
fn known(card: &OldCard, ledger: &Ledger) -> Known {
    let Some(found) = card.found() else {
        return Known::default();
    };
    let mut cursor = found.cursor.clone();
    cursor.card_next = found.next.min(ledger.next);
    Known {
        head: found.head,
        acked: 0,
        cursor,
        oldest: 0,
        at: Duration::ZERO,
    }
}

/// Decides what to write to, which destination to report, and what can be read from the card.
fn plan(
    card: OldCard,
    ledger: &Ledger,
    options: &Options,
    stamp: Stamp,
    salt: u64,
) -> (Disk, Destination, Option<CardView>) {
    let path = options.card.display();
    let make = Super {
        blocks: Ring::blocks_in(options.size_bytes),
        salt,
        card_salt: salt,
        large: false,
    };
    let (ring, found) = match card {
        OldCard::Good(ring, found) => (ring, found),
        OldCard::Missing { set_aside } => {
            if set_aside {
                warn!(
                    "{path} holds nothing that can be read: it is kept as {path}.damaged, and a new one is made"
                );
            }
            return (Disk::Make(make, set_aside), Destination::Making, None);
        }
        OldCard::Unusable { why, retry } => {
            warn!(
                "{path}: {why}. Until then records are kept in memory, where a power cut loses them"
            );
            let disk = if retry { Disk::Reopen } else { Disk::Never };
            return (disk, Destination::Memory(format!("{path}: {why}")), None);
        }
    };
    let blocks = ring.blocks();
    let fits = blocks == make.blocks && ring.has_right_length();
    if !fits && ledger.head >= ledger.cursor.card_next {
        return (Disk::Make(make, false), Destination::Making, None);
    }
    let cut_short = ring.is_cut_short();
    if cut_short {
        warn!(
            "{path} was cut short: records are kept in memory, where a power cut loses them, until what is left of it is delivered and a new one is made"
        );
    } else if !fits {
        warn!(
            "{path} keeps its size of {} MiB until it is empty at a start",
            Ring::len_bytes(blocks) >> 20
        );
    }
    let oldest = oldest_needed(&ring, &found, ledger.head, ledger.cursor.card_next);
    let floor = floor_of(&ring, found.tail, oldest);
    let card = Card::resume(ring.clone(), stamp, &found, floor);
    let view = CardView {
        ring,
        generation: 0,
        oldest,
        tail: found.tail,
        unsynced: found.durable_vblk..found.tail,
        untangled_at: found.untangled_at(),
    };
    if cut_short {
        let spec = Super {
            blocks: make.blocks,
            ..view.ring.spec()
        };
        let why = format!("{path}: it was cut short");
        return (
            Disk::Make(spec, false),
            Destination::Memory(why),
            Some(view),
        );
    }
    (Disk::Ready(Box::new(card)), Destination::Card, Some(view))
}
