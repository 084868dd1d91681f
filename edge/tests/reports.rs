//! The board's reports on their way to Kinesis: beside the queue, in the posts' calls, and in nobody's way.

mod support;

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use serde_json::json;
use support::delivery::{Delivery, texts};

use headwater::aws::kinesis::request::{Batch, REPORT};
use headwater::aws::kinesis::wire::Wire;
use headwater::observe::report::{Outbox, Report, Settings};
use headwater::post::record::Record;
use testkit::kinesis::{Kinesis, Reply};
use testkit::posts;

const BOARD: &str = "raspberrypi-shed";

/// A delivery of these posts with a report that waits, and its text.
fn with_report(records: impl IntoIterator<Item = String>) -> (Delivery, String) {
    let outbox = Outbox::new(&Settings {
        board: BOARD.to_owned(),
        every: Duration::from_secs(300),
    });
    let report = report();
    outbox.put(report.clone(), Duration::ZERO);
    let mut delivery = Delivery::of(records);
    delivery.outbox = Some(Arc::new(outbox));
    (delivery, report)
}

fn report() -> String {
    healthy().to_string()
}

/// The report of a board that has been at work for some weeks.
fn healthy() -> Report<'static> {
    Report {
        board: BOARD,
        made_s: 1_768_473_300,
        uptime_s: 1_814_400,
        read: 1_234_567,
        delivered: 1_234_566,
        waiting: 1,
        source_lag_s: 1,
        bytes_sent: 912_345_678,
        temperature_c: Some(51),
        free_mib: Some(24_117),
        ..Report::default()
    }
}

