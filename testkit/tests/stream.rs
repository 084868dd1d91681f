//! The stream over TLS: what its shards refuse, and what it knows of each record.
#![cfg(feature = "services")]

use std::io::{BufReader, Write};
use std::net::TcpStream;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::{Value, json};
use testkit::http::Answer;
use testkit::shards::{Limits, hash};
use testkit::stream::{Settings, Stream};

struct Client(BufReader<StreamOwned<ClientConnection, TcpStream>>);

fn trusting(stream: &Stream) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(stream.authority().as_bytes()).unwrap())
        .unwrap();
    let config =
        ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
    let config = config.with_safe_default_protocol_versions().unwrap();
    Arc::new(config.with_root_certificates(roots).with_no_client_auth())
}

impl Client {
    fn connect(stream: &Stream, config: &Arc<ClientConfig>) -> Self {
        let tls = ClientConnection::new(config.clone(), "localhost".try_into().unwrap()).unwrap();
        let tcp = TcpStream::connect(stream.address()).unwrap();
        Self(BufReader::new(StreamOwned::new(tls, tcp)))
    }

    /// Makes a call: the answer's status and body.
    fn call(&mut self, operation: &str, body: &Value) -> (u16, Value) {
        let body = body.to_string();
        let head = format!(
            "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-amz-json-1.1\r\n\
             Authorization: AWS4-HMAC-SHA256 Credential=AKBOARD/20260101/eu-west-1/kinesis/aws4_request, Signature=0\r\n\
             X-Amz-Target: Kinesis_20131202.{operation}\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        self.0
            .get_mut()
            .write_all((head + &body).as_bytes())
            .unwrap();
        let answer = Answer::read(&mut self.0).unwrap();
        (answer.status, serde_json::from_slice(&answer.body).unwrap())
    }
}

/// A record with a key of the lower half of all hashes, or of the upper.
fn record(number: usize, upper: bool) -> Value {
    let mut keys = (0..).map(|more| format!("{number}-{more}"));
    let key = keys.find(|key| (hash(key) >> 127 == 1) == upper).unwrap();
    json!({"Data": STANDARD.encode(format!("post {number}")), "PartitionKey": key})
}

#[test]
fn a_shard_over_its_limit_refuses_and_the_others_do_not() {
    // Given two shards, of which the first takes two records at once
    let hot = Limits {
        records: 2.0,
        ..Limits::NONE
    };
    let stream = Stream::start(&Settings {
        shards: vec![hot, Limits::NONE],
        ..Settings::default()
    })
    .unwrap();
    let mut client = Client::connect(&stream, &trusting(&stream));
    // When five records come for each in one call
    let records: Vec<_> = (0..10).map(|n| record(n, n % 2 == 1)).collect();
    let (status, answer) = client.call(
        "PutRecords",
        &json!({"StreamName": "posts", "Records": records}),
    );
    // Then the first shard refuses three, by name, and the other none
    assert_eq!((status, &answer["FailedRecordCount"]), (200, &json!(3)));
    let code = |n: usize| answer["Records"][n]["ErrorCode"].as_str();
    assert_eq!((code(0), code(2)), (None, None));
    for n in [4, 6, 8] {
        assert_eq!(code(n), Some("ProvisionedThroughputExceededException"));
    }
    let counts = stream.counts();
    assert_eq!((counts.sent, counts.delivered, counts.refused), (10, 7, 3));
    assert_eq!((counts.shards[0].records, counts.shards[1].records), (2, 5));
    assert_eq!(counts.boards["AKBOARD"].records, 7);
    assert!(counts.body_bytes > 0);
}

#[test]
fn a_put_record_that_is_refused_is_an_error_of_the_whole_call() {
    let none = Limits {
        records: 0.0,
        ..Limits::NONE
    };
    let stream = Stream::start(&Settings {
        shards: vec![none],
        ..Settings::default()
    })
    .unwrap();
    let mut client = Client::connect(&stream, &trusting(&stream));
    let (status, answer) = client.call("PutRecord", &record(0, false));
    assert_eq!(status, 400);
    assert_eq!(answer["__type"], "ProvisionedThroughputExceededException");
    // And what cannot be read is another one, after which the connection goes on.
    assert_eq!(client.call("PutRecord", &json!({})).0, 400);
    assert_eq!(client.call("DescribeStream", &json!({})).0, 400);
    assert_eq!(stream.counts().sent, 1);
}

#[test]
fn what_is_sent_again_is_needless_once_the_sender_has_read_the_answer() {
    // Given a record whose sender was answered, and another one whose sender went away after the call
    let stream = Stream::start(&Settings {
        shards: vec![Limits::NONE],
        ..Settings::default()
    })
    .unwrap();
    let config = trusting(&stream);
    let mut client = Client::connect(&stream, &config);
    client.call("PutRecord", &record(0, false));
    client.call("PutRecord", &record(1, false));
    drop(client);
    // When both come again
    let mut client = Client::connect(&stream, &config);
    client.call("PutRecord", &record(0, false));
    client.call("PutRecord", &record(1, false));
    // Then both were accepted twice, but only the first needlessly: for all the server knows the second answer was lost
    let counts = stream.counts();
    assert_eq!((counts.delivered, counts.twice, counts.needless), (2, 2, 1));
}

#[test]
fn the_second_connection_resumes_and_costs_less() {
    let stream = Stream::start(&Settings::default()).unwrap();
    let config = trusting(&stream);
    for number in 0..2 {
        let mut client = Client::connect(&stream, &config);
        assert_eq!(client.call("PutRecord", &record(number, false)).0, 200);
    }
    let carried = stream.carried();
    assert_eq!(
        [false, true],
        [carried[0].resumed, carried[1].resumed],
        "{carried:?}"
    );
    let beside = |index: usize| carried[index].wire - carried[index].plain;
    assert!(
        beside(0) > 4_096 && beside(1) < beside(0) / 2,
        "{carried:?}"
    );
}
