//! What the fuzzers feed the board's program with, and what must then hold: `cargo fuzz run`, and on each test run the kept corpus.

use std::collections::{BTreeMap, VecDeque};
use std::ops::ControlFlow;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use serde_json::value::RawValue;

use crate::aws::kinesis::outcome::{self, Outcome};
use crate::aws::kinesis::wire::Wire;
use crate::net::answer::{Answer, Head, INPUT_BYTES};
use crate::net::unversioned::{Buffers, LazyBuffers, NextTimeout, Transport};
use crate::platform::time::TestClock;
use crate::post::record::{MAX_KEY_CHARS, MAX_RECORD_BYTES, Record};
use crate::source::jetstream::event;
use crate::source::lenient;
use crate::source::lines::Pointer;
use crate::source::lines::envelope::Envelope;
use crate::source::lines::id::Ulid;
use crate::source::lines::text::Text;
use crate::source::split::{LineSplitter, Next};
use crate::source::x::message::{self, Message};
use crate::spool::media::storage::{Memory, OpenError, Slot, Storage};
use crate::spool::{Appended, Options, Spool, WhenFull};

/// An answer of Kinesis to a call: `[written in CBOR][status][records sent][body]`.
pub fn kinesis(input: &[u8]) {
    let [cbor, status, sent, body @ ..] = input else {
        return;
    };
    let wire = if cbor & 1 == 1 {
        Wire::Cbor
    } else {
        Wire::Json
    };
    const STATUS: [u16; 8] = [200, 200, 200, 400, 413, 500, 302, 404];
    let status = STATUS[usize::from(*status) % STATUS.len()];
    let sent = 1 + usize::from(*sent) * 2;
    let error_type = std::str::from_utf8(body).ok().filter(|_| cbor & 2 == 2);
    let outcome = outcome::read(wire, status, error_type, body, sent);
    match &outcome {
        Outcome::Delivered(number) => {
            assert!(status == 200 && (sent > 1 || !number.is_empty()));
        }
        Outcome::Partly(classes, _) => assert!(status == 200 && classes.len() == sent),
        Outcome::Failed(..) => {}
    }
    outcome::shards(wire, body);
    outcome::is_unlike_cbor(status, &outcome);
}

/// What a server says: `[length of the pieces][bytes]`. However it is cut, it is the same answer.
pub fn http(input: &[u8]) {
    /// A head is parsed again after each piece of it: more pieces of a long one take milliseconds.
    const MOST_PIECES: usize = 64;
    let [piece, bytes @ ..] = input else { return };
    let whole = answer(bytes, INPUT_BYTES);
    let piece = usize::from(*piece).max(bytes.len() / MOST_PIECES);
    let cut = answer(bytes, 1 + piece);
    match (whole, cut) {
        (Ok(whole), Ok(cut)) => assert_eq!(whole, cut),
        // What no piece but a whole one fills the buffer with may be refused as too long.
        (whole, cut) => assert_eq!(whole.is_err(), cut.is_err(), "{whole:?} {cut:?}"),
    }
}

fn answer(bytes: &[u8], piece: usize) -> Result<(Head, Vec<u8>), String> {
    let mut transport = Pieces {
        left: bytes.to_vec().into(),
        piece,
        buffers: LazyBuffers::new(INPUT_BYTES, 1),
    };
    let mut answer = Answer(&mut transport);
    let mut body = Vec::new();
    let head = answer.head().map_err(|error| error.to_string())?;
    let read = answer.body(head.length, &mut body);
    read.map(|()| (head, body))
        .map_err(|error| error.to_string())
}

/// A server's side that says so many bytes a read.
#[derive(Debug)]
struct Pieces {
    left: VecDeque<u8>,
    piece: usize,
    buffers: LazyBuffers,
}

impl Transport for Pieces {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, _: usize, _: NextTimeout) -> Result<(), ureq::Error> {
        Ok(())
    }

    fn await_input(&mut self, _: NextTimeout) -> Result<bool, ureq::Error> {
        let room = self.buffers.input_append_buf();
        let len = self.piece.min(room.len()).min(self.left.len());
        for (to, from) in room.iter_mut().zip(self.left.drain(..len)) {
            *to = from;
        }
        self.buffers.input_appended(len);
        Ok(len > 0)
    }

    fn is_open(&mut self) -> bool {
        true
    }
}

/// A line of X and a message of Jetstream, of the same bytes: what becomes a record is one that the stream takes.
pub fn messages(input: &[u8]) {
    if let Ok(Message::Post(post)) = message::parse(input) {
        let key = post.partition_key();
        let record =
            Record::new(key, input, MAX_RECORD_BYTES).expect("a post has a key and a line");
        assert!((1..=MAX_KEY_CHARS).contains(&record.partition_key.chars().count()));
        post.is_tagged("headwater:pizza");
        post.id();
        post.text();
    }
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    if let Ok(event) = event::parse(text) {
        let mut buffer = String::new();
        event.post_text(&mut buffer);
        // An event may lack its author: then it is no record, and that is said.
        let _ = Record::new(&event.did, input, MAX_RECORD_BYTES);
    }
}

