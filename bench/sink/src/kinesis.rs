//! As much of Kinesis's calls and answers as its clients need, in JSON and in CBOR.

use std::io::Write;
use std::time::SystemTime;

use anyhow::Context;
use base64_simd::STANDARD;
use httpdate::HttpDate;
use memchr::{memchr, memmem};
use minicbor::{Decoder, Encoder};
use testkit::http::Request;
use testkit::pack;

/// Which call a request is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Call {
    PutRecord,
    PutRecords,
}

/// How a call is written, and the answer to it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Wire {
    Json,
    Cbor,
}

/// A record of a call.
pub struct Record {
    /// How many posts it has: one, or those of a pack.
    pub posts: u64,
    /// Bytes of its key and its data.
    pub bytes: usize,
}

impl Call {
    /// The call that a request is; `None` if it is another one.
    pub fn of(request: &Request) -> Option<Self> {
        match request.operation()? {
            "PutRecord" => Some(Self::PutRecord),
            "PutRecords" => Some(Self::PutRecords),
            _ => None,
        }
    }
}

impl Wire {
    /// How the body of a request is written.
    pub fn of(request: &Request) -> Self {
        match request.header("content-type") {
            Some("application/x-amz-cbor-1.1") => Self::Cbor,
            _ => Self::Json,
        }
    }

    fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/x-amz-json-1.1",
            Self::Cbor => "application/x-amz-cbor-1.1",
        }
    }

    /// The records in a body.
    ///
    /// # Errors
    /// It has none that can be read.
    pub fn records(self, body: &[u8]) -> anyhow::Result<Vec<Record>> {
        match self {
            Self::Json => json_records(body),
            Self::Cbor => cbor_records(&mut Decoder::new(body)),
        }
    }
}

/// A record's data in base64 begin so if they are a pack: the magic number of Zstandard, as far as it fills whole characters.
const PACK: &[u8] = b"KLUv/";

/// Finds the records by the names of their members: nothing else of the body is read.
fn json_records(body: &[u8]) -> anyhow::Result<Vec<Record>> {
    let texts = |name: &'static [u8]| {
        let members = memmem::find_iter(body, name).map(move |at| &body[at + name.len()..]);
        // Python writes a space behind the colon.
        members.map(|text| {
            let text = text.trim_ascii_start().strip_prefix(b"\"")?;
            Some(&text[..memchr(b'"', text)?])
        })
    };
    let records = texts(br#""PartitionKey":"#).zip(texts(br#""Data":"#));
    let record = |(key, data): (Option<&[u8]>, Option<&[u8]>)| {
        let (key, data) = (key.context("half a key")?, data.context("half of data")?);
        let padding = data.iter().rev().take_while(|byte| **byte == b'=').count();
        Ok(Record {
            posts: match data.starts_with(PACK) {
                true => posts(&STANDARD.decode_to_vec(data)?)?,
                false => 1,
            },
            bytes: key.len() + data.len() / 4 * 3 - padding,
        })
    };
    records.map(record).collect()
}

/// Reads the members of a map: those of a record, or one that has the records.
fn cbor_records(body: &mut Decoder<'_>) -> anyhow::Result<Vec<Record>> {
    let (mut key_bytes, mut data, mut records) = (0, None, Vec::new());
    let members = body.map()?.context("a map of unknown length")?;
    for _ in 0..members {
        match body.str()? {
            "PartitionKey" => key_bytes = body.str()?.len(),
            "Data" => data = Some(body.bytes()?),
            "Records" => {
                let count = body.array()?;
                while count.map_or(body.datatype()? != minicbor::data::Type::Break, |count| {
                    (records.len() as u64) < count
                }) {
                    records.append(&mut cbor_records(body)?);
                }
                if count.is_none() {
                    body.skip()?;
                }
            }
            _ => body.skip()?,
        }
    }
    if let Some(data) = data {
        records.push(Record {
            posts: posts(data)?,
            bytes: key_bytes + data.len(),
        });
    }
    Ok(records)
}

