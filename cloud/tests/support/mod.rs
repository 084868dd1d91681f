//! A DynamoDB and an SQS on a socket of this machine, which fail as they are told to.
//!
//! The table is a map in memory. With DYNAMODB_URL set, it is a table there (dynalite, say), and
//! this server stands between: it makes the faults and passes on the rest.

#![allow(dead_code, reason = "no test needs all of it")]

pub mod corpus;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{BufRead, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use cloud::Function;
use cloud::config::Config;
use cloud::lambda::{Event, Record};
use serde_json::{Value, json};
use tokio::time::Instant;

/// When the records of a test arrived in the stream, in Unix seconds: 2026-01-15T12:00Z.
pub const ARRIVAL: f64 = 1_768_478_400.0;

/// What goes wrong with a call.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// Nothing.
    None,
    /// It does nothing, and answers with this status and code.
    Error(u16, &'static str),
    /// The same, with these words.
    ErrorWith(u16, &'static str, String),
    /// So many of its writes, the last ones, come back unprocessed.
    Unprocessed(usize),
    /// It does its work, but only half of the answer arrives.
    HalfAnswer,
    /// It does nothing, and the connection breaks.
    Broken,
}

/// A call as it arrived.
#[derive(Clone, Debug)]
pub struct Call {
    /// `BatchWriteItem`, `PutItem` or `SendMessage`.
    pub operation: String,
    /// How many of the same operation there have been, this one included.
    pub number: usize,
    pub body: Value,
}

impl Call {
    /// The ids of a BatchWriteItem's items.
    pub fn ids(&self) -> Vec<String> {
        self.writes().iter().map(|write| key(write).1).collect()
    }

    fn writes(&self) -> Vec<Value> {
        let tables = self.body["RequestItems"].as_object().expect("tables");
        tables
            .values()
            .flat_map(|writes| writes.as_array().expect("writes"))
            .cloned()
            .collect()
    }
}

type Key = (String, String);
type Script = Box<dyn FnMut(&Call) -> Fault + Send>;

/// The two services.
pub struct Aws {
    url: String,
    table: String,
    state: Arc<Mutex<State>>,
}

struct State {
    script: Script,
    backend: Option<String>,
    calls: Vec<Call>,
    /// The table, if it is not DYNAMODB_URL's.
    items: BTreeMap<Key, Value>,
    messages: Vec<Value>,
}

impl Aws {
    /// Starts both, with an empty table. `script` says what goes wrong with which call.
    pub async fn start(script: impl FnMut(&Call) -> Fault + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let backend = std::env::var("DYNAMODB_URL").ok();
        let address = listener.local_addr().unwrap();
        let aws = Self {
            url: format!("http://{address}"),
            table: format!("test-{}", address.port()),
            state: Arc::new(Mutex::new(State {
                script: Box::new(script),
                backend,
                calls: Vec::new(),
                items: BTreeMap::new(),
                messages: Vec::new(),
            })),
        };
        aws.create_table().await;
        let state = aws.state.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let state = state.clone();
                std::thread::spawn(move || serve(stream.unwrap(), &state));
            }
        });
        aws
    }

    /// The function under test, made from its environment as in Lambda.
    pub fn function(&self) -> Function {
        let variables = HashMap::from([
            ("TABLE_NAME", self.table.as_str()),
            ("FAILURE_QUEUE_URL", "http://queue.example/1/failures"),
            ("DAYS_TO_KEEP", "7"),
            ("AWS_REGION", "us-east-1"),
            ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
            ("AWS_SECRET_ACCESS_KEY", "a-secret-of-the-tests"),
            ("AWS_ENDPOINT_URL", self.url.as_str()),
        ]);
        Config::read(|name| variables.get(name).map(|&value| value.to_owned()))
            .unwrap()
            .function()
    }

    /// The calls of one operation so far.
    pub fn calls(&self, operation: &str) -> Vec<Call> {
        let calls = self.state.lock().unwrap().calls.clone();
        calls
            .into_iter()
            .filter(|call| call.operation == operation)
            .collect()
    }

    /// The bodies of the failure queue's messages.
    pub fn messages(&self) -> Vec<Value> {
        self.state.lock().unwrap().messages.clone()
    }

    /// The table's items, by key: their string attributes and `ExpiresAt`.
    pub async fn items(&self) -> BTreeMap<Key, BTreeMap<String, String>> {
        let Some(client) = self.backend() else {
            let items = self.state.lock().unwrap().items.clone();
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
        let url = self.state.lock().unwrap().backend.clone()?;
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

/// One connection: calls and their answers, until it ends.
fn serve(stream: TcpStream, state: &Mutex<State>) {
    let mut reader = BufReader::new(&stream);
    while let Some((head, body)) = message(&mut reader) {
        let body = serde_json::from_slice(&body).expect("JSON");
        let target = header(&head, "x-amz-target").expect("a target");
        let (fault, call, backend) = state.lock().unwrap().receive(target, body);
        let (status, answer) = match fault {
            Fault::Broken => return,
            Fault::Error(status, code) => (status, json!({"__type": format!("prefix#{code}")})),
            Fault::ErrorWith(status, code, ref message) => {
                (status, json!({"__type": code, "message": message}))
            }
            Fault::None | Fault::HalfAnswer | Fault::Unprocessed(_) => {
                let unprocessed = if let Fault::Unprocessed(n) = fault {
                    n
                } else {
                    0
                };
                perform(call, unprocessed, &head, backend, state)
            }
        };
        let body = answer.to_string();
        let answer = format!(
            "HTTP/1.1 {status} Status\r\nContent-Type: application/x-amz-json-1.0\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let cut = if fault == Fault::HalfAnswer {
            body.len() / 2
        } else {
            0
        };
        let sent = (&stream).write_all(&answer.as_bytes()[..answer.len() - cut]);
        if sent.is_err() || cut > 0 {
            return;
        }
    }
}

impl State {
    fn receive(&mut self, target: &str, body: Value) -> (Fault, Call, Option<String>) {
        let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
        let earlier = self
            .calls
            .iter()
            .filter(|call| call.operation == operation)
            .count();
        let call = Call {
            operation,
            number: earlier + 1,
            body,
        };
        self.calls.push(call.clone());
        ((self.script)(&call), call, self.backend.clone())
    }

    /// DynamoDB's own rules: 25 writes, and no two of one key.
    fn write(&mut self, writes: &[Value]) -> Result<(), &'static str> {
        let keys: BTreeSet<_> = writes.iter().map(key).collect();
        if writes.is_empty() || writes.len() > 25 || keys.len() < writes.len() {
            return Err("ValidationException");
        }
        for write in writes {
            self.items
                .insert(key(write), write["PutRequest"]["Item"].clone());
        }
        Ok(())
    }

    /// A put on the one condition that the function makes.
    fn put(&mut self, call: &Value) -> Result<(), &'static str> {
        assert_eq!(
            call["ConditionExpression"],
            "attribute_not_exists(Rev) OR Rev <= :rev"
        );
        let rev = |value: &Value| value["S"].as_str().map(str::to_owned);
        let limit = rev(&call["ExpressionAttributeValues"][":rev"]).expect("a rev");
        let item = &call["Item"];
        let there = self.items.get(&item_key(item));
        if there
            .and_then(|there| rev(&there["Rev"]))
            .is_some_and(|rev| rev > limit)
        {
            return Err("ConditionalCheckFailedException");
        }
        self.items.insert(item_key(item), item.clone());
        Ok(())
    }
}

