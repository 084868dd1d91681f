//! What a source sends is in the table, byte for byte.

use std::collections::BTreeSet;
use std::io::Write;
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use local::tally::Sent;
use serde_json::{Value, json};
use testkit::jetstream::{self, Jetstream, record_key};
use testkit::network::Network;
use testkit::posts::{self, Post, SHORT_POST_CHARS};
use testkit::x_api::{self, Event, XApi};

use super::{Cloud, stop, wait_for};

fn posts(keyword: &str, count: usize) -> Vec<Post> {
    let every = Duration::from_millis(50);
    posts::about(keyword, SystemTime::now(), every)
        .take(count)
        .collect()
}

#[test]
fn every_text_of_x_is_stored_byte_for_byte() {
    // Given an X API that splits every character of more than three bytes, and posts in many languages, long ones among them
    let cloud = Cloud::shared();
    let stack = cloud.stack("carries-x");
    let api = XApi::start(x_api::Settings {
        write_bytes: 3,
        ..Default::default()
    })
    .unwrap();
    let posts = posts("mozzarella", 120);
    assert!(
        posts
            .iter()
            .any(|post| post.text.chars().count() > SHORT_POST_CHARS)
    );
    assert!(posts.iter().any(|post| post.text.contains("👨‍👩‍👧‍👦")));
    api.play(posts.into_iter().map(Event::Post));

    // When headwater reads them
    let mut board = cloud.board(&stack, &cloud.ministack.endpoint());
    board.reads_x(&api.url()).argument("mozzarella");
    let producer = board.start(&[]).unwrap();
    let sent = || api.sent().iter().map(Sent::from).collect::<Vec<_>>();
    wait_for("120 posts", || api.sent_count() == 120);

    // Then each text in the table is the one that was written, and each post is there once
    let tally = cloud.tally(&stack, &sent());
    assert!(tally.adds_up(), "{tally:?}");
    assert_eq!(tally.to_string(), "read 120, stored 120, lost 0, twice 0");
    stop(producer);
}

