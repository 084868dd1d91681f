//! Packs over real sockets: what arrives, what stays, and what is sent again when only some packs arrive.

mod support;

use std::collections::BTreeSet;
use std::io::Write;
use std::ops::ControlFlow;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use support::delivery::{Delivery, texts};

use headwater::aws::kinesis::wire::Wire;
use headwater::platform::time::{Clock, TestClock};
use headwater::uplink::flow;
use headwater::uplink::lanes::{CELLS, cell_of};
use testkit::kinesis::{Kinesis, Put, Reply};

fn packed(records: impl IntoIterator<Item = String>) -> Delivery {
    Delivery {
        flow: flow::Options {
            pack: true,
            ..flow::Options::default()
        },
        ..Delivery::of(records)
    }
}

/// Posts of a kilobyte each, of which most is not to be compressed: packs of 64 KiB hold 63 of them.
fn long_texts(range: std::ops::Range<usize>) -> Vec<String> {
    let mut random = 1_u64;
    range
        .map(|number| {
            let mut text = format!("{number:05} ");
            while text.len() < 1030 {
                random = random
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                text.push(char::from(b'!' + (random >> 33) as u8 % 90));
            }
            text
        })
        .collect()
}

fn sorted(mut texts: Vec<String>) -> Vec<String> {
    texts.sort();
    texts
}

#[test]
fn every_post_goes_in_a_pack_in_either_way_of_writing() {
    for wire in [Wire::Json, Wire::Cbor] {
        for posts in [texts(0..1), texts(0..3000), long_texts(0..700)] {
            // Given one post, and many
            let server = Kinesis::scripted([]);
            let mut delivery = packed(posts.clone());
            delivery.flow.wire = wire;
            // When they are delivered in packs
            delivery.deliver_to(&server);
            // Then they arrive in order, all of them in packs of at most 64 KiB, with the key of their first post
            assert_eq!(server.data(), posts);
            for put in server.taken() {
                assert!(put.pack.is_some() && put.data.len() <= 64 << 10);
                assert!(put.data.starts_with(&put.key));
            }
            assert_eq!(delivery.waiting(), 0);
            assert_eq!(delivery.counters.delivered.get(), posts.len() as u64);
        }
    }
}

