//! Posts in packs and plain posts, mixed in one stream, make the table that plain ones make.

use std::env;
use std::time::{Duration, SystemTime};

use local::deploy::Stack;
use local::tally::{Sent, Tally};
use serde_json::Value;
use testkit::pack;
use testkit::posts::{self, Post};
use testkit::x_api::{Event, Settings, XApi};

use super::{Cloud, stop, wait_for};

/// How many posts travel; HEADWATER_PACKED_POSTS changes it.
const POSTS: usize = 500;

/// The arguments of two boards that read one part of the posts each.
type Boards = [&'static [&'static str]; 2];

#[test]
fn packed_and_plain_posts_mixed_give_the_table_of_plain_ones() {
    let count = env::var("HEADWATER_PACKED_POSTS").map_or(POSTS, |posts| posts.parse().unwrap());
    // Written in the past: a post of the future would be stored with the time it was received.
    let yesterday = SystemTime::now() - Duration::from_secs(24 * 60 * 60);
    let written = posts::about("mozzarella", yesterday, Duration::from_millis(50));
    let written: Vec<_> = written.take(count).collect();
    let cloud = Cloud::shared();

    // Given a table of posts that came one in a record
    let plain = cloud.stack("packs-plain");
    let reference = carried(cloud, &plain, &written, [&[], &[]]);
    let records = cloud.aws.all_records(&plain.stream).unwrap();
    assert!(!records.iter().any(|record| pack::is_pack(record)));

    // When the same come from one board in packs, and from another, which has a fifth of them too, without
    let mixed = cloud.stack("packs-mixed");
    let table = carried(
        cloud,
        &mixed,
        &written,
        [&["--pack", "--linger", "50ms"], &[]],
    );

    // Then the stream has both kinds, and the table is the same, item by item, but for when the posts came
    let records = cloud.aws.all_records(&mixed.stream).unwrap();
    let packs = records
        .iter()
        .filter(|record| pack::is_pack(record))
        .count();
    let plain = records.len() - packs;
    println!("{count} posts: {packs} packs and {plain} plain records");
    assert!(packs > 0 && packs < plain && plain < count);
    assert_eq!(reference.len(), count);
    assert!(
        table == reference,
        "{:?}",
        first_difference(&table, &reference)
    );
}

/// The table, in the order of its ids, once two boards have sent all posts to `stack`: each so many that a fifth comes from both.
fn carried(cloud: &Cloud, stack: &Stack, written: &[Post], boards: Boards) -> Vec<Value> {
    let (first, second) = (written.len() * 3 / 5, written.len() * 2 / 5);
    let parts = [&written[..first], &written[second..]];
    let running = parts.map(|part| {
        let api = XApi::start(Settings::default()).unwrap();
        api.play(part.iter().cloned().map(Event::Post));
        api
    });
    let producers: Vec<_> = running
        .iter()
        .zip(boards)
        .map(|(api, arguments)| {
            let mut board = cloud.board(stack, &cloud.ministack.endpoint());
            board.reads_x(&api.url());
            for argument in arguments {
                board.argument(*argument);
            }
            board.argument("mozzarella");
            (board.start(&[]).unwrap(), board)
        })
        .collect();
    for ((producer, board), part) in producers.into_iter().zip(parts) {
        wait_for("all posts delivered", || {
            board.metrics().get("headwater_delivered_total") == Some(&(part.len() as u64))
        });
        stop(producer);
    }
    cloud.await_items(stack, written.len());
    let sent: Vec<_> = parts.concat().iter().map(Sent::from).collect();
    let tally = Tally::take(&cloud.aws, stack, &sent, 0).unwrap();
    assert!(tally.adds_up(), "{tally:?}");
    let mut items = cloud.aws.all_items(&stack.table).unwrap();
    for item in items.iter_mut().filter_map(Value::as_object_mut) {
        // Until when it is kept is counted from when it was received.
        for when in ["ReceivedAt", "ExpiresAt"] {
            assert!(item.remove(when).is_some(), "no {when}");
        }
    }
    items.sort_by_key(|item| item["Id"]["S"].to_string());
    items
}

fn first_difference<'a>(
    table: &'a [Value],
    reference: &'a [Value],
) -> Option<(&'a Value, &'a Value)> {
    let mut both = table.iter().zip(reference);
    both.find(|(item, expected)| item != expected)
}