/// Lines of a file, however the reads cut them: each in an envelope that is one line of JSON and holds the line.
pub fn lines(input: &[u8]) {
    const LONGEST: usize = 512;
    let [piece, input @ ..] = input else { return };
    let split = |piece: usize| {
        let mut lines = LineSplitter::new(LONGEST);
        let mut reader = Short { left: input, piece };
        let mut found = Vec::new();
        let mut taken = 0;
        loop {
            let next = lines.next(&mut reader).expect("memory can be read");
            taken += next.taken();
            found.push(match next {
                Next::End => break,
                Next::Line { line, .. } => Ok(line.to_vec()),
                Next::TooLong(bytes) => Err(bytes),
            });
        }
        assert_eq!(taken + lines.pending(), input.len() as u64);
        found
    };
    let found = split(1 + usize::from(*piece));
    assert_eq!(found, split(usize::MAX));
    let mut envelope = Envelope::new("board-7");
    let pointer: Pointer = "/a/b".parse().expect("a pointer");
    for (n, line) in found.iter().enumerate() {
        let Ok(line) = line else { continue };
        let text = Text::of(line, n == 0).text;
        let json = lenient::json(&text);
        json.and_then(|json| pointer.text_in(json));
        let id = Ulid::new(n as u64, 7);
        let sealed = envelope.seal(&text, json, id, UNIX_EPOCH);
        assert!(!sealed.data.contains(&b'\n') || text.contains('\n'));
        // Half a surrogate is JSON's grammar, if no text: what is JSON travels as it is.
        let read: BTreeMap<&str, &RawValue> = serde_json::from_slice(sealed.data).expect("JSON");
        match json {
            None => {
                let line: String = serde_json::from_str(read["line"].get()).expect("a string");
                assert_eq!(line, *text);
            }
            Some(json) => assert_eq!(read["line"].get(), json.get().trim()),
        }
    }
}

struct Short<'a> {
    left: &'a [u8],
    piece: usize,
}

impl std::io::Read for Short<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let len = self.piece.min(buffer.len()).min(self.left.len());
        let (now, left) = self.left.split_at(len);
        buffer[..len].copy_from_slice(now);
        self.left = left;
        Ok(len)
    }
}

const BLOCK: usize = 4096;
const HEADER: usize = 60;
const CRC_AT: usize = 56;

/// What lies in the place of a file, in memory.
#[derive(Clone, Debug, Default)]
struct InMemory(Arc<Mutex<Option<Arc<dyn Storage>>>>);

impl InMemory {
    fn holding(bytes: &[u8]) -> Self {
        let memory = Memory::new(bytes.len() as u64);
        memory.write_at(bytes, 0).expect("it has the length");
        Self(Arc::new(Mutex::new(Some(Arc::new(memory)))))
    }

    fn bytes(&self) -> Vec<u8> {
        let storage = self.open().expect("something lies there");
        let mut bytes = vec![0; storage.len() as usize];
        storage.read_at(&mut bytes, 0).expect("memory can be read");
        bytes
    }
}

impl Slot for InMemory {
    fn open(&self) -> Result<Arc<dyn Storage>, OpenError> {
        let storage = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        storage.ok_or(OpenError::Io(std::io::ErrorKind::NotFound.into()))
    }

    fn create(&self, len: u64, _: &dyn Fn() -> bool) -> Result<Arc<dyn Storage>, OpenError> {
        let storage: Arc<dyn Storage> = Arc::new(Memory::new(len));
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(storage.clone());
        Ok(storage)
    }

    fn publish(&self, _: &dyn Storage, _: bool) -> std::io::Result<()> {
        Ok(())
    }
}

fn open(card: &InMemory, stage: &InMemory, when_full: WhenFull) -> Spool {
    let options = Options {
        card: "card".into(),
        stage: None,
        size_bytes: 34 * BLOCK as u64,
        when_full,
        durable_within: Duration::from_secs(1),
    };
    let (card, stage) = (Box::new(card.clone()), Box::new(stage.clone()));
    let clock = Arc::new(TestClock::default());
    Spool::open_in(card, stage, 18 * BLOCK as u64, options, clock).expect("nobody else has it")
}

fn append(spool: &Spool, n: u64) {
    let data = vec![n as u8; 20 + (n * 97 % 3000) as usize];
    let record = Record {
        partition_key: "key",
        data: &data,
    };
    assert_ne!(spool.append(record, &n.to_le_bytes()), Appended::Closed);
}

