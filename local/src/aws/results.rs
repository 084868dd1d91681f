//! Reading what a run has left in its streams and tables.

use anyhow::Context;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use testkit::pack;

use crate::aws::Aws;

impl Aws {
    /// The data of every record of a stream, shard by shard.
    ///
    /// # Errors
    /// If the service cannot be reached, or refuses the call ([`Refused`](crate::aws::Refused)).
    pub fn all_records(&self, stream: &str) -> anyhow::Result<Vec<Vec<u8>>> {
        let shards = self.kinesis("ListShards", &json!({ "StreamName": stream }))?;
        let mut data = Vec::new();
        for shard in shards["Shards"].as_array().into_iter().flatten() {
            let start = json!({
                "StreamName": stream,
                "ShardId": shard["ShardId"],
                "ShardIteratorType": "TRIM_HORIZON",
            });
            let mut iterator = self.kinesis("GetShardIterator", &start)?["ShardIterator"].take();
            loop {
                let mut page = self.kinesis("GetRecords", &json!({ "ShardIterator": iterator }))?;
                let Some(records) = page["Records"].as_array().filter(|page| !page.is_empty())
                else {
                    break;
                };
                for record in records {
                    let record = record["Data"].as_str().context("a record without data")?;
                    let record = BASE64_STANDARD.decode(record);
                    data.push(record.context("a record is not base64")?);
                }
                iterator = page["NextShardIterator"].take();
            }
        }
        Ok(data)
    }

    /// Every post of a stream, as [`Self::all_records`] has them: a record is one, or a pack of many.
    ///
    /// # Errors
    /// If the service refuses a call, or a record is neither a post nor a pack.
    pub fn all_posts(&self, stream: &str) -> anyhow::Result<Vec<Vec<u8>>> {
        let records = self.all_records(stream)?.into_iter();
        let posts = records.map(pack::posts).collect::<Result<Vec<_>, _>>()?;
        Ok(posts.concat())
    }

    /// Every item of a table.
    ///
    /// # Errors
    /// If the service cannot be reached, or refuses the call ([`Refused`](crate::aws::Refused)).
    pub fn all_items(&self, table: &str) -> anyhow::Result<Vec<Value>> {
        let mut items = Vec::new();
        let mut input = json!({ "TableName": table, "ConsistentRead": true });
        loop {
            let mut page = self.dynamodb("Scan", &input)?;
            if let Some(found) = page["Items"].as_array_mut() {
                items.append(found);
            }
            match page["LastEvaluatedKey"].take() {
                Value::Null => return Ok(items),
                key => input["ExclusiveStartKey"] = key,
            }
        }
    }

    /// How many items a table has.
    ///
    /// # Errors
    /// If the service cannot be reached, or refuses the call ([`Refused`](crate::aws::Refused)).
    pub fn count_items(&self, table: &str) -> anyhow::Result<u64> {
        let mut count = 0;
        let mut input = json!({ "TableName": table, "ConsistentRead": true, "Select": "COUNT" });
        loop {
            let mut page = self.dynamodb("Scan", &input)?;
            count += page["Count"].as_u64().unwrap_or_default();
            match page["LastEvaluatedKey"].take() {
                Value::Null => return Ok(count),
                key => input["ExclusiveStartKey"] = key,
            }
        }
    }
}
