//! The bodies of PutRecord and PutRecords, and of their answers, in the codings Kinesis speaks.

use std::borrow::Cow;
use std::fmt::{Formatter, Write};

use anyhow::{Context, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::de::Visitor;
use serde::{Deserialize, Deserializer};

use crate::cbor;

/// How bodies are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// `application/x-amz-json-1.1`
    Json,
    /// `application/x-amz-cbor-1.1`
    Cbor,
}

/// Which call a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// One record; if it is refused, the call fails.
    PutRecord,
    /// Many, each with an answer of its own.
    PutRecords,
}

/// A record of a call.
#[derive(Debug, PartialEq, Eq)]
pub struct Put<'a> {
    /// The partition key.
    pub key: Cow<'a, str>,
    /// In the place of the key's MD5, if it is given.
    pub explicit_hash: Option<u128>,
    /// As the sender's program had them.
    pub data: Vec<u8>,
}

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Accepted by this shard, with this number.
    Accepted(usize, u64),
    /// This shard is over its limits.
    Throttled(usize),
}

const THROTTLED: &str = "ProvisionedThroughputExceededException";

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct JsonRecord<'a> {
    #[serde(borrow)]
    data: Cow<'a, str>,
    #[serde(borrow)]
    partition_key: Cow<'a, str>,
    #[serde(borrow)]
    explicit_hash_key: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct JsonRecords<'a> {
    #[serde(borrow)]
    records: Vec<JsonRecord<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct CborRecord {
    data: Bytes,
    partition_key: String,
    explicit_hash_key: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct CborRecords {
    records: Vec<CborRecord>,
}

/// A byte string. A text is none: where JSON has base64, CBOR has bytes.
struct Bytes(Vec<u8>);

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Whole;
        impl Visitor<'_> for Whole {
            type Value = Bytes;

            fn expecting(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
                f.write_str("a byte string")
            }

            fn visit_byte_buf<E>(self, bytes: Vec<u8>) -> Result<Bytes, E> {
                Ok(Bytes(bytes))
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Bytes, E> {
                Ok(Bytes(bytes.to_vec()))
            }
        }
        deserializer.deserialize_byte_buf(Whole)
    }
}

impl CborRecord {
    fn put<'a>(self) -> anyhow::Result<Put<'a>> {
        let explicit_hash = self.explicit_hash_key.map(|hash| hash.parse()).transpose();
        Ok(Put {
            key: self.partition_key.into(),
            explicit_hash: explicit_hash.context("the hash key is no number")?,
            data: self.data.0,
        })
    }
}

impl Coding {
    /// The coding of this content type.
    pub fn of(content_type: &str) -> Option<Self> {
        let all = [Self::Json, Self::Cbor];
        all.into_iter()
            .find(|coding| coding.content_type() == content_type)
    }

    /// The content type of this coding.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/x-amz-json-1.1",
            Self::Cbor => cbor::CONTENT_TYPE,
        }
    }

    /// The records of a call.
    ///
    /// # Errors
    ///
    /// If the body is not one of this call in this coding.
    pub fn decode(self, operation: Operation, body: &[u8]) -> anyhow::Result<Vec<Put<'_>>> {
        match (self, operation) {
            (Self::Json, Operation::PutRecord) => {
                Ok(vec![serde_json::from_slice::<JsonRecord>(body)?.put()?])
            }
            (Self::Json, Operation::PutRecords) => {
                let call: JsonRecords = serde_json::from_slice(body)?;
                call.records.into_iter().map(JsonRecord::put).collect()
            }
            (Self::Cbor, Operation::PutRecord) => {
                Ok(vec![ciborium::from_reader::<CborRecord, _>(body)?.put()?])
            }
            (Self::Cbor, Operation::PutRecords) => {
                let call: CborRecords = ciborium::from_reader(body)?;
                call.records.into_iter().map(CborRecord::put).collect()
            }
        }
    }

    /// Writes the answer's body to `body`: its status.
    pub fn encode(self, operation: Operation, fates: &[Fate], body: &mut Vec<u8>) -> u16 {
        let mut json = String::new();
        let status = Self::encode_json(operation, fates, &mut json);
        self.write(json, body);
        status
    }

    /// Writes what is JSON to `body`.
    fn write(self, json: String, body: &mut Vec<u8>) {
        match self {
            Self::Json => body.extend(json.into_bytes()),
            Self::Cbor => {
                let answer = serde_json::from_str(&json).expect("JSON of our own");
                body.extend(cbor::from_json(&answer));
            }
        }
    }

    fn encode_json(operation: Operation, fates: &[Fate], body: &mut String) -> u16 {
        // Writing to memory does not fail.
        let written = match (operation, fates) {
            (Operation::PutRecord, [Fate::Throttled(shard), ..]) => {
                let _ = write!(
                    body,
                    r#"{{"__type":"{THROTTLED}","message":"{}"}}"#,
                    Exceeded(*shard)
                );
                return 400;
            }
            (Operation::PutRecord, fates) => fates.iter().try_for_each(|fate| fate.write(body)),
            (Operation::PutRecords, fates) => {
                let failed = fates
                    .iter()
                    .filter(|fate| matches!(fate, Fate::Throttled(_)))
                    .count();
                let _ = write!(body, r#"{{"FailedRecordCount":{failed},"Records":["#);
                let written = fates.iter().enumerate().try_for_each(|(index, fate)| {
                    body.push_str(if index > 0 { "," } else { "" });
                    fate.write(body)
                });
                body.push_str("]}");
                written
            }
        };
        debug_assert!(written.is_ok());
        200
    }

    /// Writes the body of an answer that says what was wrong with the call.
    pub fn encode_error(self, code: &str, message: &str, body: &mut Vec<u8>) {
        let error = serde_json::json!({"__type": code, "message": message});
        self.write(error.to_string(), body);
    }
}

