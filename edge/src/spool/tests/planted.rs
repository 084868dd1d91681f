//! A spool with one fault planted: the suite must tell it from the real one.

use std::io;
use std::panic;

use super::*;
use crate::spool::format::block::{BLOCK, FRAGMENT, HEADER};
use crate::spool::media::storage::Storage;
use crate::spool::tests::crash::campaign;
use crate::spool::tests::faults::SIZE;
use crate::spool::tests::sim::{Page, Wrap};

/// Whether the crash campaign sees something wrong with a spool on such disks.
fn is_caught(wrap: Wrap<Told>) -> bool {
    // an odd seed: some syncs fail
    let campaigns = || [1, 7, 9].map(|seed| campaign(SIZE, seed, 2, 30, wrap));
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let result = panic::catch_unwind(campaigns);
    panic::set_hook(hook);
    result.map_or(true, |results| results.iter().any(Result::is_err))
}

#[test]
fn the_real_spool_is_not_caught() {
    assert!(!is_caught(|disk| disk));
}

/// A fault of the spool, played by the disk below it.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    NoCrcCheck,
    AcknowledgedBeforeSync,
    RetriedSync,
    RecoveryThatWrites,
    /// What is delivered above the head is not noted.
    BitmapLost,
    /// It is taken for that of other numbers.
    BitmapOfAnotherLap,
    /// All of the batch is noted as delivered, with the first of them that is.
    BitmapAheadOfItsRecords,
    /// Numbers that no record has yet are noted as delivered, too.
    BitmapAheadOfNumbers,
    /// The same four for the runs above the head.
    RunsLost,
    RunsOfAnotherLap,
    RunAheadOfItsRecords,
    RunAheadOfNumbers,
}

#[derive(Debug)]
struct Planted(Fault, Arc<Disk>);

impl Storage for Planted {
    fn len(&self) -> u64 {
        self.1.len()
    }

    fn read_at(&self, to: &mut [u8], at: u64) -> io::Result<()> {
        self.1.read_at(to, at)?;
        if self.0 == Fault::NoCrcCheck {
            for page in to.as_chunks_mut::<BLOCK>().0 {
                *page = *restamp(&Arc::new(*page), false);
            }
        }
        // what is found damaged is cleared on the spot
        if self.0 == Fault::RecoveryThatWrites && &to[..4] != b"HWBK" && at > 0 {
            to.fill(0);
            self.1.write_at(to, at)?;
        }
        Ok(())
    }

    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        // the sync that was promised comes when the next batch does
        if self.0 == Fault::AcknowledgedBeforeSync {
            self.1.sync()?;
        }
        let mut pages = bytes.to_vec();
        for page in pages.as_chunks_mut::<BLOCK>().0 {
            *page = *rewrite_acked(&Arc::new(*page), self.0);
        }
        self.1.write_at(&pages, at)
    }

    fn sync(&self) -> io::Result<()> {
        match self.0 {
            Fault::AcknowledgedBeforeSync => Ok(()),
            Fault::RetriedSync => self.1.sync().or_else(|_| self.1.sync()),
            _ => self.1.sync(),
        }
    }
}

#[test]
fn planted_no_crc_check_is_caught() {
    assert!(is_caught(|disk| Arc::new(Planted(Fault::NoCrcCheck, disk))));
}

#[test]
fn planted_acknowledged_before_sync_is_caught() {
    assert!(is_caught(|disk| Arc::new(Planted(
        Fault::AcknowledgedBeforeSync,
        disk
    ))));
}

#[test]
fn planted_a_retried_fdatasync_is_caught() {
    assert!(is_caught(|disk| Arc::new(Planted(
        Fault::RetriedSync,
        disk
    ))));
}

#[test]
fn planted_recovery_that_writes_is_caught() {
    assert!(is_caught(|disk| Arc::new(Planted(
        Fault::RecoveryThatWrites,
        disk
    ))));
}

#[test]
fn planted_a_bitmap_that_is_lost_is_caught() {
    assert!(is_caught(|disk| Arc::new(Planted(Fault::BitmapLost, disk))));
}

#[test]
fn planted_a_bitmap_applied_to_the_wrong_lap_is_caught() {
    assert!(is_caught(|disk| Arc::new(Planted(
        Fault::BitmapOfAnotherLap,
        disk
    ))));
}

#[test]
fn planted_an_acknowledgement_synced_ahead_of_its_record_is_caught() {
    assert!(is_caught(|disk| Arc::new(Planted(
        Fault::BitmapAheadOfItsRecords,
        disk
    ))));
}

#[test]
fn an_acknowledgement_of_a_number_that_no_record_has_yet_is_not_believed() {
    assert!(!is_caught(|disk| Arc::new(Planted(
        Fault::BitmapAheadOfNumbers,
        disk
    ))));
}

#[test]
fn planted_runs_that_are_lost_are_caught() {
    assert!(is_caught(|disk| Arc::new(Planted(Fault::RunsLost, disk))));
}

