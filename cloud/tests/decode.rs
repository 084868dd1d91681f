//! What each record becomes: a corpus of events with their items, and properties of all bytes.

#[path = "support/corpus.rs"]
#[allow(dead_code, reason = "packs have tests of their own")]
mod corpus;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use aws_sdk_dynamodb::types::AttributeValue;
use chrono::{DateTime, Utc};
use cloud::decode::decode;
use cloud::item::{Item, MAX_ITEM_BYTES, Write};
use corpus::Event;
use proptest::prelude::*;
use serde_json::{Value, json};

static EVENTS: LazyLock<Vec<Event>> = LazyLock::new(corpus::events);

fn arrived_at() -> DateTime<Utc> {
    "2026-01-15T12:00:00Z".parse().unwrap()
}

/// A record's outcome in the corpus's form.
fn outcome(data: &[u8]) -> Value {
    match decode(data, arrived_at()) {
        Ok(Some(Write::Put(item))) => json!({"put": strings(item.attributes())}),
        Ok(Some(write @ Write::Delete(_))) => json!({"delete": strings(write.attributes())}),
        Ok(None) => json!({"ignored": true}),
        Err(reason) => json!({"reason": format!("{reason:#}")}),
    }
}

fn strings(
    attributes: impl IntoIterator<Item = (String, AttributeValue)>,
) -> BTreeMap<String, String> {
    let text = |value: AttributeValue| value.as_s().expect("a string").clone();
    attributes
        .into_iter()
        .map(|(name, value)| (name, text(value)))
        .collect()
}

