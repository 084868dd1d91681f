//! Packs: the same table as from plain records, and no pack that does harm.

mod support;

use std::collections::BTreeMap;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use cloud::pack;
use proptest::prelude::*;
use serde_json::Value;

use support::{Aws, Call, Fault, at_once, corpus, pack, post, records, soon};

fn text(value: &Value) -> &str {
    value.as_str().expect("a text")
}

#[tokio::test]
async fn every_pack_of_the_corpus_becomes_what_stands_beside_it() {
    for corpus::Event {
        name,
        data,
        expected,
    } in corpus::packs()
    {
        let aws = Aws::start(|_| Fault::None).await;

        let outcome = aws
            .function()
            .process(&records(std::slice::from_ref(&data)), soon())
            .await;

        assert_eq!(outcome.again_from, None, "{name}");
        assert_eq!(
            (outcome.report.records, outcome.report.packs),
            (1, 1),
            "{name}"
        );
        let mut items = BTreeMap::new();
        let mut failures = BTreeMap::new();
        let lines = match expected.as_array() {
            Some(lines) => lines
                .iter()
                .enumerate()
                .map(|(n, line)| (n + 1, line))
                .collect(),
            None => vec![(0, &expected)],
        };
        assert_eq!(outcome.report.read, lines.len(), "{name}");
        for (number, line) in lines {
            if let Some(item) = line.get("put").or(line.get("delete")) {
                let key = (
                    text(&item["Username"]).to_owned(),
                    text(&item["Id"]).to_owned(),
                );
                items.insert(key, item["Message"].as_str().map(str::to_owned));
            } else if let Some(reason) = line.get("reason") {
                failures.insert(number as u64, text(reason).to_owned());
            }
        }
        let stored = aws.items().await.into_iter();
        let stored: BTreeMap<_, _> = stored
            .map(|(key, item)| (key, item.get("Message").cloned()))
            .collect();
        assert_eq!(stored, items, "{name}");
        let told = aws.messages().into_iter().map(|message| {
            // A pack that can't be unpacked is in the queue whole.
            if message["line"].is_null() {
                assert_eq!(
                    BASE64_STANDARD.decode(text(&message["data"])).unwrap(),
                    data,
                    "{name}"
                );
            }
            (
                message["line"].as_u64().unwrap_or_default(),
                text(&message["reason"]).to_owned(),
            )
        });
        assert_eq!(told.collect::<BTreeMap<_, _>>(), failures, "{name}");
    }
}

#[tokio::test]
async fn a_bad_line_goes_to_the_queue_alone_with_its_number_and_the_others_are_stored() {
    let aws = Aws::start(|_| Fault::None).await;
    let lines = [post(1, "a"), b"no post {".to_vec(), post(2, "b")];
    let data = [post(3, "c"), pack(&lines)];

    let outcome = aws.function().process(&records(&data), soon()).await;

    let report = outcome.report;
    assert_eq!((report.records, report.packs, report.read), (2, 1, 4));
    assert_eq!((report.stored, report.undecodable), (3, 1));
    assert_eq!(aws.items().await.len(), 3);
    let messages = aws.messages();
    assert_eq!(messages.len(), 1);
    assert_eq!(
        (&messages[0]["sequenceNumber"], &messages[0]["line"]),
        (&"1".into(), &2.into())
    );
    assert_eq!(messages[0]["bytes"], 9);
    assert_eq!(
        BASE64_STANDARD.decode(text(&messages[0]["data"])).unwrap(),
        b"no post {"
    );
}

#[tokio::test]
async fn a_pack_of_bad_lines_makes_one_message_and_its_good_lines_are_stored() {
    let aws = Aws::start(|_| Fault::None).await;
    let mut lines = vec![b"x".to_vec(); 400_000];
    lines[200_000] = post(1, "among them");
    let data = [pack(&lines), post(2, "after")];

    let outcome = aws.function().process(&records(&data), soon()).await;

    assert_eq!(outcome.again_from, None);
    let report = outcome.report;
    assert_eq!(
        (report.read, report.stored, report.undecodable),
        (400_001, 2, 399_999)
    );
    let messages = aws.messages();
    assert_eq!(messages.len(), 1);
    assert!(
        text(&messages[0]["reason"]).starts_with(
            "399999 lines of this pack can't be stored, the others are; the first, line 1: not JSON"
        ),
        "{}",
        messages[0]["reason"]
    );
    assert_eq!(
        BASE64_STANDARD.decode(text(&messages[0]["data"])).unwrap(),
        data[0]
    );
}

