//! The function under test before a DynamoDB and an SQS that fail as they are told to. With DYNAMODB_URL set, the table is there (dynalite, say).

#![allow(dead_code, reason = "no test needs all of it")]

pub mod corpus;

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use aws_sdk_dynamodb::types::{AttributeValue, KeyType};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use cloud::Function;
use cloud::boards::watch::Watch;
use cloud::config::{Config, WatchConfig};
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
        aws.create_table(
            &aws.table,
            &[("Username", KeyType::Hash), ("Id", KeyType::Range)],
        )
        .await;
        aws.create_table(&aws.boards_table(), &[("Board", KeyType::Hash)])
            .await;
        aws
    }

    /// The function under test, made from its environment as in Lambda.
    pub fn function(&self) -> Function {
        let variables = self.environment(&[
            ("TABLE_NAME", self.table.as_str()),
            ("FAILURE_QUEUE_URL", "http://queue.example/1/failures"),
            ("DAYS_TO_KEEP", "7"),
        ]);
        let config = Config::read(|name| variables.get(name).cloned());
        config.unwrap().function()
    }

    /// The same, which keeps no reports of boards.
    pub fn function_without_boards(&self) -> Function {
        Function {
            boards: None,
            ..self.function()
        }
    }

    /// The watch over the boards, to which one is silent after `silent_after`.
    pub fn watch(&self, silent_after: &str) -> Watch {
        let variables = self.environment(&[
            ("SILENT_AFTER", silent_after),
            ("TOPIC_ARN", "arn:aws:sns:us-east-1:1:alarms"),
        ]);
        let config = WatchConfig::read(|name| variables.get(name).cloned());
        config.unwrap().watch()
    }

    fn environment(&self, own: &[(&'static str, &str)]) -> HashMap<&'static str, String> {
        let (url, boards_table) = (self.stand_in.url(), self.boards_table());
        let all = [
            ("BOARDS_TABLE_NAME", boards_table.as_str()),
            ("AWS_REGION", "us-east-1"),
            ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
            ("AWS_SECRET_ACCESS_KEY", "a-secret-of-the-tests"),
            ("AWS_ENDPOINT_URL", url.as_str()),
        ];
        let both = all.iter().chain(own);
        both.map(|(name, value)| (*name, (*value).to_owned()))
            .collect()
    }

    fn boards_table(&self) -> String {
        format!("{}-boards", self.table)
    }

    /// The items of the table of boards, by the boards' names.
    pub async fn boards(&self) -> BTreeMap<String, BTreeMap<String, String>> {
        let Some(client) = self.backend() else {
            let boards = self.stand_in.boards().into_iter();
            return boards.map(|(board, item)| (board, plain(&item))).collect();
        };
        let items = scan(&client, &self.boards_table()).await;
        let by_name = items.into_iter().map(|item| (item["Board"].clone(), item));
        by_name.collect()
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
        let items = scan(&client, &self.table).await;
        let key = |item: &BTreeMap<String, String>| (item["Username"].clone(), item["Id"].clone());
        items.into_iter().map(|item| (key(&item), item)).collect()
    }

    async fn create_table(&self, table: &str, keys: &[(&str, KeyType)]) {
        let Some(client) = self.backend() else { return };
        use aws_sdk_dynamodb::types::{
            AttributeDefinition, BillingMode, KeySchemaElement, ScalarAttributeType, TableStatus,
        };
        let mut request = client.create_table().table_name(table);
        for (name, kind) in keys {
            let string = AttributeDefinition::builder()
                .attribute_name(*name)
                .attribute_type(ScalarAttributeType::S);
            let key = KeySchemaElement::builder()
                .attribute_name(*name)
                .key_type(kind.clone());
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
                .table_name(table)
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

async fn scan(client: &aws_sdk_dynamodb::Client, table: &str) -> Vec<BTreeMap<String, String>> {
    let request = client.scan().table_name(table);
    let pages = request.into_paginator().items().send();
    let items = pages.collect::<Result<Vec<_>, _>>().await.unwrap();
    let text = |value: AttributeValue| match value {
        AttributeValue::S(text) | AttributeValue::N(text) => text,
        other => panic!("{other:?}"),
    };
    let plain = |item: HashMap<String, AttributeValue>| {
        let fields = item.into_iter();
        fields.map(|(name, value)| (name, text(value))).collect()
    };
    items.into_iter().map(plain).collect()
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