impl<'a> JsonRecord<'a> {
    fn put(self) -> anyhow::Result<Put<'a>> {
        let explicit_hash = self.explicit_hash_key.map(|hash| hash.parse()).transpose();
        let data = STANDARD
            .decode(self.data.as_bytes())
            .context("the data is not base64")?;
        Ok(Put {
            key: self.partition_key,
            explicit_hash: explicit_hash.context("the hash key is no number")?,
            data,
        })
    }
}

impl Operation {
    /// The operation of an X-Amz-Target.
    ///
    /// # Errors
    ///
    /// If it is none of the two.
    pub fn of(target: &str) -> anyhow::Result<Self> {
        match target {
            "Kinesis_20131202.PutRecord" => Ok(Self::PutRecord),
            "Kinesis_20131202.PutRecords" => Ok(Self::PutRecords),
            other => bail!("'{other}' is neither PutRecord nor PutRecords"),
        }
    }
}

impl Fate {
    /// As one record's answer in JSON.
    fn write(&self, body: &mut String) -> std::fmt::Result {
        match self {
            // As long as Kinesis's own: 56 digits.
            Self::Accepted(shard, number) => {
                write!(
                    body,
                    r#"{{"SequenceNumber":"49543463076548007577105092703039560{number:021}","ShardId":"shardId-{shard:012}"}}"#
                )
            }
            Self::Throttled(shard) => write!(
                body,
                r#"{{"ErrorCode":"{THROTTLED}","ErrorMessage":"{}"}}"#,
                Exceeded(*shard)
            ),
        }
    }
}

/// What Kinesis says of a shard over its limits.
struct Exceeded(usize);

impl std::fmt::Display for Exceeded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Rate exceeded for shard shardId-{:012} in stream posts under account 111122223333.",
            self.0
        )
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn both_calls_are_read_with_escapes_and_unknown_members() {
        let one = r#"{"StreamName":"posts","Data":"cGl6emE=","PartitionKey":"a\u0062","SequenceNumberForOrdering":"1"}"#;
        let put = |key: &'static str, explicit_hash| Put {
            key: key.into(),
            explicit_hash,
            data: b"pizza".to_vec(),
        };
        let read = Coding::Json
            .decode(Operation::PutRecord, one.as_bytes())
            .unwrap();
        assert_eq!(read, [put("ab", None)]);
        let many =
            r#"{"Records":[{"Data":"cGl6\u007aemE=","PartitionKey":"x"}],"StreamName":"posts"}"#;
        assert!(
            Coding::Json
                .decode(Operation::PutRecords, many.as_bytes())
                .is_err(),
            "eight and a half bytes of base64"
        );
        let many = r#"{"Records":[{"Data":"cGl6\u007amE=","PartitionKey":"x","ExplicitHashKey":"5"}],"StreamName":"posts"}"#;
        let read = Coding::Json
            .decode(Operation::PutRecords, many.as_bytes())
            .unwrap();
        assert_eq!(read[0].explicit_hash, Some(5));
        assert_eq!(read[0].key, "x");
    }

    #[test]
    fn answers_are_json_and_a_throttled_put_record_is_an_error() {
        let mut body = Vec::new();
        let fates = [Fate::Accepted(3, 7), Fate::Throttled(0)];
        assert_eq!(
            Coding::Json.encode(Operation::PutRecords, &fates, &mut body),
            200
        );
        let answer: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(answer["FailedRecordCount"], 1);
        assert_eq!(answer["Records"][0]["ShardId"], "shardId-000000000003");
        assert_eq!(
            answer["Records"][0]["SequenceNumber"]
                .as_str()
                .unwrap()
                .len(),
            56
        );
        assert_eq!(answer["Records"][1]["ErrorCode"], THROTTLED);
        body.clear();
        assert_eq!(
            Coding::Json.encode(Operation::PutRecord, &fates[1..], &mut body),
            400
        );
        let answer: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(answer["__type"], THROTTLED);
        body.clear();
        assert_eq!(
            Coding::Json.encode(Operation::PutRecord, &fates[..1], &mut body),
            200
        );
        assert!(serde_json::from_slice::<Value>(&body).unwrap()["SequenceNumber"].is_string());
    }

    #[test]
    fn cbor_is_read_and_answered_with_bytes_for_data_and_base64_is_none() {
        // Given the same record in CBOR, its map of unknown length, its data bytes or a text
        let call = |data: &[u8]| {
            let start = b"\xbf\x6aStreamName\x65posts\x6cPartitionKey\x62ab\x64Data";
            [start, data, b"\xff"].concat()
        };
        // When it is read
        let bytes = call(b"\x45pizza");
        let read = Coding::Cbor.decode(Operation::PutRecord, &bytes).unwrap();
        // Then the data are the bytes, and only these are taken
        assert_eq!((&*read[0].key, &*read[0].data), ("ab", &b"pizza"[..]));
        let text = call(
            b"\x45pizza"
                .map(|byte| if byte == 0x45 { 0x65 } else { byte })
                .as_slice(),
        );
        assert!(Coding::Cbor.decode(Operation::PutRecord, &text).is_err());
        // And the answer is the one in JSON
        let fates = [Fate::Accepted(3, 7), Fate::Throttled(0)];
        let [mut json, mut cbor] = [Vec::new(), Vec::new()];
        Coding::Json.encode(Operation::PutRecords, &fates, &mut json);
        Coding::Cbor.encode(Operation::PutRecords, &fates, &mut cbor);
        let json: Value = serde_json::from_slice(&json).unwrap();
        assert_eq!(cbor::to_json(&cbor).unwrap(), json);
    }
}
