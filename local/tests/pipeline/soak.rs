//! Everything goes wrong at once, for a while.

use std::env;
use std::fmt::Write;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use aws_credential_types::Credentials;
use local::ministack::MiniStack;
use local::tally::Sent;
use testkit::chaos::{Chaos, Faults};

use super::{Cloud, OnFailure, stop, wait_for};

/// How many posts travel; HEADWATER_SOAK_POSTS changes it.
const POSTS: usize = 20_000;

const THREE_YEARS: Duration = Duration::from_secs(3 * 365 * 24 * 60 * 60);

#[test]
fn a_network_and_a_cloud_that_misbehave_lose_nothing() {
    let posts = env::var("HEADWATER_SOAK_POSTS").map_or(POSTS, |posts| posts.parse().unwrap());

    // Given a cloud whose clock is three years ahead, so that to it the board's is behind, and a way there full of faults
    let cloud = Cloud::with(MiniStack::start_ahead(THREE_YEARS).unwrap());
    let stack = cloud.stack("soak");
    let chaos = Chaos::before(
        cloud.ministack.address(),
        Faults {
            record_fails: 0.10,
            call_fails: 0.05,
            cut_after_accepted: 0.05,
            cut_in_answer: 0.05,
            clock_ahead: THREE_YEARS,
            seed: 0x0dd_5eed,
        },
    )
    .unwrap();

    // And a board whose credentials stand in a file, which others rewrite
    let mut board = cloud.board(&stack, &chaos.endpoint());
    let credentials = board.card().join("credentials");
    let (first, second, third) = (
        key(&cloud, &stack),
        key(&cloud, &stack),
        key(&cloud, &stack),
    );
    write_credentials(&credentials, &first);
    board
        .unset("AWS_ACCESS_KEY_ID")
        .unset("AWS_SECRET_KEY")
        .set("AWS_SHARED_CREDENTIALS_FILE", &credentials);

    // When it reads its lines, no faster than its spool takes them, and its credentials end twice on the way: they expire, and they are deleted
    let input = board.card().join("input");
    let lines: Vec<_> = (0..posts)
        .map(|n| format!("post {n} 🍕 {}", "x".repeat(n % 400)))
        .collect();
    // The last of them come once the credentials are deleted: until then the board may have delivered all it had.
    let (most, last) = lines.split_at(posts * 3 / 4);
    fs::write(&input, most.join("\n") + "\n").unwrap();
    board
        .argument("--source")
        .argument("lines")
        .argument("--when-full")
        .argument("block")
        .argument("--input")
        .argument(&input);
    let producer = board.start(&[]).unwrap();
    let report = OnFailure(|| {
        let said = producer.said().join("\n");
        let stored = cloud.aws.count_items(&stack.table).unwrap();
        format!(
            "{stored} stored\n{:#?}\n{:#?}\n{said}\n{}",
            chaos.counts(),
            board.metrics(),
            cloud.ministack.log()
        )
    });
    cloud.await_items(&stack, posts / 3);
    chaos.expire(first.access_key_id());
    wait_for("call with expired credentials", || {
        chaos.counts().expired > 0
    });
    write_credentials(&credentials, &second);
    cloud.await_items(&stack, posts * 2 / 3);
    let refused = chaos.counts().refused;
    cloud
        .aws
        .delete_access_key(&stack.producer, second.access_key_id())
        .unwrap();
    let mut file = OpenOptions::new().append(true).open(&input).unwrap();
    file.write_all((last.join("\n") + "\n").as_bytes()).unwrap();
    wait_for("call with deleted credentials", || {
        chaos.counts().refused > refused
    });
    write_credentials(&credentials, &third);

    // Then every post is stored once
    cloud.await_items(&stack, posts);
    wait_for("empty spool", || {
        board.metrics()["headwater_spool_waiting_records"] == 0
    });
    drop(report);
    let said = producer.said().join("\n");
    stop(producer);
    let sent: Vec<_> = lines.iter().map(|line| Sent::from(line.as_str())).collect();
    let tally = cloud.tally(&stack, &sent);
    let (counts, metrics) = (chaos.counts(), board.metrics());
    println!("{tally}\n{counts:#?}\n{metrics:#?}");
    assert_eq!((tally.stored, tally.lost), (posts, 0), "{said}");
    assert!(tally.oddities.is_empty(), "{:?}", tally.oddities);

    // And the counters add up: the stream has those copies alone whose acknowledgement was kept from the producer
    assert_eq!(tally.twice as u64, counts.copies_caused);
    assert_eq!(metrics["headwater_read_total"], posts as u64);
    assert_eq!(metrics["headwater_delivered_total"], posts as u64);
    assert_eq!(metrics["headwater_impossible_total"], 0);
    assert_eq!(metrics["headwater_spool_dropped_total"], 0);
}

fn key(cloud: &Cloud, stack: &local::deploy::Stack) -> Credentials {
    stack.producer_key(&cloud.aws).unwrap()
}

/// The whole file at once, as careful programs do.
fn write_credentials(path: &Path, key: &Credentials) {
    let mut text = String::from("[default]\n");
    writeln!(text, "aws_access_key_id = {}", key.access_key_id()).unwrap();
    writeln!(text, "aws_secret_access_key = {}", key.secret_access_key()).unwrap();
    let new = path.with_extension("new");
    fs::write(&new, text).unwrap();
    fs::rename(new, path).unwrap();
}
