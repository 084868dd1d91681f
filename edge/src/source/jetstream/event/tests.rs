use super::*;

/// An event with a post, with `{}` in the place of its time.
const TIMED: &str = r#"{"did":"did:plc:cat","time_us":{},"kind":"commit","commit":{"operation":"create","collection":"app.bsky.feed.post","rkey":"3m6","record":{"text":"pizza"}}}"#;

fn text_of(message: &str) -> Option<String> {
    let event = parse(message).unwrap_or_else(|error| panic!("{error}: {message}"));
    let mut buffer = "of the post before".to_owned();
    event.post_text(&mut buffer).map(str::to_owned)
}

#[test]
fn a_post_is_read_as_jetstream_sends_it() {
    let message = r#"{"did":"did:plc:cat","time_us":1763689821449193,"kind":"commit","commit":{"rev":"3m64","operation":"create","collection":"app.bsky.feed.post","rkey":"3m64666fhis2e","record":{"$type":"app.bsky.feed.post","createdAt":"2025-11-21T01:50:04.166Z","langs":["ja"],"facets":[{"features":[{"tag":"x"}],"index":{"byteEnd":3,"byteStart":0}}],"text":"a \"pizza\"\n🍕 \ud83c\udf55"},"cid":"bafy"}}"#;
    let event = parse(message).unwrap();
    assert_eq!(&*event.did, "did:plc:cat");
    assert_eq!(event.time_us, 1_763_689_821_449_193);
    assert_eq!(text_of(message).as_deref(), Some("a \"pizza\"\n🍕 🍕"));
}