#[test]
fn zstd_prints_the_posts_of_all_packs_byte_for_byte() {
    // Given posts that arrived in packs
    let posts = [
        texts(0..700),
        long_texts(0..200),
        vec![texts(0..1)[0].repeat(9000)],
    ]
    .concat();
    let server = Kinesis::scripted([]);
    packed(posts.clone()).deliver_to(&server);
    let frames = server.taken().into_iter().filter_map(|put| put.pack);
    let frames: Vec<_> = frames.collect();
    assert!(frames.len() > 3, "{}", frames.len());
    // When they are written to a file, one after the other, and given to the real tool
    let tool = Command::new("zstd")
        .args(["-d", "-c"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let Ok(mut tool) = tool else {
        return eprintln!("no zstd is installed");
    };
    let mut input = tool.stdin.take().unwrap();
    let writer = std::thread::spawn(move || input.write_all(&frames.concat()).unwrap());
    let output = tool.wait_with_output().unwrap();
    writer.join().unwrap();
    // Then it prints them, one a line
    let expected: String = posts.iter().map(|post| format!("{post}\n")).collect();
    assert!(output.status.success() && output.stdout == expected.as_bytes());
}

#[test]
fn only_the_posts_of_packs_that_failed_are_sent_again() {
    for code in ["InternalFailure", "ProvisionedThroughputExceededException"] {
        // Given calls of several packs, in which every second one fails
        let server = Kinesis::start(move |number, _| match number {
            ..6 => Reply::AcceptSome(|index| index % 2 == 1, code),
            _ => Reply::Accept,
        });
        let delivery = packed(long_texts(0..900));
        // When all is delivered
        delivery.deliver_to(&server);
        // Then every post arrives, and none twice
        assert_eq!(sorted(server.data()), long_texts(0..900), "{code}");
        let calls = server.calls();
        let sent: usize = calls
            .iter()
            .flat_map(|call| &call.puts)
            .map(|put| put.posts().len())
            .sum();
        let counters = &delivery.counters;
        assert!(sent > 900 && server.taken().iter().all(|put| put.pack.is_some()));
        assert_eq!(counters.retried.get(), sent as u64 - 900, "{code}");
        assert_eq!((counters.delivered.get(), delivery.waiting()), (900, 0));
    }
}

#[test]
fn a_restart_in_between_sends_the_posts_of_no_accepted_pack_again() {
    // Given a program that ends while only some packs are accepted
    let server = Kinesis::start(|number, _| match number {
        ..3 => Reply::AcceptSome(|index| index % 2 == 0, "InternalFailure"),
        3..20 => Reply::error(500, "InternalFailure"),
        _ => Reply::Accept,
    });
    let clock = TestClock::at(SystemTime::now()).ending_after(Duration::from_millis(900));
    let delivery = Delivery {
        clock: Arc::new(clock),
        ..packed(long_texts(0..600))
    };
    delivery.deliver_to(&server);
    let before = sorted(server.data());
    assert!(!before.is_empty() && before.len() < 600, "{}", before.len());
    // When what waits is delivered by another
    let mut waiting = Vec::new();
    delivery.spool.peek_from(0, |_, record| {
        waiting.push(String::from_utf8(record.data.to_vec()).unwrap());
        ControlFlow::Continue(())
    });
    let delivery = Delivery {
        clock: Arc::new(TestClock::at(SystemTime::now())),
        ..delivery
    };
    delivery.deliver_to(&server);
    // Then what waited is what had not arrived, and it arrives once
    assert_eq!(sorted([before, waiting].concat()), long_texts(0..600));
    assert_eq!(sorted(server.data()), long_texts(0..600));
}

#[test]
fn the_posts_of_a_call_that_broke_are_counted_as_sent_again_and_packs_become_smaller() {
    // Given a server that takes nothing larger than two kilobytes, and cuts the connection instead
    let server =
        Kinesis::start(
            |_, call| match call.puts.iter().any(|put| put.data.len() > 2500) {
                true => Reply::AcceptAndCut,
                false => Reply::Accept,
            },
        );
    let delivery = packed(long_texts(0..40));
    // When posts are delivered
    delivery.deliver_to(&server);
    // Then packs get smaller until they pass
    let arrived: BTreeSet<_> = server.data().into_iter().collect();
    assert_eq!(arrived.into_iter().collect::<Vec<_>>(), long_texts(0..40));
    let counters = &delivery.counters;
    let twice = server.data().len() as u64 - 40;
    assert!(
        twice > 0 && counters.sent_again.get() == twice,
        "{twice} {}",
        counters.sent_again.get()
    );
    assert_eq!((counters.delivered.get(), delivery.waiting()), (40, 0));
}

#[test]
fn one_poison_post_of_a_pack_is_found_and_set_aside_alone_as_it_was() {
    let is_poison = |put: &Put| put.data.contains("00321");
    // Given a post that Kinesis refuses whatever it stands with
    let server = Kinesis::start(move |_, call| match call.puts.iter().any(is_poison) {
        true => Reply::error(400, "ValidationException"),
        false => Reply::Accept,
    });
    let delivery = packed(texts(0..1000));
    // When all is delivered
    delivery.deliver_to(&server);
    // Then all others arrive, and it stands in the dead-letter file as it was, not packed
    let good: Vec<_> = texts(0..1000)
        .into_iter()
        .filter(|text| !text.starts_with("00321"))
        .collect();
    assert_eq!(sorted(server.data()), good);
    let dead = std::fs::read_to_string(delivery.folder.path().join("dead")).unwrap();
    let line: serde_json::Value = serde_json::from_str(&dead).unwrap();
    let data = base64::Engine::decode(
        &base64::engine::general_purpose::STANDARD,
        line["Data"].as_str().unwrap(),
    );
    assert_eq!(
        String::from_utf8(data.unwrap()).unwrap(),
        texts(321..322)[0]
    );
    assert_eq!(delivery.counters.impossible.get(), 1);
}

#[test]
fn what_refuses_every_pack_lets_go_of_none() {
    for (status, body) in [
        (413, "<html>Too Large</html>"),
        (400, r#"{"__type":"ValidationException"}"#),
    ] {
        let refused = AtomicU64::new(0);
        let server = Kinesis::start(move |_, _| match refused.fetch_add(1, Ordering::SeqCst) {
            0..80 => Reply::Answer(status, body.into()),
            _ => Reply::Accept,
        });
        let delivery = packed(texts(0..200));
        delivery.deliver_to(&server);
        assert_eq!(sorted(server.data()), texts(0..200), "{body}");
        assert_eq!(delivery.counters.impossible.get(), 0, "{body}");
    }
}

#[test]
fn while_a_shard_is_throttled_packs_wait_for_it_full_and_none_is_lost_or_twice() {
    // Given a stream of two shards, the first of which takes no pack for a while, then one in three
    const THROTTLED: &str = "ProvisionedThroughputExceededException";
    let is_first = |text: &str| cell_of(&text[..1]) < CELLS / 2;
    let offered = AtomicU64::new(0);
    let server = Kinesis::start(move |_, call| {
        let takes = |put: &Put| {
            !is_first(&put.key) || {
                let offered = offered.fetch_add(1, Ordering::SeqCst);
                offered > 8 && offered.is_multiple_of(3)
            }
        };
        let which: Vec<_> = call.puts.iter().map(takes).collect();
        match which[..] {
            [false] => Reply::error(400, THROTTLED),
            _ => Reply::AcceptThese(which, THROTTLED),
        }
    });
    // A key of each shard.
    let key_of = |first: bool| {
        ('a'..='z')
            .map(String::from)
            .find(|key| is_first(key) == first)
    };
    let keys = [true, false].map(|first| key_of(first).unwrap());
    let posts: Vec<_> = long_texts(0..2000)
        .iter()
        .enumerate()
        .map(|(index, text)| format!("{}{text}", keys[index % 2]))
        .collect();
    let delivery = packed(posts.clone());
    // When posts of both are delivered
    delivery.deliver_to(&server);
    // Then each arrives once
    assert_eq!(sorted(server.data()), sorted(posts));
    assert_eq!(delivery.waiting(), 0);
    assert!(delivery.counters.throttled.get() > 0);
    // And the packs stay packs, also of what waits for its turn
    let calls = server.calls();
    let packs: Vec<_> = calls.iter().flat_map(|call| &call.puts).collect();
    let posts: usize = packs.iter().map(|put| put.posts().len()).sum();
    assert!(
        posts / packs.len() > 10,
        "{posts} posts in {} packs",
        packs.len()
    );
}

#[test]
fn json_takes_over_for_packs_that_were_written_in_cbor() {
    let server = Kinesis::start(|_, call| match call.is_cbor {
        true => Reply::Answer(415, String::new()),
        false => Reply::Accept,
    });
    let mut delivery = packed(texts(0..300));
    delivery.flow.wire = Wire::Cbor;
    delivery.deliver_to(&server);
    assert_eq!(server.data(), texts(0..300));
    assert_eq!(server.calls().iter().filter(|call| call.is_cbor).count(), 1);
    assert_eq!(delivery.clock.elapsed(), Duration::ZERO);
}
