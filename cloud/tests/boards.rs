//! Boards' reports: apart from the posts, the newest of each board, and the watch that tells once who is silent and who is back.

mod support;

use chrono::{DateTime, TimeDelta, Utc};
use cloud::boards::watch::Look;
use support::{ARRIVAL, Aws, Call, Fault, pack, post, records, soon};

/// A report of a board, as it is in the stream.
fn report(board: &str, read: u64) -> Vec<u8> {
    format!(
        r#"{{"headwater_board":"{board}","v":"0.1.0","at":1768478395,"up":3600,"r":{read},"d":{read},"w":7,"l":2,"t":51}}"#
    )
    .into_bytes()
}

fn arrival() -> DateTime<Utc> {
    DateTime::from_timestamp_secs(ARRIVAL as i64).unwrap()
}

fn minutes_later(minutes: i64) -> DateTime<Utc> {
    arrival() + TimeDelta::minutes(minutes)
}

/// What the watch of `aws` finds so many minutes after the records of tests arrived, if a board is silent after 20.
async fn look(aws: &Aws, minutes: i64) -> Look {
    let watch = aws.watch("20m");
    watch.look(minutes_later(minutes), soon()).await.unwrap()
}

/// The messages to people, their subjects and texts.
fn messages(aws: &Aws) -> Vec<(String, String)> {
    let text = |call: &Call, name: &str| call.body[name].as_str().unwrap().to_owned();
    let calls = aws.calls("Publish");
    calls
        .iter()
        .map(|call| (text(call, "Subject"), text(call, "Message")))
        .collect()
}

#[tokio::test]
async fn a_report_is_an_item_of_its_board_and_never_a_post() {
    // Given posts, a report, and a pack with another among its posts
    let aws = Aws::start(|_| Fault::None).await;
    let packed = pack(&[post(2, "two"), report("barn", 20), post(3, "three")]);
    let records = records(&[post(1, "one"), report("shed", 10), packed]);
    // When they are processed
    let outcome = aws.function().process(&records, soon()).await;
    // Then the posts are stored, and the reports count apart
    let counts = outcome.report;
    assert_eq!((counts.read, counts.stored, counts.reports), (3, 3, 2));
    assert_eq!((outcome.again_from, outcome.troubles.len()), (None, 0));
    assert_eq!(aws.items().await.len(), 3);
    // And each board has its item
    let boards = aws.boards().await;
    assert_eq!(boards.keys().collect::<Vec<_>>(), ["barn", "shed"]);
    let shed = &boards["shed"];
    for (name, value) in [
        ("SeenAt", "2026-01-15T12:00:00.000Z"),
        ("MadeAt", "2026-01-15T11:59:55.000Z"),
        ("Since", "2026-01-15T10:59:55.000Z"),
        ("Version", "0.1.0"),
        ("Read", "10"),
        ("Waiting", "7"),
        ("Lost", "2"),
        ("ClockOffsetSeconds", "0"),
        ("TemperatureCelsius", "51"),
    ] {
        assert_eq!(shed[name], value, "{name}");
    }
    assert!(!shed.contains_key("FreeMiB"));
}

#[tokio::test]
async fn an_older_report_takes_no_newer_ones_place_in_a_batch_or_in_the_table() {
    let aws = Aws::start(|_| Fault::None).await;
    let mut batch = records(&[report("shed", 2), report("shed", 1), report("shed", 3)]);
    batch[1].arrived_at = Some(minutes_later(-5));
    // Given a batch with an older report between two that arrived together
    aws.function().process(&batch, soon()).await;
    assert_eq!(aws.boards().await["shed"]["Read"], "3");
    assert_eq!(aws.calls("UpdateItem").len(), 1);
    // When the older one comes again alone, then the newer stays
    let outcome = aws.function().process(&batch[1..2], soon()).await;
    assert_eq!(outcome.troubles, Vec::<String>::new());
    let shed = &aws.boards().await["shed"];
    assert_eq!(
        (&*shed["Read"], &*shed["SeenAt"]),
        ("3", "2026-01-15T12:00:00.000Z")
    );
    // And a later one replaces it, and what it does not say any more is gone
    let text = r#"{"headwater_board":"shed","v":"0.2.0","at":1768478395,"up":5,"r":4,"d":4}"#;
    let mut later = records(&[text.into()]);
    later[0].arrived_at = Some(minutes_later(5));
    aws.function().process(&later, soon()).await;
    let shed = &aws.boards().await["shed"];
    assert_eq!((&*shed["Read"], &*shed["Waiting"]), ("4", "0"));
    assert!(!shed.contains_key("TemperatureCelsius"));
}

