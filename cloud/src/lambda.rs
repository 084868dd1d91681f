//! The event that Lambda passes to the function, and the response.
//!
//! Records are parsed field by field, and a field that is missing or of the wrong type stays empty. One
//! odd record must not fail the whole batch, because Lambda would then retry that for hours.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The batch of one invocation.
#[derive(Debug, Default, Deserialize)]
pub struct Event {
    /// In the order of their shard.
    #[serde(rename = "Records", default)]
    pub records: Vec<Record>,
}

/// One record of the stream.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(from = "Value")]
pub struct Record {
    /// The stream's ARN.
    pub stream_arn: String,
    /// As in `shardId-000000000006`.
    pub shard_id: String,
    /// Its place in the shard.
    pub sequence_number: String,
    /// The partition key.
    pub partition_key: String,
    /// When it arrived in Kinesis.
    pub arrived_at: Option<DateTime<Utc>>,
    /// The data. `None` if it is missing or not base64.
    pub data: Option<Vec<u8>>,
}

impl From<Value> for Record {
    fn from(event: Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let kinesis = &event["kinesis"];
        // "shardId-000000000006:49590338271490256608559692538361571095"
        let id = event["eventID"].as_str().and_then(|id| id.split_once(':'));
        Self {
            stream_arn: text(&event["eventSourceARN"]),
            shard_id: id.map(|(shard, _)| shard.to_owned()).unwrap_or_default(),
            sequence_number: text(&kinesis["sequenceNumber"]),
            partition_key: text(&kinesis["partitionKey"]),
            arrived_at: kinesis["approximateArrivalTimestamp"]
                .as_f64()
                .and_then(|seconds| DateTime::from_timestamp_millis((seconds * 1000.0) as i64)),
            data: kinesis["data"]
                .as_str()
                .and_then(|data| BASE64_STANDARD.decode(data).ok()),
        }
    }
}

/// The response: from which record on the batch must be retried. Empty if all of it is done.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    batch_item_failures: Vec<ItemFailure>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ItemFailure {
    item_identifier: String,
}

impl Answer {
    /// This record and all after it must be retried.
    pub fn again_from(record: &Record) -> Self {
        Self {
            batch_item_failures: vec![ItemFailure {
                item_identifier: record.sequence_number.clone(),
            }],
        }
    }
}