#[tokio::test]
async fn posts_packed_and_plain_mixed_give_the_same_table_as_plain_ones() {
    // Given 4,000 posts, the second half of them updates of the first,
    let posts: Vec<_> = (0..4_000)
        .map(|n| post(n % 2_000, &format!("pizza {n}")))
        .collect();
    // plain, and mixed: packs of 1 to 99 posts, and single ones between them,
    let mut mixed = Vec::new();
    let mut rest = &posts[..];
    let mut size = 1;
    while !rest.is_empty() {
        let (lines, behind) = rest.split_at(size.min(rest.len()));
        mixed.push(if size % 5 == 0 {
            pack(lines)
        } else {
            lines[0].clone()
        });
        rest = if size % 5 == 0 { behind } else { &rest[1..] };
        size = size % 99 + 1;
    }

    // when both are stored,
    let mut tables = Vec::new();
    for data in [&posts, &mixed] {
        let aws = Aws::start(|_| Fault::None).await;
        for batch in records(data).chunks(500) {
            let outcome = aws.function().process(batch, soon()).await;
            assert_eq!(outcome.again_from, None);
        }
        tables.push(aws.items().await);
    }

    // then the tables are the same.
    assert_eq!(tables[0].len(), 2_000);
    assert!(tables[0] == tables[1]);
}

#[tokio::test]
async fn a_table_that_fails_on_the_way_gets_the_rest_of_the_packs_later() {
    // Given 40 packs of 64 KiB, more than one portion, and a table that refuses a post of the 25th for now,
    let packs: Vec<_> = (0..40)
        .map(|n| {
            pack(
                &(0..64)
                    .map(|m| post(n * 64 + m, &"p".repeat(900)))
                    .collect::<Vec<_>>(),
            )
        })
        .collect();
    let batch = records(&packs);
    let throttle = |call: &Call| match call.operation.as_str() {
        "BatchWriteItem" if call.ids().contains(&(25 * 64).to_string()) && call.number < 90 => {
            Fault::Error(400, "ResourceNotFoundException")
        }
        _ => Fault::None,
    };
    let aws = Aws::start(throttle).await;

    // when it comes, and comes again from where it says,
    let mut from = 0;
    let mut turns = 0;
    let mut read = 0;
    while from < batch.len() {
        let outcome = aws.function().process(&batch[from..], at_once()).await;
        let report = outcome.report;
        read += report.read;
        assert_eq!(report.read, report.stored + report.unprocessed);
        from += outcome.again_from.unwrap_or(batch.len() - from);
        turns += 1;
        assert!(turns < 300, "it does not get on");
    }

    // then all of it is stored, and a batch that stopped was not read to its end.
    assert_eq!(aws.items().await.len(), 40 * 64);
    assert!(turns > 1);
    assert!(read < turns * 40 * 64, "{read}");
}

#[test]
fn a_pack_may_hold_a_mebibyte_and_not_a_byte_more() {
    let line = |bytes: usize| vec![b'x'; bytes];
    let largest = pack(&[line(pack::MAX_BYTES - 1)]);
    assert_eq!(pack::unpack(&largest).unwrap().len(), pack::MAX_BYTES);
    let reason = pack::unpack(&pack(&[line(pack::MAX_BYTES)])).unwrap_err();
    assert!(
        reason.to_string().contains("beyond 1048576 bytes"),
        "{reason}"
    );
}

proptest! {
    #[test]
    fn every_list_of_lines_comes_back(lines in prop::collection::vec("[^\n]*", 0..20)) {
        let lines: Vec<_> = lines.into_iter().map(String::into_bytes).collect();
        let text = pack::unpack(&pack(&lines)).unwrap();
        let back: Vec<_> = pack::lines(&text).map(<[u8]>::to_vec).collect();
        prop_assert_eq!(back, lines);
    }

    #[test]
    fn no_change_of_a_pack_does_harm(
        at: prop::sample::Index,
        cut in 0..20_usize,
        put: Vec<u8>,
    ) {
        let mut data = pack(&[post(1, "pizza"), post(2, "more of it")]);
        let at = at.index(data.len() + 1);
        data.splice(at..data.len().min(at + cut), put);
        if let Ok(text) = pack::unpack(&data) {
            prop_assert!(text.len() <= pack::MAX_BYTES);
        }
    }
}
