//! The new stage of an opening, with the records that are still needed of the old one.

use std::sync::Arc;

use log::warn;

use crate::spool::format::block::{BLOCK, Seq};
use crate::spool::format::pack::{Encoded, Stamp};
use crate::spool::format::superblock::Super;
use crate::spool::media::ring::Ring;
use crate::spool::media::stage::{Stage, warn_in_memory};
use crate::spool::media::storage::{Locked, Memory, OpenError, Slot};
use crate::spool::queue::acked::Acked;
use crate::spool::queue::ledger::Ledger;
use crate::spool::recover::Recovered;
use crate::spool::walk::{self, Walk};

/// Blocks of the stage that are read at once.
pub(super) const STAGE_READ: usize = 8;

/// The ring of the old stage, and what was found in it; `None` if it cannot be read.
pub(super) type OldStage = Option<(Ring, Recovered)>;

/// The records of the old stage from a number on that are to be kept.
#[derive(Clone, Copy)]
pub(super) enum Claim {
    /// They keep their numbers.
    Numbered(Seq),
    /// They are appended as new.
    New(Seq),
}

/// Makes a new stage with the records that wait only in the old one, and replaces the old file.
pub(super) fn make_stage(
    slot: &dyn Slot,
    spec: Super,
    stamp: Stamp,
    ledger: &mut Ledger,
    old: &OldStage,
    claim: Claim,
) -> Result<Stage, Locked> {
    let len = Ring::len_bytes(spec.blocks);
    let storage = match slot.create(len, &|| true) {
        Ok(storage) => storage,
        Err(OpenError::Locked(locked)) => return Err(locked),
        Err(OpenError::Io(error)) => {
            warn_in_memory(&error);
            Arc::new(Memory::new(len))
        }
    };
    let (Claim::Numbered(from) | Claim::New(from)) = claim;
    let (mut kept, mut seen) = (0, None);
    let numbered = matches!(claim, Claim::Numbered(_));
    for_each(old, from, numbered, |seq, _| {
        kept += 1;
        seen.get_or_insert(seq);
    });
    match claim {
        Claim::Numbered(_) => {
            let lost = ledger.next - seen.unwrap_or(ledger.next) - kept;
            if lost > 0 {
                warn!("{lost} records were lost with a damaged stage; the others are intact");
            }
            ledger.lose_staged(lost);
        }
        Claim::New(_) => ledger.next += kept,
    }
    let mut stage = Stage::create(storage.clone(), spec, stamp, ledger.next - kept);
    for_each(old, from, numbered, |_, record| {
        let cursor = &ledger.cursor;
        stage.append(&record, ledger.head, cursor, cursor.position.len());
    });
    stage.note(ledger.head, &ledger.cursor);
    if ledger.acked.count() > 0 {
        let acked = ledger.acked.encode(ledger.head..ledger.next);
        stage.note_acked(acked.bits());
    }
    if let Err(error) = slot.publish(&*storage, false) {
        warn_in_memory(&error);
    }
    Ok(stage)
}

/// Visits the records of the old stage from number `from` to its end. Records that do not keep their numbers are left out if the stage says
/// that they are delivered.
fn for_each(old: &OldStage, from: Seq, numbered: bool, mut visit: impl FnMut(Seq, Encoded<'_>)) {
    let Some((ring, found)) = old else { return };
    let mut bytes = [0; BLOCK];
    let acked = match numbered {
        true => Acked::default(),
        false => Acked::decode(ring.read_acked(&mut bytes), found.head, found.next),
    };
    let mut walk = Walk::new(ring.clone(), STAGE_READ);
    walk.seek(walk::Point::start_of(
        found.tail.saturating_sub(ring.blocks()),
    ));
    let mut load = |vblk, to: &mut [u8]| {
        let left = found.tail.saturating_sub(vblk);
        let len = to.len().min(left as usize * BLOCK);
        match len {
            0 => Ok(0),
            _ => ring
                .read(vblk, &mut to[..len])
                .map_err(|_| walk::Unreadable),
        }
    };
    let mut expected = from;
    while let Some(record) = walk.next(&mut load) {
        if (expected..found.next).contains(&record.seq) {
            expected = record.seq + 1;
            if acked.contains(record.seq) {
                continue;
            }
            visit(record.seq, Encoded::new(record.record, record.when));
        }
    }
}
