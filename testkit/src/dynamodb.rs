//! A DynamoDB, an SQS and an SNS on one socket of this machine, which fail as they are told to.
//!
//! The tables are maps in memory: one of posts, one of boards. With another DynamoDB behind it (dynalite, say), it is a table there, and this server stands between: it
//! makes the faults and passes on the rest.

mod expressions;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufReader, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use crate::http::{Answer, Request};
use crate::server::Server;

/// The fault of a call.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// Nothing.
    None,
    /// It does nothing, and answers with this status and code.
    Error(u16, &'static str),
    /// The same with this message.
    ErrorWith(u16, &'static str, String),
    /// This many of its writes, the last ones, are returned as unprocessed.
    Unprocessed(usize),
    /// It is executed, but only half of the response arrives.
    HalfAnswer,
    /// It is not executed, and the connection breaks.
    Broken,
}

/// A call as it arrived.
#[derive(Clone, Debug)]
pub struct Call {
    /// `BatchWriteItem`, `PutItem` or `SendMessage`; for boards `UpdateItem`, `Scan` or `Publish`.
    pub operation: String,
    /// How many of the same operation there have been, this one included.
    pub number: usize,
    /// Its parameters.
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

/// An item's `Username` and `Id`.
pub type Key = (String, String);

type Script = Box<dyn FnMut(&Call) -> Fault + Send>;

/// The two services. End, with every connection, when dropped.
#[derive(Debug)]
pub struct DynamoDb {
    server: Server,
    state: Arc<Mutex<State>>,
}

struct State {
    script: Script,
    /// The address of the DynamoDB that has the table, if it is not here.
    backend: Option<String>,
    calls: Vec<Call>,
    items: BTreeMap<Key, Value>,
    boards: BTreeMap<String, Value>,
    messages: Vec<Value>,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State")
            .field("calls", &self.calls)
            .finish_non_exhaustive()
    }
}

impl DynamoDb {
    /// Starts both, with an empty table. `script` says what goes wrong with which call; `backend` is the URL of another DynamoDB that has the
    /// table.
    ///
    /// # Errors
    /// No port can be had.
    pub fn start(
        script: impl FnMut(&Call) -> Fault + Send + 'static,
        backend: Option<String>,
    ) -> io::Result<Self> {
        let state = Arc::new(Mutex::new(State {
            script: Box::new(script),
            backend,
            calls: Vec::new(),
            items: BTreeMap::new(),
            boards: BTreeMap::new(),
            messages: Vec::new(),
        }));
        let ours = state.clone();
        let server = Server::start(move |stream| {
            // A client that closes its connection is no error of the server.
            let _ = serve(&stream, &ours);
        })?;
        Ok(Self { server, state })
    }

    /// Its address.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// Its port, which no other one has.
    pub fn port(&self) -> u16 {
        self.server.address().port()
    }

    /// The calls of one operation so far.
    pub fn calls(&self, operation: &str) -> Vec<Call> {
        let mut calls = lock(&self.state).calls.clone();
        calls.retain(|call| call.operation == operation);
        calls
    }

    /// The bodies of the queue's messages.
    pub fn messages(&self) -> Vec<Value> {
        lock(&self.state).messages.clone()
    }

    /// The items of the table of boards that is here, by the boards' names.
    pub fn boards(&self) -> BTreeMap<String, Value> {
        lock(&self.state).boards.clone()
    }

    /// The items of the table that is here, as they were written.
    pub fn items(&self) -> BTreeMap<Key, Value> {
        lock(&self.state).items.clone()
    }
}

/// What SNS answers.
const PUBLISHED: &str =
    "<PublishResponse><PublishResult><MessageId>1</MessageId></PublishResult></PublishResponse>";

/// One connection: calls and their answers, until it ends.
fn serve(mut stream: &TcpStream, state: &Mutex<State>) -> io::Result<()> {
    let mut requests = BufReader::new(stream);
    while let Some(request) = Request::read(&mut requests)? {
        let (fault, call, backend) = lock(state).receive(&request);
        let (status, answer) = match fault {
            Fault::Broken => return Ok(()),
            Fault::Error(status, code) => (status, json!({"__type": format!("prefix#{code}")})),
            Fault::ErrorWith(status, code, ref message) => {
                (status, json!({"__type": code, "message": message}))
            }
            Fault::Unprocessed(n) => perform(call.clone(), n, &request, backend, state)?,
            Fault::None | Fault::HalfAnswer => perform(call.clone(), 0, &request, backend, state)?,
        };
        let answer = match call.operation.as_str() {
            // SNS speaks XML, whose errors only the status tells apart here.
            "Publish" => Answer::new(status, PUBLISHED),
            _ => Answer::json(status, &answer),
        };
        let bytes = answer.to_bytes();
        if fault == Fault::HalfAnswer {
            return stream.write_all(&bytes[..bytes.len() - answer.body.len() / 2]);
        }
        stream.write_all(&bytes)?;
    }
    Ok(())
}

impl State {
    fn receive(&mut self, request: &Request) -> (Fault, Call, Option<String>) {
        let (operation, body) = match request.operation() {
            Some(operation) => {
                let body = serde_json::from_slice(&request.body).expect("JSON");
                (operation.to_owned(), body)
            }
            None => {
                let form = form(&request.body);
                let operation = form["Action"].as_str().expect("an action");
                (operation.to_owned(), form)
            }
        };
        let same = |call: &&Call| call.operation == operation;
        let call = Call {
            number: self.calls.iter().filter(same).count() + 1,
            operation,
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
        let condition = "attribute_not_exists(Rev) OR Rev <= :rev";
        assert_eq!(call["ConditionExpression"], condition);
        let rev = |value: &Value| value["S"].as_str().map(str::to_owned);
        let limit = rev(&call["ExpressionAttributeValues"][":rev"]).expect("a rev");
        let item = &call["Item"];
        let there = self.items.get(&item_key(item));
        let there = there.and_then(|there| rev(&there["Rev"]));
        if there.is_some_and(|rev| rev > limit) {
            return Err("ConditionalCheckFailedException");
        }
        self.items.insert(item_key(item), item.clone());
        Ok(())
    }

    /// An update of a board's item, on a condition.
    fn update(&mut self, call: &Value) -> Result<(), &'static str> {
        let board = call["Key"]["Board"]["S"].as_str().expect("a board");
        let there = self.boards.get(board).cloned();
        let item = there.unwrap_or_else(|| json!({"Board": {"S": board}}));
        let item = expressions::update(call, item).ok_or("ConditionalCheckFailedException")?;
        self.boards.insert(board.to_owned(), item);
        Ok(())
    }

    /// SQS's own rule: 256 KiB.
    fn send(&mut self, call: &Call) -> (u16, Value) {
        let body = call.body["MessageBody"].as_str().expect("a message");
        assert!(
            body.len() <= 256 * 1024,
            "longer than SQS takes: {}",
            body.len()
        );
        let message = serde_json::from_str(body).expect("JSON");
        self.messages.push(message);
        (200, json!({"MessageId": "1"}))
    }
}

/// Does a call's work, but for its last `unprocessed` writes.
fn perform(
    mut call: Call,
    unprocessed: usize,
    request: &Request,
    backend: Option<String>,
    state: &Mutex<State>,
) -> io::Result<(u16, Value)> {
    if call.operation == "SendMessage" {
        return Ok(lock(state).send(&call));
    }
    if call.operation == "Publish" {
        return Ok((200, Value::Null));
    }
    if ["PutItem", "UpdateItem", "Scan"].contains(&call.operation.as_str()) {
        if let Some(url) = backend {
            return forward(&url, request, &call.body);
        }
        let mut state = lock(state);
        let done = match call.operation.as_str() {
            "PutItem" => state.put(&call.body),
            "UpdateItem" => state.update(&call.body),
            _ => {
                return Ok((
                    200,
                    json!({"Items": state.boards.values().collect::<Vec<_>>()}),
                ));
            }
        };
        return Ok(match done {
            Ok(()) => (200, json!({})),
            Err(code) => (400, json!({"__type": code})),
        });
    }
    let mut writes = call.writes();
    let mut tables = call.body["RequestItems"]
        .as_object()
        .expect("tables")
        .keys();
    let table = tables.next().expect("a table").clone();
    let left = writes.split_off(writes.len() - unprocessed.min(writes.len()));
    call.body["RequestItems"][&table] = writes.clone().into();
    let (status, mut answer) = match backend {
        _ if writes.is_empty() => (200, json!({"UnprocessedItems": {}})),
        Some(url) => forward(&url, request, &call.body)?,
        None => match lock(state).write(&writes) {
            Ok(()) => (200, json!({"UnprocessedItems": {}})),
            Err(code) => (400, json!({"__type": code})),
        },
    };
    if status == 200 && !left.is_empty() {
        answer["UnprocessedItems"][&table] = left.into();
    }
    Ok((status, answer))
}

fn forward(url: &str, request: &Request, body: &Value) -> io::Result<(u16, Value)> {
    let authority = url.strip_prefix("http://").expect("plain http");
    let mut stream = TcpStream::connect(authority.trim_end_matches('/'))?;
    let body = body.to_string();
    let mut head = format!("POST / HTTP/1.1\r\ncontent-length: {}\r\n", body.len());
    for name in [
        "host",
        "x-amz-target",
        "x-amz-date",
        "authorization",
        "content-type",
    ] {
        let value = request.header(name).expect("a signed request");
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    stream.write_all(format!("{head}\r\n{body}").as_bytes())?;
    let answer = Answer::read(&mut BufReader::new(&stream))?;
    Ok((answer.status, serde_json::from_slice(&answer.body)?))
}

/// The fields of a form.
fn form(body: &[u8]) -> Value {
    let text = String::from_utf8_lossy(body).replace('+', " ");
    let fields = text.split('&').filter_map(|field| field.split_once('='));
    let decode = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    fields
        .map(|(name, value)| (decode(name), Value::from(decode(value))))
        .collect()
}

fn key(write: &Value) -> Key {
    item_key(&write["PutRequest"]["Item"])
}

fn item_key(item: &Value) -> Key {
    let text = |name: &str| item[name]["S"].as_str().expect("a string").to_owned();
    (text("Username"), text("Id"))
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