#[test]
fn duplicates_disorder_disconnects_and_new_kinds_of_message_change_nothing() {
    // Given an X API in its worst mood, with the field names of the future
    let cloud = Cloud::shared();
    let stack = cloud.stack("carries-trouble");
    let api = XApi::start(x_api::Settings {
        renamed: true,
        ..Default::default()
    })
    .unwrap();
    let mut script: Vec<_> = posts("mozzarella", 60)
        .into_iter()
        .map(Event::Post)
        .collect();
    script.swap(3, 9);
    script.insert(10, script[2].clone());
    script.insert(20, Event::Line(r#"{"surprise":{"id":7}}"#.to_owned()));
    script.insert(30, Event::CutHalfway);
    script.insert(40, Event::OperationalDisconnect);
    api.play(script);

    // When headwater reads them
    let mut board = cloud.board(&stack, &cloud.ministack.endpoint());
    board.reads_x(&api.url()).argument("mozzarella");
    let producer = board.start(&[]).unwrap();
    wait_for("61 posts", || api.sent_count() == 61);

    // Then every post is there once
    let sent: Vec<_> = api.sent().iter().map(Sent::from).collect();
    let tally = cloud.tally(&stack, &sent);
    assert!(tally.adds_up(), "{tally:?}");
    stop(producer);
}

#[test]
fn an_outage_delays_posts_and_loses_none() {
    // Given a network that was cut after the first posts
    let cloud = Cloud::shared();
    let stack = cloud.stack("carries-outage");
    let network = Network::to(cloud.ministack.address()).unwrap();
    let api = XApi::start(x_api::Settings::default()).unwrap();
    let mut posts = posts("mozzarella", 200).into_iter().map(Event::Post);
    api.play(posts.by_ref().take(50));
    let mut board = cloud.board(&stack, &format!("http://{}", network.address()));
    board.reads_x(&api.url()).argument("mozzarella");
    let producer = board.start(&[]).unwrap();
    cloud.await_items(&stack, 50);
    network.cut();

    // When posts go on meanwhile, and the network comes back
    api.play(posts);
    let waiting = || {
        board
            .metrics()
            .get("headwater_spool_waiting_records")
            .copied()
    };
    wait_for("150 posts in the spool", || waiting() == Some(150));
    network.restore().unwrap();

    // Then all are there once
    let sent: Vec<_> = api.sent().iter().map(Sent::from).collect();
    let tally = cloud.tally(&stack, &sent);
    assert_eq!(tally.to_string(), "read 200, stored 200, lost 0, twice 0");
    assert!(tally.adds_up(), "{tally:?}");
    stop(producer);
}

#[test]
fn lines_that_end_end_the_run_with_all_sent() {
    // Given lines on standard input, and an end
    let cloud = Cloud::shared();
    let stack = cloud.stack("carries-lines");
    let mut board = cloud.board(&stack, &cloud.ministack.endpoint());
    board.argument("--source").argument("lines");
    let mut producer = board.start(&[]).unwrap();
    let lines: Vec<_> = (0..1000)
        .map(|n| format!("reading {n}: 21.{n} °C ☀️"))
        .collect();
    let mut input = producer.input().unwrap();
    input
        .write_all((lines.join("\n") + "\n").as_bytes())
        .unwrap();

    // When they end
    drop(input);

    // Then the program ends by itself, and everything is stored once
    let status = producer.wait(super::PATIENCE).unwrap();
    assert!(
        status.is_some_and(|status| status.success()),
        "{:?}",
        producer.said()
    );
    let sent: Vec<_> = lines.iter().map(|line| Sent::from(line.as_str())).collect();
    let tally = cloud.tally(&stack, &sent);
    assert!(tally.adds_up(), "{tally:?}");
}

#[test]
fn disconnects_of_jetstream_lose_nothing_and_what_is_replayed_is_one_row() {
    // Given a Jetstream of 5,000 posts, every tenth about the keyword, with 20 disconnects
    let cloud = Cloud::shared();
    let stack = cloud.stack("carries-jetstream");
    let server = Jetstream::start(jetstream::Settings {
        pace: Duration::from_micros(500),
        ..Default::default()
    })
    .unwrap();
    let mut wanted = posts("mozzarella", 500).into_iter();
    let mut other = posts::about("quattro", SystemTime::UNIX_EPOCH, Duration::from_secs(1));
    let mut ids = BTreeSet::new();
    let script = (0..5000).flat_map(|n| {
        let post = if n % 10 == 0 {
            wanted.next()
        } else {
            other.next()
        }
        .unwrap();
        if n % 10 == 0 {
            ids.insert(post.id);
        }
        let disconnect = (n % 250 == 249).then_some(jetstream::Event::Disconnect);
        [Some(jetstream::Event::Post(post)), disconnect]
            .into_iter()
            .flatten()
    });
    server.play(script.collect::<Vec<_>>());

    // When headwater reads it
    let mut board = cloud.board(&stack, &cloud.ministack.endpoint());
    board
        .set("JETSTREAM_URL", server.url())
        .argument("--source")
        .argument("jetstream")
        .argument("mozzarella");
    let producer = board.start(&[]).unwrap();
    cloud.await_items(&stack, 500);

    // Then each is stored, and nothing else
    stop(producer);
    let sent: Vec<_> = server
        .sent()
        .into_iter()
        .filter(|post| ids.contains(&post.id))
        .map(|post| Sent {
            id: record_key(&post),
            text: post.text,
        })
        .collect();
    let tally = cloud.tally(&stack, &sent);
    assert_eq!(
        (tally.read, tally.stored, tally.lost, tally.twice),
        (500, 500, 0, 0),
        "{tally:?}"
    );
    assert!(tally.oddities.is_empty(), "{tally:?}");
    println!(
        "5,000 events, {} connections, {} posts about the keyword sent, {tally}",
        server.cursors().len(),
        sent.len()
    );
}

#[test]
fn a_record_nobody_can_read_is_set_aside_with_its_reason_and_blocks_nothing() {
    // Given a stream that somebody put nonsense to
    let cloud = Cloud::shared();
    let stack = cloud.stack("carries-nonsense");
    let nonsense = json!({ "StreamName": stack.stream, "PartitionKey": "k", "Data": BASE64_STANDARD.encode("%!?") });
    cloud.aws.kinesis("PutRecord", &nonsense).unwrap();

    // When a line follows it
    let mut board = cloud.board(&stack, &cloud.ministack.endpoint());
    board.argument("--source").argument("lines");
    let mut producer = board.start(&[]).unwrap();
    let mut input = producer.input().unwrap();
    input.write_all(b"sense\n").unwrap();
    drop(input);

    // Then the line is stored, and the nonsense waits in the queue with its reason
    cloud.await_items(&stack, 1);
    let receive = json!({ "QueueUrl": stack.failure_queue, "WaitTimeSeconds": 5 });
    let received = cloud.aws.sqs("ReceiveMessage", &receive).unwrap();
    let message = received["Messages"][0]["Body"].as_str().unwrap();
    let message: Value = serde_json::from_str(message).unwrap();
    assert_eq!(message["data"], BASE64_STANDARD.encode("%!?"));
    assert!(
        message["reason"].as_str().unwrap().contains("JSON"),
        "{message}"
    );
}