/// Does a call's work, but for its last `unprocessed` writes.
fn perform(
    mut call: Call,
    unprocessed: usize,
    head: &str,
    backend: Option<String>,
    state: &Mutex<State>,
) -> (u16, Value) {
    if call.operation == "SendMessage" {
        let body = call.body["MessageBody"]
            .as_str()
            .expect("a message")
            .to_owned();
        assert!(
            body.len() <= 256 * 1024,
            "longer than SQS takes: {}",
            body.len()
        );
        state
            .lock()
            .unwrap()
            .messages
            .push(serde_json::from_str(&body).expect("JSON"));
        return (200, json!({"MessageId": "1"}));
    }
    if call.operation == "PutItem" {
        return match backend {
            Some(url) => forward(&url, head, &call.body),
            None => match state.lock().unwrap().put(&call.body) {
                Ok(()) => (200, json!({})),
                Err(code) => (400, json!({"__type": code})),
            },
        };
    }
    let mut writes = call.writes();
    let table = call.body["RequestItems"]
        .as_object()
        .unwrap()
        .keys()
        .next()
        .unwrap()
        .clone();
    let left = writes.split_off(writes.len() - unprocessed.min(writes.len()));
    call.body["RequestItems"][&table] = writes.clone().into();
    let (status, mut answer) = match backend {
        _ if writes.is_empty() => (200, json!({"UnprocessedItems": {}})),
        Some(url) => forward(&url, head, &call.body),
        None => match state.lock().unwrap().write(&writes) {
            Ok(()) => (200, json!({"UnprocessedItems": {}})),
            Err(code) => (400, json!({"__type": code})),
        },
    };
    if status == 200 && !left.is_empty() {
        answer["UnprocessedItems"][&table] = left.into();
    }
    (status, answer)
}

fn forward(url: &str, head: &str, body: &Value) -> (u16, Value) {
    let authority = url
        .strip_prefix("http://")
        .expect("plain http")
        .trim_end_matches('/');
    let mut stream = TcpStream::connect(authority).expect("DYNAMODB_URL answers");
    let body = body.to_string();
    let mut request = format!("POST / HTTP/1.1\r\ncontent-length: {}\r\n", body.len());
    for name in [
        "host",
        "x-amz-target",
        "x-amz-date",
        "authorization",
        "content-type",
    ] {
        let value = header(head, name).expect("a signed request");
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    stream
        .write_all(format!("{request}\r\n{body}").as_bytes())
        .unwrap();
    let (head, body) = message(&mut BufReader::new(&stream)).expect("an answer");
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok())
        .expect("a status");
    (status, serde_json::from_slice(&body).expect("JSON"))
}

/// A request or an answer: its head, and its body by Content-Length. `None` at the end.
fn message(reader: &mut impl BufRead) -> Option<(String, Vec<u8>)> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let length = header(&head, "content-length")?.parse().expect("a length");
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((head, body))
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut fields = head.lines().filter_map(|line| line.split_once(':'));
    fields
        .find(|(field, _)| field.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim())
}

fn key(write: &Value) -> Key {
    item_key(&write["PutRequest"]["Item"])
}

fn item_key(item: &Value) -> Key {
    let text = |name: &str| item[name]["S"].as_str().expect("a string").to_owned();
    (text("Username"), text("Id"))
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