#[test]
fn a_time_is_read_however_it_is_written_and_never_costs_the_event() {
    let table = [
        ("1763689821449193", 1_763_689_821_449_193),
        ("\"1763689821449193\"", 1_763_689_821_449_193),
        ("1763689821449193.0", 1_763_689_821_449_193),
        ("1763689821449193.75", 1_763_689_821_449_193),
        ("\"1763689821449193.75\"", 1_763_689_821_449_193),
        ("1.763689821449193e15", 1_763_689_821_449_193),
        ("18446744073709551615", u64::MAX),
        ("18446744073709551616", 0),
        ("1e999", 0),
        ("-5", 0),
        ("-0.5", 0),
        ("null", 0),
        ("true", 0),
        ("\"\"", 0),
        ("\"yesterday\"", 0),
        ("\"NaN\"", 0),
        ("\"\\ud800\"", 0),
        ("[1763689821449193]", 0),
        (r#"{"us":1763689821449193}"#, 0),
    ];
    for (time, time_us) in table {
        let message = TIMED.replacen("{}", time, 1);
        assert_eq!(parse(&message).unwrap().time_us, time_us, "{time}");
        assert_eq!(text_of(&message).as_deref(), Some("pizza"), "{time}");
    }
    let message = TIMED.replacen(r#""time_us":{},"#, "", 1);
    assert_eq!(parse(&message).unwrap().time_us, 0);
    assert_eq!(text_of(&message).as_deref(), Some("pizza"));
}

#[test]
fn an_odd_shape_of_what_is_not_needed_never_costs_the_post() {
    let deep = "[".repeat(10_000) + &"]".repeat(10_000);
    let deep_objects = r#"{"a":"#.repeat(10_000) + "1" + &"}".repeat(10_000);
    let odd = [
        "null",
        "true",
        "7",
        "-7.5",
        "1e999",
        "\"\"",
        "\"text\"",
        "[]",
        "{}",
        r#"[{"a":[]}]"#,
        r#"{"a":{"a":1}}"#,
        r#""\ud83c""#,
        r#"{"\ud83c":"\udf55"}"#,
        r#"["\udf55"]"#,
        &deep,
        &deep_objects,
    ];
    for odd in odd {
        for message in [
            format!(
                r#"{{"kind":{odd},"identity":{odd},"did":"did:plc:cat","time_us":5,"commit":{{"collection":"app.bsky.feed.post","record":{{"text":"pizza"}}}}}}"#
            ),
            format!(
                r#"{{"did":"did:plc:cat","time_us":5,"commit":{{"rev":{odd},"operation":{odd},"rkey":{odd},"cid":{odd},"collection":"app.bsky.feed.post","record":{{"text":"pizza"}}}}}}"#
            ),
            format!(
                r#"{{"did":"did:plc:cat","time_us":5,"commit":{{"collection":"app.bsky.feed.post","record":{{"langs":{odd},"facets":{odd},"embed":{odd},"reply":{odd},"createdAt":{odd},"text":"pizza"}}}}}}"#
            ),
        ] {
            let event = parse(&message).unwrap_or_else(|error| panic!("{error}: {message:.300}"));
            assert_eq!(
                (&*event.did, event.time_us),
                ("did:plc:cat", 5),
                "{message:.300}"
            );
            assert_eq!(
                text_of(&message).as_deref(),
                Some("pizza"),
                "{message:.300}"
            );
        }
    }
}

#[test]
fn what_is_no_post_has_no_text_and_still_a_time() {
    for rest in [
        r#""kind":"identity","identity":{"did":"did:plc:cat","handle":"cat.example","seq":1}"#,
        r#""kind":"account","account":{"active":true}"#,
        r#""commit":{"operation":"delete","collection":"app.bsky.feed.post","rkey":"3m6"}"#,
        r#""commit":{"collection":"app.bsky.feed.like","record":{"text":"pizza"}}"#,
        r#""commit":{"collection":"app.bsky.feed.post","record":null}"#,
        r#""commit":{"collection":"app.bsky.feed.post","record":"pizza"}"#,
        r#""commit":{"collection":"app.bsky.feed.post","record":["pizza"]}"#,
        r#""commit":{"collection":"app.bsky.feed.post","record":{}}"#,
        r#""commit":{"collection":7,"record":{"text":"pizza"}}"#,
        r#""commit":{"record":{"text":"pizza"}}"#,
        r#""commit":null"#,
        r#""commit":"pizza""#,
        r#""commit":[{"collection":"app.bsky.feed.post","record":{"text":"pizza"}}]"#,
    ] {
        let message = format!(r#"{{"did":"did:plc:cat","time_us":5,{rest}}}"#);
        assert_eq!(parse(&message).unwrap().time_us, 5, "{message}");
        assert_eq!(text_of(&message), None, "{message}");
    }
    for odd in ["7", "null", "[\"pizza\"]", r#"{"pizza":1}"#] {
        let message = format!(
            r#"{{"time_us":5,"commit":{{"collection":"app.bsky.feed.post","record":{{"text":{odd}}}}}}}"#
        );
        assert_eq!(text_of(&message).as_deref(), Some(""), "{message}");
    }
}

#[test]
fn half_a_character_becomes_a_replacement_character() {
    let table = [
        (r"pizza \ud83c", "pizza \u{fffd}"),
        (r"\udf55 pizza", "\u{fffd} pizza"),
        (r"\ud83c\ud83c\udf55", "\u{fffd}🍕"),
        (r"\\ud83c", "\\ud83c"),
    ];
    for (escaped, text) in table {
        let message = format!(
            r#"{{"did":"did:{escaped}","time_us":5,"commit":{{"collection":"app.bsky.feed.post","record":{{"text":"{escaped}"}}}}}}"#
        );
        assert_eq!(text_of(&message).as_deref(), Some(text), "{escaped}");
        assert_eq!(*parse(&message).unwrap().did, *format!("did:{text}"));
    }
}

#[test]
fn of_members_with_one_name_the_last_counts() {
    let message = r#"{"time_us":1,"did":"did:plc:dog","commit":{"collection":"app.bsky.feed.like"},"time_us":5,"did":"did:plc:cat",
        "commit":{"collection":7,"record":{"text":"pasta"},"record":{"text":"pasta","text":"pizza"},"\u0063ollection":"app.bsky.feed.post"}}"#;
    let event = parse(message).unwrap();
    assert_eq!((&*event.did, event.time_us), ("did:plc:cat", 5));
    assert_eq!(text_of(message).as_deref(), Some("pizza"));
}

#[test]
fn what_is_no_object_is_no_event() {
    for message in [
        "",
        "7",
        "null",
        "\"text\"",
        "[]",
        "{",
        r#"{"did":}"#,
        "{} {}",
        r#"{"did":"a"},"#,
        "<html>",
    ] {
        assert!(parse(message).is_err(), "{message}");
    }
}