#[test]
fn every_event_of_the_corpus_becomes_what_stands_beside_it() {
    let mut wrong = Vec::new();
    for Event {
        name,
        data,
        expected,
    } in EVENTS.iter()
    {
        let outcome = outcome(data);
        if outcome != *expected {
            wrong.push(format!("{name}\nbecame   {outcome}\nexpected {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn a_repeated_delivery_has_the_same_key() {
    let later = arrived_at() + chrono::TimeDelta::hours(5);
    for Event { name, data, .. } in EVENTS.iter() {
        let key = |at| Some(decode(data, at).ok()??.key().clone());
        assert_eq!(key(arrived_at()), key(later), "{name}");
    }
}

/// The size of an item, as DynamoDB counts it.
fn size(item: &Item) -> usize {
    let length = |value: &AttributeValue| match value {
        AttributeValue::S(text) => text.len(),
        AttributeValue::N(number) => number.len() / 2 + 2,
        other => panic!("{other:?}"),
    };
    item.attributes()
        .iter()
        .map(|(name, value)| name.len() + length(value))
        .sum()
}

fn put(event: Value) -> Item {
    match decode(event.to_string().as_bytes(), arrived_at()).unwrap() {
        Some(Write::Put(mut item)) => {
            item.expires_at = Some(arrived_at());
            item
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_text_of_1_mib_is_shortened_with_a_mark_between_two_characters() {
    // All four sizes of a character, so that the cut would fall within one if it could.
    for (text, character) in [("p", 1), ("é", 2), ("ピ", 3), ("🍕", 4)] {
        let text = text.repeat((1 << 20) / character);
        let events = [
            json!({"data": {"id": "1", "text": text}}),
            json!({"id_str": "1", "user": {}, "text": text}),
            json!({"headwater": 1, "id": "01K", "from": "pi", "line": text}),
            json!({"did": "did:plc:d", "kind": "commit", "commit": {"collection": "app.bsky.feed.post",
                "operation": "create", "rkey": "r", "record": {"text": text}}}),
        ];
        for event in events {
            let item = put(event);
            let size = size(&item);
            assert!(size <= MAX_ITEM_BYTES, "{size} bytes");
            assert!(
                size > MAX_ITEM_BYTES - 20,
                "only {size} bytes: more than needed was cut"
            );
            let mark = format!("… [shortened: the whole text has {} bytes]", text.len());
            let kept = item.message.strip_suffix(&mark).expect("the mark");
            assert!(text.starts_with(kept));
        }
    }
}

#[test]
fn the_longest_text_that_fits_is_kept_whole() {
    let post = |length| json!({"data": {"id": "1", "text": "p".repeat(length)}});
    let room = MAX_ITEM_BYTES - size(&put(post(0))) - 30;
    assert_eq!(put(post(room)).message.len(), room);
}

/// Every place in a JSON value, as the path that leads there.
fn places(value: &Value, here: String, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                places(field, format!("{here}/{name}"), found);
            }
        }
        Value::Array(elements) => {
            for (n, element) in elements.iter().enumerate() {
                places(element, format!("{here}/{n}"), found);
            }
        }
        _ => {}
    }
    found.push(here);
}

#[test]
fn a_wrong_type_in_any_field_leaves_a_sound_item_or_a_reason() {
    let wrong = [
        json!(null),
        json!(true),
        json!(-1),
        json!(u64::MAX),
        json!(1.5),
        json!(""),
        json!("x".repeat(5000)),
        json!([]),
        json!([[1]]),
        json!({}),
        json!({"id": {"id": []}}),
    ];
    let mut tried = 0;
    for event in EVENTS.iter() {
        let Ok(event) = serde_json::from_slice::<Value>(&event.data) else {
            continue;
        };
        let mut everywhere = Vec::new();
        places(&event, String::new(), &mut everywhere);
        for place in everywhere {
            for wrong in &wrong {
                let mut event = event.clone();
                *event.pointer_mut(&place).unwrap() = wrong.clone();
                if let Ok(Some(write)) = decode(event.to_string().as_bytes(), arrived_at()) {
                    assert_sound(&write);
                }
                tried += 1;
            }
        }
    }
    assert!(tried > 5000, "only {tried} were tried");
}

/// What DynamoDB demands of every item.
fn assert_sound(write: &Write) {
    let key = strings(write.key().attributes());
    assert!((1..=2048).contains(&key["Username"].len()));
    assert!((1..=1024).contains(&key["Id"].len()));
    if let Write::Put(item) = write {
        assert!(size(item) <= MAX_ITEM_BYTES);
    }
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(data: Vec<u8>) {
        if let Ok(Some(write)) = decode(&data, arrived_at()) {
            assert_sound(&write);
        }
    }

    #[test]
    fn no_change_of_a_real_event_makes_it_panic(
        which: prop::sample::Index,
        at: prop::sample::Index,
        cut in 0..20_usize,
        put: Vec<u8>,
    ) {
        let mut event = which.get(&EVENTS).data.clone();
        let at = at.index(event.len() + 1);
        event.splice(at..event.len().min(at + cut), put);
        if let Ok(Some(write)) = decode(&event, arrived_at()) {
            assert_sound(&write);
        }
    }

    #[test]
    fn every_text_arrives_as_it_was_written(text: String) {
        let escaped = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        prop_assert_eq!(&put(json!({"data": {"id": "1", "text": escaped}})).message, &text);
        let line = json!({"headwater": 1, "id": "01K", "from": "pi", "line": text});
        prop_assert_eq!(&put(line).message, &text);
    }

    #[test]
    fn utf_16_with_halves_missing_arrives_with_a_mark_for_each(
        // Of the units, a fifth each are leading and trailing halves, so that pairs do occur.
        units in prop::collection::vec(
            prop_oneof![
                3 => 0x20..0xD800_u16,
                1 => 0xD800..0xDC00_u16,
                1 => 0xDC00..0xE000_u16,
            ],
            0..20,
        )
    ) {
        let escaped: String = units.iter().map(|unit| format!("\\u{unit:04x}")).collect();
        let event = format!(r#"{{"headwater":1,"id":"01K","from":"pi","line":"{escaped}"}}"#);
        let Ok(Some(Write::Put(item))) = decode(event.as_bytes(), arrived_at()) else {
            panic!("{event}");
        };
        prop_assert_eq!(item.message, String::from_utf16_lossy(&units));
    }
}
