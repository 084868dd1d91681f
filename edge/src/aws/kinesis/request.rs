//! The bodies of PutRecord and PutRecords, written once into one buffer that is reused for every call.
//!
//! Limits (PutRecords, Kinesis API reference): 500 records and 10 MiB a request, keys included; older regions take 5 MiB.

use std::borrow::Cow;
use std::ops::Range;
use std::slice;

use crate::aws::kinesis::pack::Packer;
use crate::aws::kinesis::wire::{BETWEEN_BYTES, Wire};
use crate::aws::kinesis::{Class, MAX_RECORDS, MAX_REQUEST_BYTES};
use crate::post::record::Record;

/// A buffer that has grown beyond this is shrunk when it is cleared.
const KEEP_BYTES: usize = 1 << 20;

/// In the place of a number of the spool: the board's report, which is not in it. It goes first in its batch.
pub const REPORT: u64 = u64::MAX;

/// Which call a body is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// One record.
    PutRecord,
    /// Several.
    PutRecords,
}

impl Call {
    /// The value of the `X-Amz-Target` header.
    pub fn target(self) -> &'static str {
        match self {
            Self::PutRecord => "Kinesis_20131202.PutRecord",
            Self::PutRecords => "Kinesis_20131202.PutRecords",
        }
    }
}

/// The records in flight, as the body of the call that carries them, here in JSON:
///
/// ```text
/// [room for a head]"PartitionKey":"k","Data":"ZA=="},{"PartitionKey":"l","Data":"ZQ=="},{
/// ```
///
/// Any number of them from the first on becomes a body by writing the head that fits in front and `]}` over the last `,{`; in CBOR
/// likewise ([`crate::aws::kinesis::wire`]).
#[derive(Debug)]
pub struct Batch {
    wire: Wire,
    buffer: Vec<u8>,
    entries: heapless::Vec<Entry, MAX_RECORDS>,
    /// Where posts go in packs: what makes these.
    packer: Option<Box<Packer>>,
    /// And the spool's numbers of the posts in them, entry by entry.
    seqs: Vec<u64>,
    /// Key and data bytes of all entries, before base64.
    bytes: usize,
    /// Its name.
    stream: String,
    /// The same as a member: `"StreamName":"...",`
    named: Vec<u8>,
    /// Bytes kept free in front of the first entry: enough for either head.
    head_room: usize,
    /// Below it, every record was taken: it is in the batch, or was delivered. 0 until a post is taken into an empty batch.
    taken_below: u64,
}

/// One record of the batch.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its number in the spool, or that of the first post in it; [`REPORT`] where no post is.
    pub seq: u64,
    /// Where the numbers of a pack's posts stand.
    posts: Range<usize>,
    /// Its text in the buffer, without what stands after it.
    text: Range<usize>,
    bytes: usize,
}

impl Entry {
    /// Bytes it takes in a body.
    pub fn text_bytes(&self) -> usize {
        self.text.len() + BETWEEN_BYTES
    }
}

impl Batch {
    /// An empty batch for `stream`, to be written as `wire` says.
    pub fn new(stream: &str, wire: Wire) -> Self {
        // Memory that is never written to costs nothing; a buffer that grows is there twice while it does.
        let mut batch = Self {
            wire,
            buffer: Vec::with_capacity(KEEP_BYTES),
            entries: heapless::Vec::new(),
            packer: None,
            seqs: Vec::new(),
            bytes: 0,
            stream: stream.to_owned(),
            named: Vec::new(),
            head_room: 0,
            taken_below: 0,
        };
        batch.speak(wire);
        batch
    }

    /// The same, but posts go in packs, and an entry is one of these once it is [closed](Self::close_packs).
    pub fn packing(self) -> Self {
        Self {
            packer: Some(Box::default()),
            seqs: Vec::with_capacity(MAX_RECORDS),
            ..self
        }
    }

    /// Whether posts go in packs.
    pub fn packs(&self) -> bool {
        self.packer.is_some()
    }

    /// How it is written.
    pub fn wire(&self) -> Wire {
        self.wire
    }

