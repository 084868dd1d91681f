//! What X had while the board was offline, to its end in the table.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use local::tally::Sent;
use testkit::network::Network;
use testkit::posts::{self, Post};
use testkit::x_api::{Settings, XApi};

use super::{Cloud, stop, wait_for};

/// Has the next so many posts written at `api`, now.
fn write(api: &XApi, count: usize) {
    let written = api.posted().len();
    let posts = posts::about("pizza", SystemTime::now(), Duration::ZERO);
    let next: Vec<Post> = posts.skip(written).take(count).collect();
    next.into_iter().for_each(|post| api.post(post));
}

#[test]
fn two_thousand_posts_of_three_outages_are_stored_once_with_the_live_ones() {
    // Given a board that reads X by way of a network
    let cloud = Cloud::shared();
    let stack = cloud.stack("gaps");
    // The limit is used up in the middle of a gap, more than once.
    let api = XApi::start(Settings::with_few_searches()).unwrap();
    let network = Network::to(api.address()).unwrap();
    let mut board = cloud.board(&stack, &cloud.ministack.endpoint());
    board
        .reads_x(&format!("http://{}", network.address()))
        .set("HEADWATER_TEST_SEARCH_DELAY", "0")
        .argument("pizza");
    let mut program = board.start(&[]).unwrap();

    // When the network fails three times while 2,000 posts are written, and the program is killed twice while they are fetched
    for (posts, is_killed) in [(650, true), (650, false), (700, true)] {
        wait_for("open stream", || api.is_streaming());
        let sent = api.sent_count();
        write(&api, 20);
        wait_for("live posts", || api.sent_count() >= sent + 20);
        network.break_off();
        wait_for("closed stream", || !api.is_streaming());
        write(&api, posts);
        let searched = api.searches().len();
        network.restore().unwrap();
        if is_killed {
            wait_for("some pages", || api.searches().len() >= searched + 3);
            program.kill();
            program = board.start(&[]).unwrap();
        }
        wait_for("open stream", || api.is_streaming());
        write(&api, 20);
        let posted: BTreeSet<u64> = api.posted().iter().map(|post| post.id).collect();
        wait_for("every post given", || {
            let given = api.sent().into_iter().chain(api.found());
            given.map(|post| post.id).collect::<BTreeSet<u64>>() == posted
        });
    }

    // Then the table has each of them, once, with its text
    let posted: Vec<Sent> = api.posted().iter().map(Sent::from).collect();
    assert_eq!(posted.len(), 2_000 + 6 * 20);
    let tally = cloud.tally(&stack, &posted);
    stop(program);
    assert!(tally.is_complete(), "{tally:?}");
    println!("{tally}; {} searches", api.searches().len());
}
