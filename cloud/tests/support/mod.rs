//! The function under test before a DynamoDB and an SQS that fail as they are told to. With DYNAMODB_URL set, the table is there (dynalite, say).

#![allow(dead_code, reason = "no test needs all of it")]

pub mod corpus;

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use cloud::Function;
use cloud::config::Config;
use cloud::lambda::{Event, Record};
use serde_json::{Value, json};
use testkit::dynamodb::DynamoDb;
pub use testkit::dynamodb::{Call, Fault, Key};
use tokio::time::Instant;

/// When the records of a test arrived in the stream, in Unix seconds: 2026-01-15T12:00Z.
pub const ARRIVAL: f64 = 1_768_478_400.0;

/// The two services, and the function under test before them.
pub struct Aws {
    stand_in: DynamoDb,
    table: String,
    /// The address of the DynamoDB that has the table, if it is not the stand-in.
    backend: Option<String>,
}

impl Aws {
    /// Starts both, with an empty table. `script` says what goes wrong with which call.
    pub async fn start(script: impl FnMut(&Call) -> Fault + Send + 'static) -> Self {
        let backend = std::env::var("DYNAMODB_URL").ok();
        let stand_in = DynamoDb::start(script, backend.clone()).unwrap();
        let aws = Self {
            table: format!("test-{}", stand_in.port()),
            stand_in,
            backend,
        };
        aws.create_table().await;
        aws
    }

    /// The function under test, made from its environment as in Lambda.
    pub fn function(&self) -> Function {
        let url = self.stand_in.url();
        let variables = HashMap::from([
            ("TABLE_NAME", self.table.as_str()),
            ("FAILURE_QUEUE_URL", "http://queue.example/1/failures"),
            ("DAYS_TO_KEEP", "7"),
            ("AWS_REGION", "us-east-1"),
            ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
            ("AWS_SECRET_ACCESS_KEY", "a-secret-of-the-tests"),
            ("AWS_ENDPOINT_URL", url.as_str()),
        ]);
        Config::read(|name| variables.get(name).map(|&value| value.to_owned()))
            .unwrap()
            .function()
    }

    /// The calls of one operation so far.
    pub fn calls(&self, operation: &str) -> Vec<Call> {
        self.stand_in.calls(operation)
    }

    /// The bodies of the failure queue's messages.
    pub fn messages(&self) -> Vec<Value> {
        self.stand_in.messages()
    }

    /// The table's items, by key: their string attributes and `ExpiresAt`.
    pub async fn items(&self) -> BTreeMap<Key, BTreeMap<String, String>> {
        let Some(client) = self.backend() else {
            let items = self.stand_in.items();
            return items
                .into_iter()
                .map(|(key, item)| (key, plain(&item)))
                .collect();
        };
        let pages = client
            .scan()
            .table_name(&self.table)
            .into_paginator()
            .items()
            .send();
        let items = pages.collect::<Result<Vec<_>, _>>().await.unwrap();
        let text = |value: AttributeValue| match value {
            AttributeValue::S(text) | AttributeValue::N(text) => text,
            other => panic!("{other:?}"),
        };
        let item = |item: HashMap<String, AttributeValue>| {
            let item: BTreeMap<_, _> = item
                .into_iter()
                .map(|(n, value)| (n, text(value)))
                .collect();
            ((item["Username"].clone(), item["Id"].clone()), item)
        };
        items.into_iter().map(item).collect()
    }

    async fn create_table(&self) {
        let Some(client) = self.backend() else { return };
        use aws_sdk_dynamodb::types::{
            AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
            TableStatus,
        };
        let mut request = client.create_table().table_name(&self.table);
        for (name, kind) in [("Username", KeyType::Hash), ("Id", KeyType::Range)] {
            let string = AttributeDefinition::builder()
                .attribute_name(name)
                .attribute_type(ScalarAttributeType::S);
            let key = KeySchemaElement::builder()
                .attribute_name(name)
                .key_type(kind);
            request = request
                .attribute_definitions(string.build().unwrap())
                .key_schema(key.build().unwrap());
        }
        request
            .billing_mode(BillingMode::PayPerRequest)
            .send()
            .await
            .unwrap();
        loop {
            let table = client
                .describe_table()
                .table_name(&self.table)
                .send()
                .await
                .unwrap();
            if table.table.unwrap().table_status == Some(TableStatus::Active) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn backend(&self) -> Option<aws_sdk_dynamodb::Client> {
        let url = self.backend.clone()?;
        let config = aws_sdk_dynamodb::Config::builder()
            .behavior_version(aws_sdk_dynamodb::config::BehaviorVersion::latest())
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .region(aws_sdk_dynamodb::config::Region::new("us-east-1"))
            .credentials_provider(aws_sdk_dynamodb::config::Credentials::new(
                "AKIDEXAMPLE",
                "a-secret-of-the-tests",
                None,
                None,
                "test",
            ))
            .endpoint_url(url);
        Some(aws_sdk_dynamodb::Client::from_conf(config.build()))
    }
}

/// Records with these data, as Lambda's event has them.
pub fn records(data: &[Vec<u8>]) -> Vec<Record> {
    let record = |(n, data): (usize, &Vec<u8>)| {
        json!({
            "eventID": format!("shardId-000000000000:{n}"),
            "eventSourceARN": "arn:aws:kinesis:us-east-1:1:stream/posts",
            "kinesis": {
                "sequenceNumber": n.to_string(),
                "partitionKey": format!("key-{n}"),
                "approximateArrivalTimestamp": ARRIVAL,
                "data": BASE64_STANDARD.encode(data),
            },
        })
    };
    let records: Vec<Value> = data.iter().enumerate().map(record).collect();
    let event: Event = serde_json::from_value(json!({"Records": records})).unwrap();
    event.records
}

/// A post of X: its id and text.
pub fn post(id: impl std::fmt::Display, text: &str) -> Vec<u8> {
    let event = json!({
        "data": {"id": id.to_string(), "text": text, "author_id": "98",
            "created_at": "2026-01-15T11:59:58.000Z"},
        "includes": {"users": [{"id": "98", "username": "catperson"}]},
    });
    event.to_string().into_bytes()
}

/// A pack of these posts.
pub fn pack(lines: &[Vec<u8>]) -> Vec<u8> {
    let text: Vec<u8> = lines
        .iter()
        .flat_map(|line| [line, &b"\n"[..]].concat())
        .collect();
    let mut pack = Vec::with_capacity(zstd_safe::compress_bound(text.len()));
    zstd_safe::compress(&mut pack, &text, 1).expect("room for it");
    pack
}

/// A deadline that leaves the table and the queue all the time a test can need.
pub fn soon() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

/// A deadline that leaves the table one second, all of which a failing one uses up.
pub fn at_once() -> Instant {
    Instant::now() + Duration::from_secs(4)
}

fn plain(item: &Value) -> BTreeMap<String, String> {
    let fields = item.as_object().expect("an item").iter();
    fields
        .map(|(name, value)| {
            let text = value.get("S").or(value.get("N")).and_then(Value::as_str);
            (name.clone(), text.expect("a string or a number").to_owned())
        })
        .collect()
}
