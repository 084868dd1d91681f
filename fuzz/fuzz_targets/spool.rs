//! Any card and any stage open, what waits can be read to the end, and the spool works on: `cargo +nightly fuzz run spool`.
//!
//! The media are those of a real spool, altered: bytes changed, blocks moved, the file cut. Half of the altered blocks get checksums that
//! agree, so that the code behind the checksums is reached too.

#![no_main]

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use arbitrary::Arbitrary;
use headwater::post::record::Record;
use headwater::spool::{Appended, Options, Spool, WhenFull};
use headwater::platform::time::SystemClock;
use libfuzzer_sys::fuzz_target;

const BLOCK: usize = 4096;
const HEADER: usize = 60;
const CRC_AT: usize = 56;

#[derive(Arbitrary, Debug)]
enum Edit {
    Set { at: u32, bytes: Vec<u8>, seal: bool },
    Move { from: u16, to: u16 },
    Fill { block: u16, byte: u8 },
    Cut { len: u32 },
    Grow { len: u16 },
}

#[derive(Arbitrary, Debug)]
struct Case {
    card: Option<Vec<Edit>>,
    stage: Option<Vec<Edit>>,
    drop_newest: bool,
}

/// Card and stage of a spool that was once around its card, with records that wait on both.
static MEDIA: LazyLock<(Vec<u8>, Vec<u8>)> = LazyLock::new(|| {
    let folder = tempfile::tempdir_in("/dev/shm").expect("a tmpfs");
    let spool = open(folder.path(), WhenFull::DropOldest);
    for n in 0..1200_u64 {
        append(&spool, n);
        if n % 50 == 0 {
            spool.commit();
        }
    }
    let read = |name| fs::read(folder.path().join(name)).expect("it was made");
    (read("card"), read("stage"))
});

fn open(folder: &Path, when_full: WhenFull) -> Spool {
    let options = Options {
        card: folder.join("card"),
        stage: Some(folder.join("stage")),
        size_bytes: 1 << 20,
        when_full,
        durable_within: Duration::from_secs(1),
    };
    Spool::open(options, Arc::new(SystemClock::default())).expect("nobody else has it")
}

fn append(spool: &Spool, n: u64) {
    let data = vec![n as u8; 20 + (n * 97 % 3000) as usize];
    let record = Record {
        partition_key: "key",
        data: &data,
    };
    assert_ne!(spool.append(record, &n.to_le_bytes()), Appended::Closed);
}

fn apply(media: &[u8], edits: &[Edit]) -> Vec<u8> {
    let mut bytes = media.to_vec();
    for edit in edits {
        let blocks = (bytes.len() / BLOCK).max(1);
        let place = |block: &u16| usize::from(*block) % blocks * BLOCK;
        match edit {
            Edit::Set { at, bytes: new, seal } => {
                let at = *at as usize % bytes.len().max(1);
                for (to, from) in bytes.iter_mut().skip(at).zip(new) {
                    *to = *from;
                }
                if *seal {
                    reseal(&mut bytes, at / BLOCK * BLOCK);
                }
            }
            Edit::Move { from, to } if bytes.len() >= BLOCK => {
                let (from, to) = (place(from), place(to));
                bytes.copy_within(from..from + BLOCK, to);
            }
            Edit::Fill { block, byte } if bytes.len() >= BLOCK => {
                let at = place(block);
                bytes[at..at + BLOCK].fill(*byte);
            }
            Edit::Cut { len } => bytes.truncate(*len as usize % (media.len() + 1)),
            Edit::Grow { len } => bytes.resize(bytes.len() + usize::from(*len), 0),
            _ => {}
        }
    }
    bytes
}

/// Gives the block at `at` the checksum of what it holds.
fn reseal(bytes: &mut [u8], at: usize) {
    let Some(block) = bytes.get_mut(at..at + BLOCK) else { return };
    let used = usize::from(u16::from_le_bytes([block[6], block[7]]));
    if !(HEADER..=BLOCK).contains(&used) {
        return;
    }
    let fragments = crc32c::crc32c(&block[HEADER..used]);
    let crc = crc32c::crc32c_append(fragments, &block[..CRC_AT]);
    block[CRC_AT..HEADER].copy_from_slice(&crc.to_le_bytes());
}

fuzz_target!(|case: Case| {
    let folder = tempfile::tempdir_in("/dev/shm").expect("a tmpfs");
    for (name, media, edits) in [
        ("card", &MEDIA.0, &case.card),
        ("stage", &MEDIA.1, &case.stage),
    ] {
        if let Some(edits) = edits {
            fs::write(folder.path().join(name), apply(media, edits)).expect("room in RAM");
        }
    }
    let when_full = match case.drop_newest {
        true => WhenFull::DropNewest,
        false => WhenFull::DropOldest,
    };
    let spool = open(folder.path(), when_full);
    let drain = || {
        let mut rounds = 0;
        while spool.stats().waiting_records > 0 {
            let mut next = 0;
            spool.peek(|seq, _| {
                assert!(seq >= next, "out of order");
                next = seq + 1;
                ControlFlow::Continue(())
            });
            spool.ack(next);
            rounds += 1;
            assert!(rounds < 100_000, "it never ends");
        }
    };
    drain();
    for n in 0..20 {
        append(&spool, n);
    }
    spool.commit();
    drain();
});