    /// Removes all records. New ones are written in the format `wire`.
    pub fn speak(&mut self, wire: Wire) {
        self.clear();
        self.wire = wire;
        self.named = wire.stream(&self.stream);
        self.head_room = self.named.len() + 200;
        self.buffer.resize(self.head_room, 0);
    }

    /// The records in it.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Whether there is nothing in it, not even in a pack that is being filled.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The posts in it: one a record, or all that are in packs. A report counts as one.
    pub fn len(&self) -> usize {
        match &self.packer {
            None => self.entries.len(),
            Some(packer) => self.seqs.len() + packer.posts(),
        }
    }

    /// The spool's numbers of the posts in the record at `index`.
    pub fn seqs(&self, index: usize) -> &[u64] {
        match self.all_seqs(index) {
            [REPORT, posts @ ..] => posts,
            posts => posts,
        }
    }

    fn all_seqs(&self, index: usize) -> &[u64] {
        let entry = &self.entries[index];
        match self.packer {
            None => slice::from_ref(&entry.seq),
            Some(_) => &self.seqs[entry.posts.clone()],
        }
    }

    /// How many posts the first `count` records hold.
    pub fn posts(&self, count: usize) -> usize {
        let all = match (&self.packer, count.checked_sub(1)) {
            (Some(_), Some(last)) => self.entries[last].posts.end,
            _ => count,
        };
        all - usize::from(self.report_in(count).is_some())
    }

    /// Which of the first `count` records has the board's report in it, if one has.
    pub fn report_in(&self, count: usize) -> Option<usize> {
        (0..count).find(|index| self.all_seqs(*index).first() == Some(&REPORT))
    }

    /// Bytes of the body that carries all of them, but for what stands around them.
    pub fn text_bytes(&self) -> usize {
        let closed = self.buffer.len() - self.head_room;
        let packer = self.packer.as_ref();
        closed + packer.map_or(0, |packer| packer.expected_bytes() / 3 * 4)
    }

