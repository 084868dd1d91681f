//! Other implementations of Kinesis, so that the producer does not fit one of them alone. `local/second-opinions.sh` installs and
//! starts them, and names each in KINESIS_ENDPOINT.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::SocketAddr;
use std::time::Duration;

use aws_credential_types::Credentials;
use local::aws::{Aws, REGION};
use local::binaries::Binaries;
use local::producer;
use serde_json::{Value, json};
use testkit::chaos::{Chaos, Faults};

const PATIENCE: Duration = Duration::from_secs(60);

/// The Kinesis under test, and a stream in it.
struct Kinesis {
    aws: Aws,
    address: SocketAddr,
    stream: &'static str,
}

impl Kinesis {
    /// A new stream of one shard, in which all is in order.
    fn with_stream(stream: &'static str) -> Self {
        let endpoint = std::env::var("KINESIS_ENDPOINT")
            .expect("KINESIS_ENDPOINT, such as http://127.0.0.1:4567");
        let address = endpoint.trim_start_matches("http://").parse().unwrap();
        let aws = Aws::root(&endpoint);
        aws.kinesis(
            "CreateStream",
            &json!({"StreamName": stream, "ShardCount": 1}),
        )
        .unwrap();
        let kinesis = Self {
            aws,
            address,
            stream,
        };
        let deadline = std::time::Instant::now() + PATIENCE;
        while kinesis.status() != "ACTIVE" {
            assert!(
                std::time::Instant::now() < deadline,
                "{stream} never became active"
            );
            std::thread::sleep(Duration::from_millis(50));
        }
        kinesis
    }

    fn status(&self) -> String {
        let described = self
            .aws
            .kinesis("DescribeStream", &json!({"StreamName": self.stream}))
            .unwrap();
        described["StreamDescription"]["StreamStatus"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    /// The texts of all lines in the stream, in its order.
    fn lines(&self) -> Vec<String> {
        let posts = self.aws.all_posts(self.stream).unwrap();
        let line = |post: &Vec<u8>| {
            let envelope: Value = serde_json::from_slice(post).unwrap();
            envelope["line"].as_str().unwrap().to_owned()
        };
        posts.iter().map(line).collect()
    }

    /// Runs `headwater --source lines` over `lines` to its end, by way of `endpoint`.
    fn carry(&self, endpoint: &str, lines: &[String], arguments: &[&str]) -> BTreeMap<String, u64> {
        let key = Credentials::new("test", "test", None, None, "test");
        let mut board = producer::board(&[Binaries::build().unwrap().headwater.into()]).unwrap();
        board
            .set("AWS_STREAM_NAME", self.stream)
            .set("AWS_REGION", REGION)
            .set("AWS_ENDPOINT_URL_KINESIS", endpoint)
            .set("AWS_ACCESS_KEY_ID", key.access_key_id())
            .set("AWS_SECRET_KEY", key.secret_access_key())
            .argument("--source")
            .argument("lines");
        for argument in arguments {
            board.argument(*argument);
        }
        let mut producer = board.start(&[]).unwrap();
        let mut input = producer.input().unwrap();
        input
            .write_all((lines.join("\n") + "\n").as_bytes())
            .unwrap();
        drop(input);
        let ended = producer.wait(PATIENCE).unwrap();
        assert!(
            ended.is_some_and(|status| status.success()),
            "{ended:?}: {}",
            producer.said().join("\n")
        );
        board.metrics()
    }
}

fn numbered(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("line {n} 🍕")).collect()
}

#[test]
#[ignore = "needs another Kinesis: local/second-opinions.sh starts them"]
fn records_that_fail_go_again_and_no_other() {
    // Given a stream on the other side of a network in which one record of ten fails
    let kinesis = Kinesis::with_stream("partial");
    let faults = Faults {
        record_fails: 0.10,
        call_fails: 0.05,
        cut_after_accepted: 0.0,
        cut_in_answer: 0.0,
        clock_ahead: Duration::ZERO,
        seed: 7,
    };
    let chaos = Chaos::before(kinesis.address, faults).unwrap();
    let lines = numbered(3000);

    // When lines are carried to their end
    let metrics = kinesis.carry(&chaos.endpoint(), &lines, &[]);

    // Then each is in the stream, and the copies are those of records that were said to fail
    let mut copies = BTreeMap::new();
    for line in kinesis.lines() {
        *copies.entry(line).or_insert(0) += 1;
    }
    assert!(lines.iter().all(|line| copies.contains_key(line)));
    assert_eq!(copies.len(), lines.len());
    let extra: u64 = copies.values().map(|copies| copies - 1).sum();
    println!(
        "{} lines, {extra} copies, {:#?}",
        lines.len(),
        chaos.counts()
    );
    assert_eq!(extra, chaos.counts().copies_caused);
    assert_eq!(metrics["headwater_delivered_total"], lines.len() as u64);
}

#[test]
#[ignore = "needs another Kinesis: local/second-opinions.sh starts them"]
fn strict_order_is_kept() {
    let kinesis = Kinesis::with_stream("ordered");
    let endpoint = format!("http://{}", kinesis.address);
    let lines = numbered(300);
    kinesis.carry(
        &endpoint,
        &lines,
        &["--ordered", "--partition-key", "/none"],
    );
    assert_eq!(kinesis.lines(), lines);
}

#[test]
#[ignore = "needs another Kinesis: local/second-opinions.sh starts them"]
fn lines_in_cbor_arrive_once_whether_the_server_knows_it_or_not() {
    // Given a stream, and lines of which one comes alone
    let kinesis = Kinesis::with_stream("cbor");
    let endpoint = format!("http://{}", kinesis.address);
    let lines = numbered(1200);

    // When they are carried in CBOR
    let (first, rest) = lines.split_at(1);
    for lines in [first, rest] {
        let metrics = kinesis.carry(&endpoint, lines, &["--wire", "cbor"]);
        assert_eq!(metrics["headwater_delivered_total"], lines.len() as u64);
    }

    // Then the stream has each once, byte for byte
    assert_eq!(kinesis.lines(), lines);
}
