//! Writing records into blocks: as fragments, with a header and a CRC.

use crate::platform::crc32c;
use crate::post::record::Record;
use crate::spool::format::acked::{ACKED, AckedBits};
use crate::spool::format::block::{
    BLOCK, Cursor, FRAGMENT, HEADER, Header, Kind, RECORD_PREFIX, Seq, Vblk,
};
use crate::spool::format::crc;

/// Bytes of the smallest room in which a record is begun or continued.
const MIN_FRAGMENT: usize = FRAGMENT + 8;

const _: () = assert!(BLOCK <= crc::LENGTHS);

/// Whether a block's CRC is made from the CRCs its records came with: a record that changed since is then found by whoever reads the block. With an
/// instruction for it, reading the bytes once more is faster.
pub const CARRIES_CRCS: bool = !crc32c::HAS_INSTRUCTION;

/// A block that is being filled.
#[derive(Debug)]
pub struct Builder {
    bytes: Box<[u8; BLOCK]>,
    header: Header,
    /// The CRC of the fragments up to `summed`: each seal reads only what is new, and all of that at once.
    crc: u32,
    summed: usize,
    /// The bytes from here on are zeros.
    written: usize,
}

impl Builder {
    /// An empty block `vblk`; `seq` is the next record to start.
    pub fn new(vblk: Vblk, seq: Seq) -> Self {
        let mut builder = Self {
            bytes: Box::new([0; BLOCK]),
            header: Header::default(),
            crc: 0,
            summed: HEADER,
            written: 0,
        };
        builder.begin(vblk, seq);
        builder
    }

    /// Starts an empty block `vblk`; `seq` is the next record to start.
    pub fn begin(&mut self, vblk: Vblk, seq: Seq) {
        (self.crc, self.summed) = (0, HEADER);
        self.header = Header {
            used: HEADER,
            vblk,
            first_seq: seq,
            ..Header::default()
        };
    }

    /// The number of the block.
    pub fn vblk(&self) -> Vblk {
        self.header.vblk
    }

    /// The first record that starts in this block or, if none does, after it.
    pub fn first_seq(&self) -> Seq {
        self.header.first_seq
    }

    /// Whether `cursor` and `acked` still fit.
    pub fn has_room_for(&self, cursor: &Cursor, acked: AckedBits<'_>) -> bool {
        let bytes = |before: usize, len: usize| match len {
            0 => 0,
            len => FRAGMENT + before + len,
        };
        let acked = bytes(ACKED, acked.bitmap.len()) + bytes(0, acked.runs.len());
        self.header.used + FRAGMENT + cursor.len() + acked <= BLOCK
    }

    /// How many more blocks `record` takes if `reserved` bytes of each are kept free.
    pub fn blocks_for(&self, record: &Encoded<'_>, reserved: usize) -> u64 {
        let room = (BLOCK - reserved).saturating_sub(self.header.used);
        let here = if room < MIN_FRAGMENT {
            0
        } else {
            room - FRAGMENT
        };
        let each = BLOCK - reserved - HEADER - FRAGMENT;
        record.len().saturating_sub(here).div_ceil(each) as u64
    }

    /// Adds `record` from byte `from` on, as much as leaves `reserved` bytes free. Returns the first byte that was not added.
    pub fn push(
        &mut self,
        seq: Seq,
        record: &Encoded<'_>,
        crc: RecordCrc,
        from: usize,
        reserved: usize,
    ) -> usize {
        let used = self.header.used;
        let room = (BLOCK - reserved).saturating_sub(used);
        if room < MIN_FRAGMENT {
            return from;
        }
        let to = record.len().min(from + room - FRAGMENT);
        let kind = match (from == 0, to == record.len()) {
            (true, true) => Kind::Full,
            (true, false) => Kind::First,
            (false, false) => Kind::Middle,
            (false, true) => Kind::Last,
        };
        if from == 0 && self.header.first_start == 0 {
            self.header.first_start = used;
            self.header.first_seq = seq;
        } else if from > 0 && self.header.first_start == 0 {
            self.header.first_seq = seq + 1;
        }
        let end = self.put_head(used, kind, crc.0, to - from);
        record.copy(from, &mut self.bytes[end - (to - from)..end]);
        if kind == Kind::Full && CARRIES_CRCS {
            let before = self.crc_to(end - record.len());
            self.crc = crc::append_record(before, seq, record.len(), crc.0);
            self.summed = end;
        }
        self.header.used = end;
        self.written = self.written.max(end);
        to
    }

    /// Completes the block, with `cursor` at its end. The next record overwrites the cursor.
    pub fn seal(&mut self, stamp: &Stamp, cursor: Option<&Cursor>) -> &[u8; BLOCK] {
        self.seal_with(stamp, cursor, AckedBits::default())
    }