fn posts(data: &[u8]) -> anyhow::Result<u64> {
    match pack::is_pack(data) {
        true => Ok(memchr::memchr_iter(b'\n', &pack::unpack(data)?).count() as u64),
        false => Ok(1),
    }
}

/// Answers, each written over the one before; a body like the last is kept.
#[derive(Default)]
pub struct Answers {
    body: Vec<u8>,
    /// The call the body answers, and its number of records, if all were taken.
    of: Option<(Call, Wire, usize)>,
    whole: Vec<u8>,
}

const NUMBER: &str = "49543463076548007577105092703039560359975228518395012686";
const SHARD: &str = "shardId-000000000000";
const REFUSED: &str = "ProvisionedThroughputExceededException";
const WHY: &str =
    "Rate exceeded for shard shardId-000000000000 in stream posts under account 111122223333.";

impl Answers {
    /// The answer to a call, of whose records those were taken for which `taken` is true.
    pub fn to(&mut self, call: Call, wire: Wire, taken: &[bool]) -> &[u8] {
        let of = taken
            .iter()
            .all(|taken| *taken)
            .then_some((call, wire, taken.len()));
        if of.is_none() || self.of != of {
            self.of = of;
            self.body = match wire {
                Wire::Json => json_answer(call, taken).into_bytes(),
                Wire::Cbor => cbor_answer(call, taken),
            };
        }
        let status = match (call, of) {
            (Call::PutRecord, None) => "400 Bad Request",
            _ => "200 OK",
        };
        self.whole.clear();
        // Writing to memory does not fail.
        let _ = write!(
            self.whole,
            "HTTP/1.1 {status}\r\n\
             x-amzn-RequestId: c1ab2e1d-6b3f-9d3e-9f5c-0d8a5a3cbf0e\r\n\
             x-amz-id-2: 9eX1kJ3xWm7mBLTxvCq3WqB7q3m3ZqXl2yO0g6kq3vYb6mD4s6yNqf3K1wVQmO0bT1tQm1l0f5q=\r\n\
             Date: {}\r\n\
             Content-Type: {}\r\n\
             Content-Length: {}\r\n\r\n",
            HttpDate::from(SystemTime::now()),
            wire.content_type(),
            self.body.len(),
        );
        self.whole.extend_from_slice(&self.body);
        &self.whole
    }
}

/// The members that say what became of a record; of one that is refused in a call of its own, those of the error.
fn members(call: Call, taken: bool) -> [(&'static str, &'static str); 2] {
    match (taken, call) {
        (true, _) => [("SequenceNumber", NUMBER), ("ShardId", SHARD)],
        (false, Call::PutRecords) => [("ErrorCode", REFUSED), ("ErrorMessage", WHY)],
        (false, Call::PutRecord) => [("__type", REFUSED), ("message", WHY)],
    }
}

fn refused(taken: &[bool]) -> usize {
    taken.iter().filter(|taken| !**taken).count()
}

fn json_answer(call: Call, taken: &[bool]) -> String {
    let places = taken.iter().map(|&taken| {
        let [(name, value), (other, its)] = members(call, taken);
        format!(r#"{{"{name}":"{value}","{other}":"{its}"}}"#)
    });
    let places = places.collect::<Vec<_>>().join(",");
    match call {
        Call::PutRecord => places,
        Call::PutRecords => format!(
            r#"{{"FailedRecordCount":{},"Records":[{places}]}}"#,
            refused(taken)
        ),
    }
}

fn cbor_answer(call: Call, taken: &[bool]) -> Vec<u8> {
    let mut body = Vec::new();
    let mut encoder = Encoder::new(&mut body);
    // Writing to memory does not fail.
    let _ = (|| {
        if call == Call::PutRecords {
            encoder.map(2)?.str("FailedRecordCount")?;
            encoder.u64(refused(taken) as u64)?.str("Records")?;
            encoder.array(taken.len() as u64)?;
        }
        for &taken in taken {
            encoder.map(2)?;
            for (name, value) in members(call, taken) {
                encoder.str(name)?.str(value)?;
            }
        }
        Ok::<_, minicbor::encode::Error<std::convert::Infallible>>(())
    })();
    body
}
