//! The bodies of PutRecord and PutRecords, written once into one buffer that is used again for every call.
//!
//! Limits (PutRecords, Kinesis API reference): 500 records and 10 MiB a request, keys included; older regions take 5 MiB.

use std::ops::Range;

use base64_simd::STANDARD;

use super::outcome::Class;
use crate::record::Record;
use crate::spool::Seq;

/// Most records in one PutRecords.
pub const MAX_RECORDS: usize = 500;

/// Most bytes in one PutRecords: keys and data before base64.
pub const MAX_REQUEST_BYTES: usize = 5 << 20;

/// What stands between two records of a body. As long as [`TAIL`], so that the one can be written over the other.
const BETWEEN: &[u8; 2] = b",{";
const TAIL: &[u8; 2] = b"]}";

/// Room a larger batch once needed is given back when a batch over this is cleared.
const KEEP_BYTES: usize = 1 << 20;

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

/// The records in flight, as the body of the call that carries them:
///
/// ```text
/// [room for a head]"PartitionKey":"k","Data":"ZA=="},{"PartitionKey":"l","Data":"ZQ=="},{
/// ```
///
/// Any number of them from the first on becomes a body by writing the head that fits in front and `]}` over the last `,{`.
#[derive(Debug)]
pub struct Batch {
    buffer: Vec<u8>,
    entries: heapless::Vec<Entry, MAX_RECORDS>,
    /// Key and data bytes of all entries, before base64.
    bytes: usize,
    /// `{"StreamName":"...",`
    stream: Vec<u8>,
    /// Bytes kept free in front of the first entry: enough for either head.
    head_room: usize,
    /// Below it, every record was taken: it is in the batch, or was delivered.
    taken_below: Seq,
}

/// One record of the batch.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its number in the spool.
    pub seq: Seq,
    /// Its text in the buffer, without what stands after it.
    text: Range<usize>,
    bytes: usize,
}

impl Batch {
    /// An empty batch for `stream`.
    pub fn new(stream: &str) -> Self {
        let mut named = br#"{"StreamName":"#.to_vec();
        push_json_string(&mut named, stream);
        named.push(b',');
        let head_room = named.len() + 200;
        // Memory that is never written to costs nothing; a buffer that grows is there twice while it does.
        let mut buffer = Vec::with_capacity(KEEP_BYTES);
        buffer.resize(head_room, b' ');
        Self {
            buffer,
            entries: heapless::Vec::new(),
            bytes: 0,
            stream: named,
            head_room,
            taken_below: 0,
        }
    }