#[tokio::test]
async fn a_table_of_boards_that_takes_nothing_holds_up_no_post() {
    for fault in [
        "AccessDeniedException",
        "ResourceNotFoundException",
        "ValidationException",
    ] {
        // Given a table of boards that is out of order
        let aws = Aws::start(move |call| match call.operation.as_str() {
            "UpdateItem" => Fault::Error(400, fault),
            _ => Fault::None,
        })
        .await;
        // When posts and a report are processed
        let records = records(&[report("shed", 1), post(1, "one")]);
        let outcome = aws.function().process(&records, soon()).await;
        // Then the posts are stored, nothing comes again, and the log says what is wrong
        assert_eq!((outcome.report.stored, outcome.again_from), (1, None));
        assert!(
            outcome.troubles[0].contains("table of boards"),
            "{:?}",
            outcome.troubles
        );
        assert!(
            outcome.troubles[0].contains(fault),
            "{:?}",
            outcome.troubles
        );
    }
}

#[tokio::test]
async fn what_the_table_refuses_for_a_moment_is_tried_again() {
    let aws = Aws::start(|call| match (call.operation.as_str(), call.number) {
        ("UpdateItem", 1) => Fault::Error(400, "ThrottlingException"),
        ("UpdateItem", 2) => Fault::HalfAnswer,
        _ => Fault::None,
    })
    .await;
    let outcome = aws
        .function()
        .process(&records(&[report("shed", 1)]), soon())
        .await;
    assert!(outcome.troubles.is_empty(), "{:?}", outcome.troubles);
    assert_eq!(aws.boards().await["shed"]["Read"], "1");
}

#[tokio::test]
async fn without_a_table_of_boards_reports_are_counted_and_left_out() {
    let aws = Aws::start(|_| Fault::None).await;
    let records = records(&[report("shed", 1), post(1, "one")]);
    let outcome = aws
        .function_without_boards()
        .process(&records, soon())
        .await;
    assert_eq!((outcome.report.reports, outcome.report.stored), (1, 1));
    assert!(aws.boards().await.is_empty() && aws.messages().is_empty());
}

#[tokio::test]
async fn a_report_that_cannot_be_read_is_set_aside_with_its_reason_and_quotes_nothing() {
    // Given what has the mark of a report and is none: cut short, of wrong types, from no time, with a name that steers a mail
    let wrong = [
        r#"{"headwater_board":"shed","v":"0.1.0""#.to_owned(),
        r#"{"headwater_board":"shed","v":1,"at":"soon","up":0,"r":0,"d":0}"#.to_owned(),
        format!(
            r#"{{"headwater_board":"shed","v":"1","at":{},"up":0,"r":0,"d":0}}"#,
            i64::MAX
        ),
        r#"{"headwater_board":"shed\r\nBcc: mallory","v":"1","at":0,"up":0,"r":0,"d":0}"#
            .to_owned(),
        r#"{"headwater_board":"","v":"1","at":0,"up":0,"r":0,"d":0}"#.to_owned(),
    ];
    let aws = Aws::start(|_| Fault::None).await;
    let data: Vec<_> = wrong.iter().map(|text| text.clone().into_bytes()).collect();
    let outcome = aws.function().process(&records(&data), soon()).await;
    // Then each is in the failure queue, and no board has an item
    let counts = outcome.report;
    assert_eq!(
        (counts.undecodable, counts.reports, counts.stored),
        (5, 0, 0)
    );
    for message in aws.messages() {
        let reason = message["reason"].as_str().unwrap();
        assert!(
            reason.contains("a board's report") && !reason.contains("mallory"),
            "{reason}"
        );
    }
    assert!(aws.boards().await.is_empty());
}

