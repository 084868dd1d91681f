//! Boards that report, a table of them, and a watch that names the silent one.

use std::io::Write;
use std::time::Instant;

use local::deploy;
use local::tally::Sent;
use serde_json::{Value, json};

use super::{Cloud, stop, wait_for};

/// The subject and text of the next message to a person.
fn next_message(cloud: &Cloud, queue: &str, watch: &str) -> (String, String) {
    let mut heard = Vec::new();
    wait_for("message about a board", || {
        cloud.aws.invoke(watch).unwrap();
        heard.extend(cloud.aws.heard(queue).unwrap());
        !heard.is_empty()
    });
    assert_eq!(heard.len(), 1, "{heard:?}");
    heard.remove(0)
}

fn board_item(cloud: &Cloud, table: &str, board: &str) -> Option<Value> {
    let items = cloud.aws.all_items(table).unwrap();
    items.into_iter().find(|item| item["Board"]["S"] == board)
}

#[test]
fn a_killed_board_is_named_once_and_named_again_when_it_is_back_and_no_report_is_a_post() {
    // Given a stack whose watch calls a board silent after fifteen seconds: more than the local AWS ever holds up a report, and somebody who hears of it
    let cloud = Cloud::shared();
    let email = [("AlarmEmail", "person@example.com".to_owned())];
    let stack = deploy::deploy_with(&cloud.aws, "boards", &email).unwrap();
    let (table, watch) = (stack.boards.clone().unwrap(), stack.watch.clone().unwrap());
    cloud
        .aws
        .set_variable(&watch, "SILENT_AFTER", "15s")
        .unwrap();
    let topic = stack.alarm_topic.clone().unwrap();
    let queue = cloud.aws.listen(&topic, "boards-heard").unwrap();

    // And a board that follows a file, in packs, and one that reads nothing and reports alone
    let mut shed = cloud.board(&stack, &cloud.ministack.endpoint());
    let log = shed.card().join("log");
    let lines: Vec<_> = (0..200)
        .map(|n| format!("reading {n}: 21.{n} °C"))
        .collect();
    std::fs::write(&log, lines[..100].join("\n") + "\n").unwrap();
    shed.argument("--source")
        .argument("lines")
        .argument("--input")
        .argument(&log);
    shed.argument("--report-every=1s")
        .argument("--board=shed")
        .argument("--pack");
    let mut barn = cloud.board(&stack, &cloud.ministack.endpoint());
    barn.argument("--source").argument("lines");
    barn.argument("--report-every=1s").argument("--board=barn");
    let mut in_shed = shed.start(&[]).unwrap();
    let in_barn = barn.start(&[]).unwrap();

    let _said = super::OnFailure(|| {
        let items = cloud.aws.all_items(&table).unwrap();
        format!("{items:#?}\n{}", cloud.ministack.log())
    });

    // When both have reported, then the table has their figures
    let read = |board: &str| board_item(cloud, &table, board).map(|item| item["Read"]["N"].clone());
    wait_for("report of 100 lines", || {
        read("shed") == Some(json!("100")) && read("barn") == Some(json!("0"))
    });

    // When one is killed, then one message names it, however often the watch looks
    in_shed.kill();
    let killed = Instant::now();
    let (subject, text) = next_message(cloud, &queue, &watch);
    println!("named {:?} after it was killed", killed.elapsed());
    assert_eq!(subject, "headwater: 1 board is silent");
    assert!(
        text.starts_with("shed: last heard of") && text.lines().count() == 1,
        "{text}"
    );
    cloud.aws.invoke(&watch).unwrap();
    assert_eq!(cloud.aws.heard(&queue).unwrap(), []);

    // When it is back and reads on, then one message names it well again
    let mut file = std::fs::File::options().append(true).open(&log).unwrap();
    file.write_all((lines[100..].join("\n") + "\n").as_bytes())
        .unwrap();
    let in_shed = shed.start(&[]).unwrap();
    let (subject, text) = next_message(cloud, &queue, &watch);
    assert_eq!(subject, "headwater: 1 board is back");
    assert!(text.starts_with("shed: was silent from"), "{text}");

    // And each line is in the table of posts, once, and nothing else is
    let sent: Vec<_> = lines.iter().map(|line| Sent::from(line.as_str())).collect();
    cloud.await_items(&stack, sent.len());
    wait_for("reports of the second start", || {
        shed.metrics()
            .get("headwater_reports_total")
            .is_some_and(|reports| *reports > 0)
    });
    let metrics = shed.metrics();
    assert_eq!(
        metrics["headwater_read_total"], 100,
        "a report counts as read"
    );
    let items = cloud.aws.all_items(&stack.table).unwrap();
    assert_eq!(items.len(), sent.len());
    assert!(items.iter().all(|item| item["Source"]["S"] == "lines"));
    stop(in_shed);
    stop(in_barn);
    let receive = json!({ "QueueUrl": stack.failure_queue });
    let failures = cloud.aws.sqs("ReceiveMessage", &receive).unwrap();
    assert_eq!(
        failures["Messages"].as_array().map_or(0, Vec::len),
        0,
        "{failures}"
    );
}

#[test]
fn an_update_that_brings_or_removes_the_boards_keeps_the_stream_and_the_posts() {
    // Given a stack as the template was before there were boards, with a post
    let cloud = Cloud::shared();
    let with_boards = |kept: &str| [("BoardReports", kept.to_owned())];
    let before = deploy::deploy_with(&cloud.aws, "updates", &with_boards("false")).unwrap();
    assert_eq!((&before.boards, &before.watch), (&None, &None));
    let put = |id: &str| {
        use base64::Engine;
        let line = json!({ "headwater": 1, "id": id, "at": "2026-01-15T10:35:00Z", "from": "test", "line": id });
        let data = base64::prelude::BASE64_STANDARD.encode(line.to_string());
        let put = json!({ "StreamName": before.stream, "PartitionKey": "k", "Data": data });
        cloud.aws.kinesis("PutRecord", &put).unwrap();
    };
    put("first");
    cloud.await_items(&before, 1);
    let born = || {
        let stream = json!({ "StreamName": before.stream });
        let stream = cloud.aws.kinesis("DescribeStreamSummary", &stream).unwrap();
        let table = json!({ "TableName": before.table });
        let table = cloud.aws.dynamodb("DescribeTable", &table).unwrap();
        (
            stream["StreamDescriptionSummary"]["StreamCreationTimestamp"].clone(),
            table["Table"]["TableId"].clone(),
        )
    };
    let at_first = born();

    // When the boards come, and go again, then stream and table are the same ones, and posts go on being stored
    let after = deploy::update_with(&cloud.aws, "updates", &with_boards("true")).unwrap();
    assert!(after.boards.is_some() && after.watch.is_some());
    assert_eq!(
        (&after.stream, &after.table),
        (&before.stream, &before.table)
    );
    assert_eq!(born(), at_first);
    put("second");
    cloud.await_items(&before, 2);
    let again = deploy::update_with(&cloud.aws, "updates", &with_boards("false")).unwrap();
    assert_eq!(again.boards, None);
    assert_eq!(born(), at_first);
    put("third");
    cloud.await_items(&before, 3);
}