    /// The records in it.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Adds a record, unless that would break a limit of the call: then it stays as it was and says false. An empty batch takes any one.
    pub fn push(&mut self, seq: Seq, record: Record<'_>) -> bool {
        let bytes = record.len_bytes();
        if !self.entries.is_empty() && self.bytes + bytes > MAX_REQUEST_BYTES
            || self.entries.is_full()
        {
            return false;
        }
        let start = self.buffer.len();
        self.buffer.extend_from_slice(br#""PartitionKey":"#);
        push_json_string(&mut self.buffer, record.partition_key);
        self.buffer.extend_from_slice(br#","Data":""#);
        STANDARD.encode_append(record.data, &mut self.buffer);
        self.buffer.extend_from_slice(br#""}"#);
        let entry = Entry {
            seq,
            text: start..self.buffer.len(),
            bytes,
        };
        self.buffer.extend_from_slice(BETWEEN);
        self.bytes += bytes;
        self.taken_below = seq + 1;
        // Cannot fail: whether it is full was asked above.
        let _ = self.entries.push(entry);
        true
    }

    /// The call and body that carry the first `count` records, at least one. `after` is the sequence number of the record before, for
    /// strict order; it goes with one record only.
    pub fn body(&mut self, count: usize, after: &str) -> (Call, &[u8]) {
        let count = count.clamp(1, self.entries.len());
        for (index, entry) in self.entries.iter().enumerate() {
            let follows = entry.text.end..entry.text.end + BETWEEN.len();
            self.buffer[follows].copy_from_slice(if index + 1 == count { TAIL } else { BETWEEN });
        }
        let end = self.entries[count - 1].text.end;
        if count == 1 {
            let ordering: [&[u8]; 3] = match after {
                "" => [b"", b"", b""],
                number => [
                    br#""SequenceNumberForOrdering":""#,
                    number.as_bytes(),
                    br#"","#,
                ],
            };
            let start = write_before(
                &mut self.buffer[..self.head_room],
                &[&self.stream, ordering[0], ordering[1], ordering[2]],
            );
            (Call::PutRecord, &self.buffer[start..end])
        } else {
            let start = write_before(
                &mut self.buffer[..self.head_room],
                &[&self.stream, br#""Records":[{"#],
            );
            (Call::PutRecords, &self.buffer[start..end + TAIL.len()])
        }
    }

    /// Lets go of those of the first `classes.len()` records that were delivered; the others stay, in their order.
    pub fn keep_undelivered(&mut self, classes: &[Class]) {
        let mut write = self.head_room;
        let mut kept = heapless::Vec::new();
        let mut bytes = 0;
        for (index, entry) in self.entries.iter().enumerate() {
            if classes.get(index) == Some(&Class::Delivered) {
                continue;
            }
            self.buffer.copy_within(entry.text.clone(), write);
            let text = write..write + entry.text.len();
            write = text.end + BETWEEN.len();
            bytes += entry.bytes;
            let _ = kept.push(Entry {
                text,
                ..entry.clone()
            });
        }
        self.buffer.truncate(write);
        self.entries = kept;
        self.bytes = bytes;
        if self.entries.is_empty() {
            self.clear();
        }
    }

    /// Lets go of the first `count` records. Says the number below which none is left in the batch or
    /// before it.
    pub fn drop_first(&mut self, count: usize) -> Seq {
        if count >= self.entries.len() {
            self.clear();
        } else {
            self.keep_undelivered(&[Class::Delivered; MAX_RECORDS][..count]);
        }
        // Those taken behind the last one left were delivered before it.
        let left = self.entries.first();
        left.map_or(self.taken_below, |entry| entry.seq)
    }

    /// The first record's key and data as they stand in the body, JSON escapes and base64 included.
    pub fn first_text(&self) -> &[u8] {
        self.entries
            .first()
            .map_or(&[], |entry| &self.buffer[entry.text.clone()])
    }

    fn clear(&mut self) {
        self.entries.clear();
        self.bytes = 0;
        self.buffer.truncate(self.head_room);
        if self.buffer.capacity() > KEEP_BYTES {
            self.buffer.shrink_to(KEEP_BYTES);
        }
    }
}

/// Writes `parts`, one after the other, into the end of `room`; says where they begin.
fn write_before(room: &mut [u8], parts: &[&[u8]]) -> usize {
    let mut start = room.len();
    for part in parts.iter().rev() {
        start -= part.len();
        room[start..start + part.len()].copy_from_slice(part);
    }
    start
}

fn push_json_string(buffer: &mut Vec<u8>, text: &str) {
    // Writing a string into memory cannot fail.
    let _ = serde_json::to_writer(buffer, text);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn parsed(batch: &mut Batch, count: usize, after: &str) -> (Call, Value) {
        let (call, body) = batch.body(count, after);
        (
            call,
            serde_json::from_slice(body)
                .unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(body))),
        )
    }

    #[test]
    fn one_record_is_a_put_record() {
        let mut batch = Batch::new("posts");
        assert!(batch.push(
            1,
            Record {
                partition_key: "cat \"person\"",
                data: b"{\"text\":\"hi\"}"
            }
        ));
        let expected = json!({"StreamName": "posts", "PartitionKey": "cat \"person\"", "Data": "eyJ0ZXh0IjoiaGkifQ=="});
        assert_eq!(parsed(&mut batch, 1, ""), (Call::PutRecord, expected));
    }

    #[test]
    fn strict_order_names_the_record_before() {
        let mut batch = Batch::new("posts");
        batch.push(
            1,
            Record {
                partition_key: "k",
                data: b"d",
            },
        );
        let longest = "9".repeat(128);
        let expected = json!({
            "StreamName": "posts", "SequenceNumberForOrdering": longest, "PartitionKey": "k", "Data": "ZA=="
        });
        assert_eq!(parsed(&mut batch, 1, &longest), (Call::PutRecord, expected));
    }

    #[test]
    fn a_batch_takes_five_hundred_records_and_five_mebibytes() {
        let mut batch = Batch::new("posts");
        let pushed = (0..600)
            .take_while(|seq| {
                batch.push(
                    *seq,
                    Record {
                        partition_key: "k",
                        data: b"d",
                    },
                )
            })
            .count();
        assert_eq!(pushed, MAX_RECORDS);

        let mut batch = Batch::new("posts");
        let data = vec![0; (1 << 20) - 1];
        let pushed = (0..600)
            .take_while(|seq| {
                batch.push(
                    *seq,
                    Record {
                        partition_key: "k",
                        data: &data,
                    },
                )
            })
            .count();
        assert_eq!(pushed, 5);
    }

    proptest! {
        #[test]
        fn any_first_records_make_a_body_and_the_undelivered_stay_as_they_were(
            records in prop::collection::vec(("\\PC{1,9}", prop::collection::vec(any::<u8>(), 1..40), any::<bool>()), 1..20),
            count in 1usize..20,
        ) {
            // Given a batch of some records
            let mut batch = Batch::new("posts");
            for (seq, (key, data, _)) in records.iter().enumerate() {
                let fits = batch.push(seq as Seq, Record { partition_key: key, data });
                prop_assert!(fits);
            }
            let expect = |wanted: &[(String, Vec<u8>)]| -> Value {
                let entry = |(key, data): &(String, Vec<u8>)| json!({"PartitionKey": key, "Data": STANDARD.encode_to_string(data)});
                match wanted {
                    [one] => {
                        let mut body = entry(one);
                        body["StreamName"] = json!("posts");
                        body
                    }
                    many => json!({"StreamName": "posts", "Records": many.iter().map(entry).collect::<Vec<_>>()}),
                }
            };
            let all: Vec<_> = records.iter().map(|(key, data, _)| (key.clone(), data.clone())).collect();

            // When the first few are sent, then those are kept that did not arrive
            let count = count.min(records.len());
            prop_assert_eq!(parsed(&mut batch, count, "").1, expect(&all[..count]));
            let classes: Vec<_> =
                records[..count].iter().map(|(_, _, ok)| if *ok { Class::Delivered } else { Class::Retry }).collect();
            batch.keep_undelivered(&classes);

            // Then exactly the others are left, in order, and make a body again
            let left: Vec<_> = records.iter().enumerate().filter(|(i, (_, _, ok))| *i >= count || !ok).collect();
            let seqs: Vec<_> = batch.entries().iter().map(|entry| entry.seq).collect();
            prop_assert_eq!(seqs, left.iter().map(|(i, _)| *i as Seq).collect::<Vec<_>>());
            if !left.is_empty() {
                let left: Vec<_> = left.into_iter().map(|(_, (key, data, _))| (key.clone(), data.clone())).collect();
                prop_assert_eq!(parsed(&mut batch, left.len(), "").1, expect(&left));
            }
        }
    }
}
