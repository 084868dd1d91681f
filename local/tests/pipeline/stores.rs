//! The cloud side alone: what is in the stream becomes the table, whatever the order, the repeats, the garbage, and a table that takes
//! nothing for a while.

use std::collections::BTreeMap;
use std::io::BufReader;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use testkit::chaos::forward;
use testkit::http::{Answer, Request};
use testkit::server::Server;

use super::{Cloud, wait_for};

const POSTS: usize = 8000;
const REPEATS: usize = 1900;
const GARBAGE: usize = 100;

/// DynamoDB, which says for a while that too much is asked of it.
struct Throttle {
    server: Server,
    throttles: Arc<AtomicBool>,
    refused: Arc<AtomicU64>,
}

impl Throttle {
    fn before(dynamodb: std::net::SocketAddr) -> Self {
        let (throttles, refused) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicU64::new(0)));
        let (now, count) = (throttles.clone(), refused.clone());
        let server = Server::start(move |client| {
            let mut requests = BufReader::new(&client);
            let mut upstream = BufReader::new(TcpStream::connect(dynamodb).unwrap());
            while let Ok(Some(request)) = Request::read(&mut requests) {
                let answer = if now.load(Ordering::SeqCst) {
                    count.fetch_add(1, Ordering::SeqCst);
                    let code =
                        "com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException";
                    Answer::json(
                        400,
                        &json!({ "__type": code, "message": "as the test says" }),
                    )
                } else {
                    forward(&request, &mut upstream).unwrap()
                };
                if answer.write(&mut &client).is_err() {
                    return;
                }
            }
        });
        Self {
            server: server.unwrap(),
            throttles,
            refused,
        }
    }
}

/// A post of X: one of 50 authors, unlike any other.
fn post(n: usize) -> Value {
    json!({
        "data": { "id": (1_000_000 + n).to_string(), "author_id": "1", "text": format!("post {n} 🍕"), "lang": "en",
                  "created_at": "2026-01-15T10:35:00.000Z" },
        "includes": { "users": [{ "id": "1", "username": format!("user{}", n % 50), "name": "A user" }] },
        "matching_rules": [{ "id": "1", "tag": "headwater:pizza" }],
    })
}

/// The order of things drawn by lot, the same each time.
fn shuffle<T>(things: &mut [T]) {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for last in (1..things.len()).rev() {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        things.swap(last, (state % (last as u64 + 1)) as usize);
    }
}

#[test]
fn the_table_equals_the_stream_whatever_its_order_and_a_throttled_table_loses_nothing() {
    // Given a table that takes nothing yet
    let cloud = Cloud::shared();
    let stack = cloud.stack("stores");
    let function = cloud.aws.describe_stack("stores").unwrap().outputs["FunctionName"].clone();
    let throttle = Throttle::before(cloud.ministack.address());
    let endpoint = format!("http://{}", throttle.server.address());
    cloud
        .aws
        .set_variable(&function, "AWS_ENDPOINT_URL_DYNAMODB", &endpoint)
        .unwrap();

    // When posts, repeats of posts and garbage come in mixed order
    let mut records: Vec<_> = (0..POSTS)
        .chain((0..REPEATS).map(|n| n * 4))
        .map(|n| post(n).to_string())
        .collect();
    records.extend((0..GARBAGE).map(|n| format!("garbage {n}")));
    shuffle(&mut records);
    for batch in records.chunks(500) {
        let entry = |(n, data): (usize, &String)| json!({ "PartitionKey": n.to_string(), "Data": BASE64_STANDARD.encode(data) });
        let entries: Vec<_> = batch.iter().enumerate().map(entry).collect();
        let put = json!({ "StreamName": stack.stream, "Records": entries });
        assert_eq!(
            cloud.aws.kinesis("PutRecords", &put).unwrap()["FailedRecordCount"],
            0
        );
    }

    // And the table is throttled until a batch was given up at least once, then restored
    wait_for("throttled calls", || {
        throttle.refused.load(Ordering::SeqCst) > 20
    });
    assert_eq!(cloud.aws.count_items(&stack.table).unwrap(), 0);
    throttle.throttles.store(false, Ordering::SeqCst);

    // Then the table is what the posts say, each once
    cloud.await_items(&stack, POSTS);
    let items = cloud.aws.all_items(&stack.table).unwrap();
    assert_eq!(items.len(), POSTS);
    let stored: BTreeMap<_, _> = items
        .iter()
        .map(|item| (item["Id"]["S"].as_str().unwrap(), item))
        .collect();
    for n in 0..POSTS {
        let item = stored[(1_000_000 + n).to_string().as_str()];
        let expected = [
            ("Username", format!("user{}", n % 50)),
            ("Message", format!("post {n} 🍕")),
            ("Timestamp", "2026-01-15T10:35:00.000Z".to_owned()),
            ("Keyword", "pizza".to_owned()),
            ("Lang", "en".to_owned()),
            ("Source", "x".to_owned()),
        ];
        for (name, value) in expected {
            assert_eq!(item[name]["S"], value, "{name} of {n}");
        }
    }

    // And the queue holds the garbage, each once
    let queue = cloud.aws.describe_stack("stores").unwrap().outputs["FailureQueueUrl"].clone();
    let mut garbage = Vec::new();
    wait_for("garbage in the queue", || {
        let receive = json!({ "QueueUrl": queue, "MaxNumberOfMessages": 10 });
        let received = cloud.aws.sqs("ReceiveMessage", &receive).unwrap();
        for message in received["Messages"].as_array().into_iter().flatten() {
            let body: Value = serde_json::from_str(message["Body"].as_str().unwrap()).unwrap();
            let data = BASE64_STANDARD
                .decode(body["data"].as_str().unwrap())
                .unwrap();
            garbage.push(String::from_utf8(data).unwrap());
            let delete = json!({ "QueueUrl": queue, "ReceiptHandle": message["ReceiptHandle"] });
            cloud.aws.sqs("DeleteMessage", &delete).unwrap();
        }
        garbage.len() >= GARBAGE
    });
    garbage.sort();
    let mut expected: Vec<_> = (0..GARBAGE).map(|n| format!("garbage {n}")).collect();
    expected.sort();
    assert_eq!(garbage, expected);
}