    /// Does as [`Self::seal`], with `acked` after the cursor and its runs last: a program that does not know them reads all before.
    pub fn seal_with(
        &mut self,
        stamp: &Stamp,
        cursor: Option<&Cursor>,
        AckedBits { base, bitmap, runs }: AckedBits<'_>,
    ) -> &[u8; BLOCK] {
        let used = self.header.used;
        let mut end = cursor.map_or(used, |cursor| {
            let end = self.put_head(used, Kind::Cursor, 0, cursor.len());
            cursor.copy(&mut self.bytes[end - cursor.len()..end]);
            end
        });
        if !bitmap.is_empty() {
            end = self.put_head(end, Kind::Acked, 0, ACKED + bitmap.len());
            let at = end - bitmap.len();
            self.bytes[at - ACKED..at].copy_from_slice(&base.to_le_bytes());
            self.bytes[at..end].copy_from_slice(bitmap);
        }
        if !runs.is_empty() {
            end = self.put_head(end, Kind::Runs, 0, runs.len());
            self.bytes[end - runs.len()..end].copy_from_slice(runs);
        }
        if end < self.written {
            self.bytes[end..self.written].fill(0);
        }
        self.written = end;
        let header = Header {
            used: end,
            salt: stamp.salt,
            ack_seq: stamp.ack_seq,
            durable_vblk: stamp.durable_vblk,
            epoch: stamp.epoch,
            run: stamp.run,
            ..self.header
        };
        let crc = crc32c::append(self.crc_to(used), &self.bytes[used..end]);
        header.encode(&mut self.bytes, crc);
        &self.bytes
    }

    /// The block as [`Self::seal`] completed it, if nothing was added since.
    pub fn sealed(&self) -> &[u8; BLOCK] {
        &self.bytes
    }

    /// The CRC of the fragments up to `end`.
    fn crc_to(&mut self, end: usize) -> u32 {
        self.crc = crc32c::append(self.crc, &self.bytes[self.summed..end]);
        self.summed = end;
        self.crc
    }

    fn put_head(&mut self, at: usize, kind: Kind, crc: u32, len: usize) -> usize {
        let head = &mut self.bytes[at..at + FRAGMENT];
        head[0] = kind as u8;
        head[1] = 0;
        head[2..4].copy_from_slice(&(len as u16).to_le_bytes());
        head[4..].copy_from_slice(&crc.to_le_bytes());
        at + FRAGMENT + len
    }
}

/// The CRC of a record and its number, the same in stage and card.
#[derive(Clone, Copy, Debug)]
pub struct RecordCrc(pub u32);

impl RecordCrc {
    /// The CRC of `record` as number `seq`.
    pub fn of(seq: Seq, record: &Encoded<'_>) -> Self {
        Self(record.crc(seq))
    }
}

/// What the writer of a ring puts into every header.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stamp {
    /// The salt of the file.
    pub salt: u64,
    /// All records below this number are done: delivered, dropped or lost.
    pub ack_seq: Seq,
    /// All blocks below this number are synced.
    pub durable_vblk: Vblk,
    /// Counts the openings of the spool.
    pub epoch: u32,
    /// Drawn at random at this opening.
    pub run: u16,
}

/// A record in the format of blocks.
#[derive(Clone, Copy, Debug)]
pub struct Encoded<'a> {
    prefix: [u8; RECORD_PREFIX],
    key: &'a [u8],
    data: &'a [u8],
}

impl<'a> Encoded<'a> {
    /// Encodes `record`, which was read at `when` (unix seconds).
    pub fn new(record: Record<'a>, when: u32) -> Self {
        // Cuts nothing: a key has at most 256 characters of at most 4 bytes.
        let key = &record.partition_key.as_bytes()[..record.partition_key.len().min(0xffff)];
        let mut prefix = [0; RECORD_PREFIX];
        prefix[..4].copy_from_slice(&when.to_le_bytes());
        prefix[4..].copy_from_slice(&(key.len() as u16).to_le_bytes());
        Self {
            prefix,
            key,
            data: record.data,
        }
    }

    /// Bytes in blocks, without the heads of fragments.
    pub fn len(&self) -> usize {
        RECORD_PREFIX + self.key.len() + self.data.len()
    }

    /// The most blocks that the record touches if `reserved` bytes of each are kept free.
    pub fn blocks(&self, reserved: usize) -> u64 {
        let room = BLOCK - HEADER - FRAGMENT - reserved;
        (self.len() / room + 2) as u64
    }

    fn crc(&self, seq: Seq) -> u32 {
        let crc = crc::of_number(seq);
        [&self.prefix[..], self.key, self.data]
            .iter()
            .fold(crc, |crc, part| crc32c::append(crc, part))
    }

    /// Fills `to` with the record's bytes from `from` on.
    fn copy(&self, mut from: usize, mut to: &mut [u8]) {
        for part in [&self.prefix[..], self.key, self.data] {
            let begin = from.min(part.len());
            let len = (part.len() - begin).min(to.len());
            let (now, rest) = to.split_at_mut(len);
            now.copy_from_slice(&part[begin..begin + len]);
            to = rest;
            from -= begin;
        }
    }
}