#[tokio::test]
async fn the_watch_names_each_silent_board_once_in_one_message_and_each_that_is_back() {
    // Given three boards that report, two of them for the last time
    let aws = Aws::start(|_| Fault::None).await;
    let all = records(&[report("attic", 1), report("barn", 1), report("shed", 1)]);
    aws.function().process(&all, soon()).await;
    let on_time = look(&aws, 20).await;
    assert_eq!(
        (on_time.found.boards_heard, on_time.found.boards_silent),
        (3, 0)
    );
    assert_eq!(
        (on_time.found.posts_waiting, on_time.found.posts_lost),
        (21, 6)
    );
    let mut still = records(&[report("barn", 2)]);
    still[0].arrived_at = Some(minutes_later(20));
    aws.function().process(&still, soon()).await;
    // When the watch looks every minute
    let first = look(&aws, 21).await;
    let second = look(&aws, 22).await;
    // Then one message names the two, and the metric goes on counting them
    assert_eq!(first.silent, ["attic", "shed"]);
    assert_eq!((second.silent.len(), second.found.boards_silent), (0, 2));
    let told = messages(&aws);
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0].0, "headwater: 2 boards are silent");
    let line =
        "attic: last heard of 21 minutes ago, at 2026-01-15T12:00:00.000Z; posts waiting 7, lost 2";
    assert_eq!(told[0].1.lines().next().unwrap(), line);
    assert!(told[0].1.contains("shed: ") && !told[0].1.contains("barn"));
    // When one of them reports again
    let mut again = records(&[report("shed", 3)]);
    again[0].arrived_at = Some(minutes_later(30));
    aws.function().process(&again, soon()).await;
    let third = look(&aws, 31).await;
    let fourth = look(&aws, 32).await;
    // Then it is named well again, once
    assert_eq!(
        (third.back, third.silent.len()),
        (vec!["shed".to_owned()], 0)
    );
    assert_eq!((fourth.back.len(), fourth.found.boards_silent), (0, 1));
    let told = messages(&aws);
    assert_eq!(told.len(), 2, "{told:?}");
    assert_eq!(told[1].0, "headwater: 1 board is back");
    let line =
        "shed: was silent from 2026-01-15T12:00:00.000Z, for 31 minutes; posts waiting 7, lost 2";
    assert_eq!(told[1].1, line);
}

#[tokio::test]
async fn a_message_that_cannot_be_sent_is_sent_by_the_next_look() {
    // Given a topic that fails once for a silence and once for a return
    let aws = Aws::start(|call| match (call.operation.as_str(), call.number) {
        ("Publish", 1 | 3) => Fault::Error(500, "InternalError"),
        _ => Fault::None,
    })
    .await;
    aws.function()
        .process(&records(&[report("shed", 1)]), soon())
        .await;
    // When the watch looks twice at each, then the first look says what is wrong, and the second tells
    let (failed, told) = (look(&aws, 21).await, look(&aws, 22).await);
    assert!(failed.silent.is_empty() && failed.trouble.unwrap().contains("next look"));
    assert_eq!((told.silent, told.trouble), (vec!["shed".to_owned()], None));
    let mut again = records(&[report("shed", 2)]);
    again[0].arrived_at = Some(minutes_later(25));
    aws.function().process(&again, soon()).await;
    let (failed, told) = (look(&aws, 26).await, look(&aws, 27).await);
    assert!(failed.back.is_empty() && failed.trouble.is_some());
    assert_eq!((told.back, told.trouble), (vec!["shed".to_owned()], None));
    assert!(!aws.boards().await["shed"].contains_key("SilentSince"));
}

#[tokio::test]
async fn of_two_looks_at_the_same_time_one_tells() {
    // Given a silent board, and a look that another one comes before while it scans
    let aws = Aws::start(|_| Fault::None).await;
    aws.function()
        .process(&records(&[report("shed", 1)]), soon())
        .await;
    let (one, other) = tokio::join!(look(&aws, 21), look(&aws, 21));
    // Then it is told of once
    assert_eq!(one.silent.len() + other.silent.len(), 1);
    assert_eq!(messages(&aws).len(), 1);
    assert_eq!((one.trouble, other.trouble), (None, None));
}

#[tokio::test]
async fn hundreds_of_silent_boards_are_one_message_that_says_how_many_it_leaves_out() {
    let aws = Aws::start(|_| Fault::None).await;
    let reports: Vec<_> = (0..510)
        .map(|n| report(&format!("board-{n:03}"), 1))
        .collect();
    let function = aws.function();
    for batch in reports.chunks(50) {
        let outcome = function.process(&records(batch), soon()).await;
        assert!(outcome.troubles.is_empty(), "{:?}", outcome.troubles);
    }
    let look = look(&aws, 21).await;
    assert_eq!(look.silent.len(), 510);
    let told = messages(&aws);
    assert_eq!(
        (told.len(), &*told[0].0),
        (1, "headwater: 510 boards are silent")
    );
    assert_eq!(told[0].1.lines().count(), 501);
    assert!(
        told[0]
            .1
            .ends_with("and 10 more: the table of boards has all of them")
    );
    // SNS takes 256 KiB
    assert!(told[0].1.len() < 256 * 1024);
}
