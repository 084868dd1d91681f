//! The real program, X and Kinesis: the network fails again and again, the program is killed, X limits the rate, and every post arrives.

mod support;

use std::collections::BTreeSet;

use support::board::board_to;
use support::posts::{ids, least_pages, write};

use testkit::kinesis::{Kinesis, Reply};
use testkit::network::Network;
use testkit::wait_until;
use testkit::x_api::{Settings, XApi};

#[test]
fn every_post_of_three_outages_arrives_though_the_program_is_killed_and_x_limits_the_rate() {
    // Given a board that reads X by way of a network
    // The limit is used up in the middle of a gap, more than once.
    let api = XApi::start(Settings::with_few_searches()).unwrap();
    let kinesis = Kinesis::start(|_, _| Reply::Accept);
    let network = Network::to(api.url().trim_start_matches("http://").parse().unwrap()).unwrap();
    let mut board = board_to(&kinesis.url())
        .with("HEADWATER_SOURCE", "x")
        .with("HEADWATER_KEYWORD", "pizza")
        .with("HEADWATER_TEST_SEARCH_DELAY", "0");
    board.reads_x(&format!("http://{}", network.address()));
    let arrived = || -> BTreeSet<u64> { ids(&kinesis.data()).into_iter().collect() };
    let has = |wanted: &BTreeSet<u64>| wanted.is_subset(&arrived());
    let is_open = || wait_until("the stream is open", || api.is_streaming());
    let (mut written, mut all) = (0, BTreeSet::new());
    let mut program = board.start(&[]).unwrap();

    // When the network fails three times, and 2,000 posts are written meanwhile
    for (outage, posts) in [650, 650, 700].into_iter().enumerate() {
        is_open();
        let live = write(&api, &mut written, 20);
        wait_until("live posts arrive", || has(&live));
        network.cut();
        wait_until("the stream is closed", || !api.is_streaming());
        let missed = write(&api, &mut written, posts);
        let searched = api.searches().len();
        network.restore().unwrap();
        if outage != 1 {
            // And the program is killed while the gap is filled
            wait_until("some of it is fetched", || {
                api.searches().len() >= searched + 2
            });
            program.kill();
            program = board.start(&[]).unwrap();
        }
        is_open();
        all.extend(live);
        all.extend(missed);
        all.extend(write(&api, &mut written, 20));
        wait_until("all posts arrive", || has(&all));
    }
    let ended = program.stop(testkit::PATIENCE).unwrap();
    assert!(ended.is_some_and(|status| status.success()));

    // Then all arrived, and X was asked for hardly more pages than there are
    assert_eq!(all.len(), 2_000 + 6 * 20);
    assert_eq!(arrived(), all);
    let searches = api.searches();
    let least = least_pages(&api);
    for search in &searches {
        println!(
            "{:?} {} posts {} left {}",
            search.between, search.status, search.posts, search.left
        );
    }
    let twice = kinesis.count() - all.len();
    println!(
        "{} posts, {} searches, {least} at least; {twice} records again",
        all.len(),
        searches.len()
    );
    let (fetched, refused): (Vec<_>, Vec<_>) =
        searches.iter().partition(|search| search.status == 200);
    assert!(
        fetched.len() * 10 <= least * 11,
        "{} searches, {least} at least",
        fetched.len()
    );
    assert!(searches.iter().any(|search| search.left == 0));
    // A program that was killed does not know that the limit is used up, and is told once.
    assert!(refused.len() <= 2, "{refused:?}");
    assert!(refused.iter().all(|search| search.status == 429));
}