/// What arrived, reports apart from posts.
fn arrived(server: &Kinesis) -> (Vec<String>, Vec<String>) {
    let all = server.data().into_iter();
    all.partition(|data| data.starts_with(r#"{"headwater_board":"#))
}

#[test]
fn a_report_goes_first_in_the_call_of_the_posts_and_counts_as_none() {
    for pack in [false, true] {
        // Given 700 posts and a report that wait
        let server = Kinesis::scripted([]);
        let (mut delivery, report) = with_report(texts(0..700));
        delivery.flow.pack = pack;
        let before = delivery.spool.stats();
        // When they are delivered
        delivery.deliver_to(&server);
        // Then the report arrived once, in the first call, by the board's name as its key
        let (reports, posts) = arrived(&server);
        assert_eq!(reports, [report], "packs: {pack}");
        assert_eq!(posts, texts(0..700));
        let first = &server.calls()[0].puts[0];
        assert_eq!(first.key, BOARD);
        // And it is neither in the queue nor among what was delivered
        let counters = &delivery.counters;
        assert_eq!((counters.delivered.get(), counters.reports.get()), (700, 1));
        assert_eq!(delivery.spool.stats().appended, before.appended);
        assert_eq!(delivery.spool.stats().delivered, 700);
        assert_eq!(delivery.waiting(), 0);
    }
}

#[test]
fn whatever_breaks_the_call_the_report_arrives_and_every_post_is_delivered_once() {
    for pack in [false, true] {
        for trouble in [
            Reply::error(500, "InternalFailure"),
            Reply::error(400, "ThrottlingException"),
            Reply::error(400, "AccessDeniedException"),
            Reply::AcceptSome(|index| index != 0, "ProvisionedThroughputExceededException"),
            Reply::AcceptSome(|index| index == 0, "ProvisionedThroughputExceededException"),
            Reply::AcceptSome(|index| index % 2 == 0, "InternalFailure"),
            Reply::AcceptSome(|index| index % 2 == 1, "InternalFailure"),
        ] {
            // Given a first call that fails, whole or in part
            let what = format!("packs: {pack}, {trouble:?}");
            let server = Kinesis::scripted([trouble]);
            let (mut delivery, report) = with_report(texts(0..200));
            delivery.flow.pack = pack;
            // When all is delivered
            delivery.deliver_to(&server);
            // Then every post arrived once, and the report did unless it would have been the last thing to go
            let (reports, mut posts) = arrived(&server);
            posts.sort();
            assert_eq!(posts, texts(0..200), "{what}");
            assert!(
                reports.len() <= 1 && reports.iter().all(|has| *has == report),
                "{what}"
            );
            assert_eq!(
                delivery.counters.reports.get(),
                reports.len() as u64,
                "{what}"
            );
            assert_eq!(delivery.counters.delivered.get(), 200, "{what}");
            assert_eq!(
                (delivery.waiting(), delivery.spool.stats().delivered),
                (0, 200),
                "{what}"
            );
        }
    }
}

#[test]
fn a_call_that_is_refused_as_it_is_goes_again_without_the_report() {
    for pack in [false, true] {
        // Given a server that refuses the call with the report in it
        let server = Kinesis::scripted([Reply::error(400, "ValidationException")]);
        let (mut delivery, _) = with_report(texts(0..50));
        delivery.flow.pack = pack;
        // When the posts are delivered, then the second call has all of them, and they are nobody's suspects
        delivery.deliver_to(&server);
        let (reports, posts) = arrived(&server);
        assert!(reports.is_empty());
        assert_eq!(posts, texts(0..50));
        assert_eq!(server.calls().len(), 2, "packs: {pack}");
        assert_eq!(delivery.counters.impossible.get(), 0);
        assert!(!delivery.folder.path().join("dead").exists());
    }
}

#[test]
fn in_strict_order_a_report_has_a_call_of_its_own_and_breaks_no_chain() {
    // Given posts of one key in strict order, and a report
    let server = Kinesis::scripted([]);
    let (mut delivery, report) = with_report(texts(0..3));
    delivery.ordered = true;
    // When they are delivered
    delivery.deliver_to(&server);
    // Then each call has one record, the report names none before it, and the posts name each other
    let calls = server.calls();
    assert!(calls.iter().all(|call| call.puts.len() == 1));
    assert_eq!(calls[0].puts[0].data, report);
    let after: Vec<_> = calls
        .iter()
        .map(|call| call.puts[0].after.is_some())
        .collect();
    assert_eq!(after, [false, false, true, true]);
}

#[test]
fn the_end_is_not_held_up_for_a_report() {
    // Given a report alone, and a source that has ended, before a server that never takes it
    let server = Kinesis::scripted([Reply::error(500, "InternalFailure")]);
    let (delivery, _) = with_report([]);
    // When the rest is to be delivered, then that ends
    delivery.deliver_to(&server);
    assert_eq!(delivery.counters.reports.get(), 0);
}

#[test]
fn a_report_in_a_posts_call_costs_less_than_400_bytes_and_in_a_pack_less_than_150() {
    // Given what waits after some seconds: posts of X
    let posts: Vec<_> = posts::about("pizza", UNIX_EPOCH, Duration::from_secs(1))
        .take(20)
        .map(|post| {
            let (id, author) = (post.id.to_string(), post.author);
            let json = json!({
                "data": {"id": id, "text": post.text, "author_id": author.id.to_string(), "lang": post.lang,
                    "created_at": "2026-01-15T10:35:00.000Z"},
                "includes": {"users": [{"id": author.id.to_string(), "name": author.name, "username": author.username}]},
                "matching_rules": [{"id": "1865423", "tag": "headwater"}],
            });
            json.to_string()
        })
        .collect();
    let bytes = |pack: bool, report: Option<&str>| {
        let batch = Batch::new("posts", Wire::Json);
        let mut batch = if pack { batch.packing() } else { batch };
        let report = report.map(|report| (REPORT, BOARD, report));
        let records = posts
            .iter()
            .zip(0..)
            .map(|(post, seq)| (seq, "author", post.as_str()));
        for (seq, partition_key, data) in report.into_iter().chain(records) {
            let data = data.as_bytes();
            assert!(batch.push(
                seq,
                Record {
                    partition_key,
                    data
                }
            ));
        }
        batch.close_packs();
        batch.body(batch.entries().len(), "").1.len()
    };
    // When a report goes with them, then this is what it adds
    let troubled = Report {
        waiting: 98_765,
        lost: 4_321,
        oldest_age_s: 86_400,
        source_lag_s: 3_600,
        clock_offset_s: -7_200,
        flash_bytes: 123_456_789,
        ..healthy()
    };
    for (report, pack, limit) in [
        (healthy(), false, 400),
        (healthy(), true, 150),
        (troubled, false, 400),
    ] {
        let report = report.to_string();
        let costs = bytes(pack, Some(&report)) - bytes(pack, None);
        println!(
            "a report of {} bytes costs {costs}, packs: {pack}",
            report.len()
        );
        assert!(costs < limit, "{costs}");
    }
}
