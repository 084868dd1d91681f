use base64_simd::STANDARD;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn parsed(batch: &mut Batch, count: usize, after: &str) -> (Call, Value) {
    let wire = batch.wire();
    let (call, body) = batch.body(count, after);
    let value = match wire {
        Wire::Json => serde_json::from_slice(body).map_err(anyhow::Error::from),
        Wire::Cbor => testkit::cbor::to_json(body),
    };
    let value = value.unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(body)));
    (call, value)
}

#[test]
fn one_record_is_a_put_record() {
    for wire in [Wire::Json, Wire::Cbor] {
        let mut batch = Batch::new("posts", wire);
        assert!(batch.push(
            1,
            Record {
                partition_key: "cat \"person\"",
                data: b"{\"text\":\"hi\"}"
            }
        ));
        let expected = json!({"StreamName": "posts", "PartitionKey": "cat \"person\"", "Data": "eyJ0ZXh0IjoiaGkifQ=="});
        assert_eq!(parsed(&mut batch, 1, ""), (Call::PutRecord, expected));
    }
}

#[test]
fn strict_order_names_the_record_before() {
    for wire in [Wire::Json, Wire::Cbor] {
        let mut batch = Batch::new("posts", wire);
        batch.push(
            1,
            Record {
                partition_key: "k",
                data: b"d",
            },
        );
        for number in ["7", &"9".repeat(128)] {
            let expected = json!({
                "StreamName": "posts", "SequenceNumberForOrdering": number, "PartitionKey": "k", "Data": "ZA=="
            });
            assert_eq!(parsed(&mut batch, 1, number), (Call::PutRecord, expected));
        }
    }
}

#[test]
fn a_batch_takes_five_hundred_records_and_five_mebibytes() {
    let mut batch = Batch::new("posts", Wire::Json);
    let pushed = (0..600)
        .take_while(|seq| {
            batch.push(
                *seq,
                Record {
                    partition_key: "k",
                    data: b"d",
                },
            )
        })
        .count();
    assert_eq!(pushed, MAX_RECORDS);

    let mut batch = Batch::new("posts", Wire::Json);
    let data = vec![0; (1 << 20) - 1];
    let pushed = (0..600)
        .take_while(|seq| {
            batch.push(
                *seq,
                Record {
                    partition_key: "k",
                    data: &data,
                },
            )
        })
        .count();
    assert_eq!(pushed, 5);
}

proptest! {
    #[test]
    fn any_first_records_make_a_body_and_the_undelivered_stay_as_they_were(
        records in prop::collection::vec(("\\PC{1,9}", prop::collection::vec(any::<u8>(), 1..40), any::<bool>()), 1..20),
        count in 1usize..20,
        wire in prop::sample::select(vec![Wire::Json, Wire::Cbor]),
    ) {
        // Given a batch of some records
        let mut batch = Batch::new("posts", wire);
        for (seq, (key, data, _)) in records.iter().enumerate() {
            let fits = batch.push(seq as u64, Record { partition_key: key, data });
            prop_assert!(fits);
            prop_assert_eq!(&*batch.partition_key(seq), key.as_str());
        }
        let expect = |wanted: &[(String, Vec<u8>)]| -> Value {
            let entry = |(key, data): &(String, Vec<u8>)| json!({"PartitionKey": key, "Data": STANDARD.encode_to_string(data)});
            match wanted {
                [one] => {
                    let mut body = entry(one);
                    body["StreamName"] = json!("posts");
                    body
                }
                many => json!({"StreamName": "posts", "Records": many.iter().map(entry).collect::<Vec<_>>()}),
            }
        };
        let all: Vec<_> = records.iter().map(|(key, data, _)| (key.clone(), data.clone())).collect();

        // When the first few are sent, then those are kept that did not arrive
        let count = count.min(records.len());
        prop_assert_eq!(parsed(&mut batch, count, "").1, expect(&all[..count]));
        let classes: Vec<_> =
            records[..count].iter().map(|(_, _, ok)| if *ok { Class::Delivered } else { Class::Retry }).collect();
        batch.keep_undelivered(&classes);

        // Then exactly the others are left, in order, and make a body again
        let left: Vec<_> = records.iter().enumerate().filter(|(i, (_, _, ok))| *i >= count || !ok).collect();
        let seqs: Vec<_> = batch.entries().iter().map(|entry| entry.seq).collect();
        prop_assert_eq!(seqs, left.iter().map(|(i, _)| *i as u64).collect::<Vec<_>>());
        if !left.is_empty() {
            let left: Vec<_> = left.into_iter().map(|(_, (key, data, _))| (key.clone(), data.clone())).collect();
            prop_assert_eq!(parsed(&mut batch, left.len(), "").1, expect(&left));
        }
    }
}

#[test]
fn in_cbor_strings_of_every_length_have_the_shortest_head() {
    for length in [0, 1, 23, 24, 255, 256, 65_535, 65_536, 1 << 20] {
        // Given a record with data of that length
        let data = vec![b'x'; length];
        let mut batch = Batch::new("posts", Wire::Cbor);
        let record = Record {
            partition_key: "k",
            data: &data,
        };
        batch.push(1, record);
        // When it is written
        let (_, body) = batch.body(1, "");
        // Then the head is the one for that length
        let mut expected = b"\x64Data".to_vec();
        byte_string_head(length, &mut expected);
        expected.extend(&data);
        assert!(body.ends_with(&expected), "{length}");
    }
}

/// The head of a byte string, as the table of RFC 8949 has it.
fn byte_string_head(length: usize, head: &mut Vec<u8>) {
    match length {
        0..=23 => head.push(0x40 + length as u8),
        24..=0xff => head.extend([0x58, length as u8]),
        0x100..=0xffff => head.extend([&[0x59], &(length as u16).to_be_bytes()[..]].concat()),
        _ => head.extend([&[0x5a], &(length as u32).to_be_bytes()[..]].concat()),
    }
}