    /// The partition key of the record at `index`.
    pub fn partition_key(&self, index: usize) -> Cow<'_, str> {
        let text = &self.buffer[self.entries[index].text.clone()];
        self.wire.partition_key(text)
    }

    /// Adds a record, unless that would break a limit of the call: then it stays as it was and says false. An empty batch takes any one.
    pub fn push(&mut self, seq: u64, record: Record<'_>) -> bool {
        self.push_in_lane(0, seq, record)
    }

    /// The same. Where posts go in packs, it is into one with others of this `lane`.
    pub fn push_in_lane(&mut self, lane: u8, seq: u64, record: Record<'_>) -> bool {
        let (posts, bytes) = (self.len(), record.len_bytes());
        if posts == 0 {
            self.taken_below = 0;
        }
        if posts > 0 && self.bytes + bytes > MAX_REQUEST_BYTES || posts == MAX_RECORDS {
            return false;
        }
        self.bytes += bytes;
        if seq != REPORT {
            self.taken_below = seq + 1;
        }
        if let Some(mut packer) = self.packer.take() {
            if let Some(index) = packer.in_the_way(lane, bytes) {
                self.close(&mut packer, index);
            }
            packer.add(lane, seq, record);
            self.packer = Some(packer);
        } else {
            self.put(seq, 0..0, record, bytes);
        }
        true
    }

    /// Whether a pack is being filled.
    pub fn is_filling(&self) -> bool {
        let packer = self.packer.as_ref();
        packer.is_some_and(|packer| packer.posts() > 0)
    }

    /// Whether a post of so many bytes would share a pack with others of its `lane`.
    pub fn joins(&self, lane: u8, bytes: usize) -> bool {
        let packer = self.packer.as_ref();
        packer.is_some_and(|packer| packer.joins(lane, bytes))
    }

    /// Makes records of the packs that are being filled.
    pub fn close_packs(&mut self) {
        if let Some(mut packer) = self.packer.take() {
            for index in packer.filled() {
                self.close(&mut packer, index);
            }
            self.packer = Some(packer);
        }
    }

    fn close(&mut self, packer: &mut Packer, index: usize) {
        packer.close(index, |open, frame| {
            let posts = self.seqs.len()..self.seqs.len() + open.seqs.len();
            self.seqs.extend_from_slice(&open.seqs);
            let record = Record {
                partition_key: &open.key,
                data: frame,
            };
            let first = open.seqs.iter().find(|seq| **seq != REPORT);
            self.put(*first.unwrap_or(&REPORT), posts, record, open.bytes);
        });
    }

    fn put(&mut self, seq: u64, posts: Range<usize>, record: Record<'_>, bytes: usize) {
        let start = self.buffer.len();
        self.wire.push_record(record, &mut self.buffer);
        let entry = Entry {
            seq,
            posts,
            text: start..self.buffer.len(),
            bytes,
        };
        self.buffer.extend_from_slice(self.wire.between());
        // Cannot fail: there are no more records than posts.
        let _ = self.entries.push(entry);
    }

    /// The call and body that carry the first `count` records, at least one. `after` is the sequence number of the record before, for
    /// strict order; it goes with one record only.
    pub fn body(&mut self, count: usize, after: &str) -> (Call, &[u8]) {
        let count = count.clamp(1, self.entries.len());
        let (between, tail) = (self.wire.between(), self.wire.tail());
        for (index, entry) in self.entries.iter().enumerate() {
            let follows = entry.text.end..entry.text.end + between.len();
            self.buffer[follows].copy_from_slice(if index + 1 == count { tail } else { between });
        }
        let end = self.entries[count - 1].text.end;
        let room = &mut self.buffer[..self.head_room];
        if count == 1 {
            let (open, ordering) = self.wire.before_one(after);
            let start = write_before(room, &[open, &self.named, &ordering]);
            (Call::PutRecord, &self.buffer[start..end])
        } else {
            let [open, records] = self.wire.before_many();
            let start = write_before(room, &[open, &self.named, records]);
            (Call::PutRecords, &self.buffer[start..end + tail.len()])
        }
    }

    /// Removes those of the first `classes.len()` records that were delivered. The others stay, in their order.
    pub fn keep_undelivered(&mut self, classes: &[Class]) {
        let mut write = self.head_room;
        let mut kept = heapless::Vec::new();
        let (mut bytes, mut numbered) = (0, 0);
        for (index, entry) in self.entries.iter().enumerate() {
            if classes.get(index) == Some(&Class::Delivered) {
                continue;
            }
            self.buffer.copy_within(entry.text.clone(), write);
            let text = write..write + entry.text.len();
            write = text.end + self.wire.between().len();
            bytes += entry.bytes;
            let posts = numbered..numbered + entry.posts.len();
            self.seqs.copy_within(entry.posts.clone(), numbered);
            numbered = posts.end;
            let _ = kept.push(Entry {
                posts,
                text,
                ..entry.clone()
            });
        }
        self.buffer.truncate(write);
        self.seqs.truncate(numbered);
        self.entries = kept;
        self.bytes = bytes;
        if self.entries.is_empty() {
            self.clear();
        }
    }

    /// Lets go of the first `count` records. Says the number below which no post is left in the batch or
    /// before it; 0 where it held none.
    pub fn drop_first(&mut self, count: usize) -> u64 {
        if count >= self.entries.len() {
            self.clear();
        } else {
            self.keep_undelivered(&[Class::Delivered; MAX_RECORDS][..count]);
        }
        // Those taken behind the last one left were delivered before it.
        let left = self.entries.iter().find(|entry| entry.seq != REPORT);
        left.map_or(self.taken_below, |entry| entry.seq)
    }

    /// Removes all records.
    pub fn clear(&mut self) {
        self.entries.clear();
        self.seqs.clear();
        if let Some(packer) = &mut self.packer {
            packer.clear();
        }
        self.bytes = 0;
        self.buffer.truncate(self.head_room);
        if self.buffer.capacity() > KEEP_BYTES {
            self.buffer.shrink_to(KEEP_BYTES);
        }
    }
}

/// Writes `parts`, one after the other, to the end of `room`, and returns where they begin.
fn write_before(room: &mut [u8], parts: &[&[u8]]) -> usize {
    let mut start = room.len();
    for part in parts.iter().rev() {
        start -= part.len();
        room[start..start + part.len()].copy_from_slice(part);
    }
    start
}

#[cfg(test)]
mod tests;