#[test]
fn planted_runs_of_another_lap_are_caught() {
    assert!(is_caught(|disk| Arc::new(Planted(
        Fault::RunsOfAnotherLap,
        disk
    ))));
}

#[test]
fn planted_a_run_synced_ahead_of_its_records_is_caught() {
    assert!(is_caught(|disk| Arc::new(Planted(
        Fault::RunAheadOfItsRecords,
        disk
    ))));
}

#[test]
fn a_run_of_numbers_that_no_record_has_yet_is_not_believed() {
    assert!(!is_caught(|disk| Arc::new(Planted(
        Fault::RunAheadOfNumbers,
        disk
    ))));
}

/// `page` with other acknowledgements above the head.
fn rewrite_acked(page: &Page, fault: Fault) -> Page {
    let mut bytes = **page;
    let used = usize::from(u16::from_le_bytes([bytes[6], bytes[7]]));
    let mut at = HEADER;
    let mut card_next = 0;
    while &bytes[..4] == b"HWBK" && at + FRAGMENT < used {
        let from = at + FRAGMENT;
        let end = from + usize::from(u16::from_le_bytes([bytes[at + 2], bytes[at + 3]]));
        match bytes[at] {
            5 => card_next = number_at(&bytes, from),
            6 => rewrite_bitmap(&mut bytes[from..end], card_next, fault),
            7 => rewrite_runs(&mut bytes[from..end], card_next, fault),
            _ => {}
        }
        at = end;
    }
    restamp_block(&mut bytes, used);
    Arc::new(bytes)
}

/// Alters the payload of an ACKED fragment.
fn rewrite_bitmap(payload: &mut [u8], card_next: u64, fault: Fault) {
    let base = number_at(payload, 0);
    match fault {
        Fault::BitmapLost => payload[8..].fill(0),
        Fault::BitmapOfAnotherLap => put_number(payload, 0, base + 3),
        Fault::BitmapAheadOfItsRecords | Fault::BitmapAheadOfNumbers => {
            let of_numbers = fault == Fault::BitmapAheadOfNumbers;
            for (i, byte) in payload[8..].iter_mut().enumerate() {
                let is_ahead = |bit: &u64| (base + i as u64 * 8 + bit >= card_next) == of_numbers;
                for bit in (0..8).filter(is_ahead) {
                    *byte |= 1 << bit;
                }
            }
        }
        _ => {}
    }
}

/// Alters the payload of a RUNS fragment.
fn rewrite_runs(payload: &mut [u8], card_next: u64, fault: Fault) {
    let count = usize::from(u16::from_le_bytes([payload[8], payload[9]]));
    let numbers = (10..10 + 16 * count).step_by(8);
    let last = 10 + 16 * count - 8;
    let to = number_at(payload, last);
    match fault {
        Fault::RunsLost => payload.fill(0xff),
        Fault::RunsOfAnotherLap => {
            for at in numbers {
                let number = number_at(payload, at);
                put_number(payload, at, number + 3);
            }
        }
        Fault::RunAheadOfItsRecords => put_number(payload, last, to.max(card_next)),
        Fault::RunAheadOfNumbers if to == card_next => put_number(payload, last, to + 1000),
        _ => {}
    }
}

fn number_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
}

fn put_number(bytes: &mut [u8], at: usize, number: u64) {
    bytes[at..at + 8].copy_from_slice(&number.to_le_bytes());
}

/// Writes the CRC of a block of `used` bytes.
fn restamp_block(bytes: &mut [u8; BLOCK], used: usize) {
    if &bytes[..4] == b"HWBK" && (HEADER..=BLOCK).contains(&used) {
        let fragments = crc32c::crc32c(&bytes[HEADER..used]);
        let crc = crc32c::crc32c_append(fragments, &bytes[..56]);
        bytes[56..60].copy_from_slice(&crc.to_le_bytes());
    }
}

/// `page` with CRCs that agree; if `knows_all`, as if it knew of everything on the card.
pub fn restamp(page: &Page, knows_all: bool) -> Page {
    let mut bytes = **page;
    if &bytes[..4] != b"HWBK" {
        return page.clone();
    }
    let mut at = HEADER;
    let mut seq = u64::from_le_bytes(bytes[24..32].try_into().unwrap());
    while at + FRAGMENT < BLOCK && (1..=7).contains(&bytes[at]) {
        let from = at + FRAGMENT;
        let end = from + usize::from(u16::from_le_bytes([bytes[at + 2], bytes[at + 3]]));
        if end > BLOCK {
            break;
        }
        if bytes[at] == 1 {
            let crc = crc32c::crc32c_append(crc32c::crc32c(&seq.to_le_bytes()), &bytes[from..end]);
            bytes[at + 4..at + 8].copy_from_slice(&crc.to_le_bytes());
        }
        if bytes[at] == 5 && knows_all {
            bytes[from + 8..from + 16].fill(0x0f);
        }
        seq += u64::from(bytes[at] <= 2);
        at = end;
    }
    let used = usize::from(u16::from_le_bytes([bytes[6], bytes[7]]));
    restamp_block(&mut bytes, used);
    Arc::new(bytes)
}