/// Card and stage of a spool that was once around its card, with records that wait on both.
static MEDIA: LazyLock<[Vec<u8>; 2]> = LazyLock::new(|| {
    let slots = [InMemory::default(), InMemory::default()];
    let spool = open(&slots[0], &slots[1], WhenFull::DropOldest);
    for n in 0..120 {
        append(&spool, n);
        if n % 10 == 0 {
            spool.commit();
        }
    }
    slots.map(|slot| slot.bytes())
});

/// Media of the spool, altered by edits of eight bytes each: any card and any stage open, what waits can be read to the end, and the spool
/// works on. Half of the altered blocks get checksums that agree, so that the code behind the checksums is reached too.
pub fn spool(input: &[u8]) {
    let [kind, edits @ ..] = input else { return };
    let mut media = MEDIA.clone();
    for edit in edits.as_chunks::<8>().0 {
        alter(&mut media[usize::from(edit[0] & 1)], edit);
    }
    let slot = |bytes: &[u8], is_there| match is_there {
        true => InMemory::holding(bytes),
        false => InMemory::default(),
    };
    let (card, stage) = (
        slot(&media[0], kind & 1 == 0),
        slot(&media[1], kind & 2 == 0),
    );
    let when_full = match kind & 4 {
        0 => WhenFull::DropOldest,
        _ => WhenFull::DropNewest,
    };
    let spool = open(&card, &stage, when_full);
    drain(&spool);
    for n in 0..20 {
        append(&spool, n);
    }
    spool.commit();
    drain(&spool);
}

fn drain(spool: &Spool) {
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
}

/// One edit: `[which medium, and the kind][seal][place u16][to u16][bytes or byte, count]`.
fn alter(medium: &mut Vec<u8>, edit: &[u8; 8]) {
    let number = |at: usize| usize::from(u16::from_le_bytes([edit[at], edit[at + 1]]));
    let blocks = (medium.len() / BLOCK).max(1);
    let place = |block: usize| block % blocks * BLOCK;
    match edit[0] >> 1 & 7 {
        0..4 => {
            // most within the header, where much is decided
            let offset = number(4)
                % if edit[0] & 0x80 == 0 {
                    HEADER + 24
                } else {
                    BLOCK
                };
            let at = place(number(2)) + offset;
            for (to, from) in medium.iter_mut().skip(at).zip(&edit[6..]) {
                *to = *from;
            }
            if edit[1] & 1 == 1 {
                seal(medium, place(number(2)));
            }
        }
        4 | 5 if medium.len() >= blocks * BLOCK => {
            let (from, to) = (place(number(2)), place(number(4)));
            medium.copy_within(from..from + BLOCK, to);
        }
        6 if medium.len() >= blocks * BLOCK => {
            let at = place(number(2));
            medium[at..at + BLOCK].fill(edit[6]);
        }
        7 if edit[1] & 1 == 1 => medium.truncate(number(2) * 16),
        _ => medium.resize(medium.len() + number(2) % (2 * BLOCK), 0),
    }
}

/// Gives the block, or superblock, at `at` the checksum of what it holds.
fn seal(medium: &mut [u8], at: usize) {
    let Some(block) = medium.get_mut(at..at + BLOCK) else {
        return;
    };
    if block.starts_with(b"headwatr") {
        let crc = crc32c::crc32c(&block[..40]);
        block[40..44].copy_from_slice(&crc.to_le_bytes());
        return;
    }
    let used = usize::from(u16::from_le_bytes([block[6], block[7]]));
    if (HEADER..=BLOCK).contains(&used) {
        let fragments = crc32c::crc32c(&block[HEADER..used]);
        let crc = crc32c::crc32c_append(fragments, &block[..CRC_AT]);
        block[CRC_AT..HEADER].copy_from_slice(&crc.to_le_bytes());
    }
}

#[cfg(test)]
#[path = "mutate.rs"]
mod mutate;

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn replay(name: &str, runs: u64, target: fn(&[u8])) {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../fuzz/corpus")
            .join(name);
        let runs = if cfg!(target_arch = "arm") {
            runs / 50
        } else {
            runs
        };
        mutate::over(&[&corpus], runs, target);
    }

    #[test]
    fn answers_of_kinesis() {
        replay("kinesis", 10_000, kinesis);
    }

    #[test]
    fn answers_of_http() {
        replay("http", 5_000, http);
    }

    #[test]
    fn messages_of_x_and_jetstream() {
        replay("messages", 10_000, messages);
    }

    #[test]
    fn lines_of_files() {
        replay("lines", 2_000, lines);
    }

    #[test]
    fn media_of_the_spool() {
        replay("spool", 100, spool);
    }
}
