use super::*;

fn post(line: &str) -> Post<'_> {
    match parse(line.as_bytes()).unwrap() {
        Message::Post(post) => post,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_partition_key_is_the_authors_name_or_the_next_best() {
    let table = [
        (
            r#"{"data":{"id":"1","author_id":"98"},"includes":{"users":[{"id":"98","username":"cat"}]}}"#,
            "cat",
        ),
        (
            r#"{"includes":{"users":[{"id":"97","username":"dog"},{"username":"cat","id":"98"}]},"data":{"author_id":"98","id":"1"}}"#,
            "cat",
        ),
        (
            r#"{"data":{"id":"1","author_id":"98"},"includes":{"users":[{"id":"97","username":"dog"}]}}"#,
            "98",
        ),
        (
            r#"{"data":{"id":"1","author_id":"98"},"includes":{}}"#,
            "98",
        ),
        (
            r#"{"data":{"id":"1","author_id":"98"},"includes":null,"errors":[{"title":"Forbidden"}]}"#,
            "98",
        ),
        (r#"{"data":{"id":"1"}}"#, "1"),
        // Numbers keep all their digits.
        (
            r#"{"data":{"id":1990712345678901234,"author_id":98},"includes":{"users":[{"id":"98","username":"cat"}]}}"#,
            "cat",
        ),
        (
            r#"{"data":{"id":1990712345678901234}}"#,
            "1990712345678901234",
        ),
        // A key must not be empty.
        (r#"{"data":{}}"#, "x"),
        (r#"{"data":{"id":null,"author_id":""}}"#, "x"),
    ];
    for (line, key) in table {
        assert_eq!(post(line).partition_key(), key, "{line}");
    }
}

#[test]
fn the_whole_text_is_shown_under_old_and_new_names() {
    let table = [
        (r#"{"data":{"text":"short \ud83c\udf55\n"}}"#, "short 🍕\n"),
        (
            r#"{"data":{"text":"shor…","note_tweet":{"text":"short \"and\" long"}}}"#,
            "short \"and\" long",
        ),
        (
            r#"{"data":{"text":"shor…","note_post":{"entities":{"urls":[]},"text":"long"},"edit_history_post_ids":["1"]},"includes":{"posts":[{}]}}"#,
            "long",
        ),
        (
            r#"{"data":{"text":"shor…","note_tweet":{"text":"long"},"note_post":{"text":"long"}}}"#,
            "long",
        ),
        (r#"{"data":{"text":"short","note_tweet":{}}}"#, "short"),
        (
            r#"{"data":{"text":"short","note_tweet":{"text":null},"note_post":{"text":"long"}}}"#,
            "long",
        ),
        (r#"{"data":{"text":"half \ud83c"}}"#, "half \u{fffd}"),
        (r#"{"data":{"text":7}}"#, ""),
        (r#"{"data":{}}"#, ""),
    ];
    for (line, text) in table {
        assert_eq!(post(line).text(), text, "{line}");
    }
}

#[test]
fn only_posts_that_this_programs_rule_brought_are_its_own() {
    let table = [
        (
            r#"{"data":{},"matching_rules":[{"id":"1","tag":"headwater:pizza"}]}"#,
            true,
        ),
        (
            r#"{"data":{},"matching_rules":[{"id":"7","tag":"theirs"},{"id":"1","tag":"headwater:pizza"}]}"#,
            true,
        ),
        (
            r#"{"data":{},"matching_rules":[{"id":"7","tag":"theirs"}]}"#,
            false,
        ),
        (
            r#"{"data":{},"matching_rules":[{"id":"7","tag":"headwater:pasta"}]}"#,
            false,
        ),
        (r#"{"data":{},"matching_rules":[{"id":"7"}]}"#, true),
        (r#"{"data":{},"matching_rules":[]}"#, true),
        (r#"{"data":{}}"#, true),
    ];
    for (line, is_own) in table {
        assert_eq!(post(line).is_tagged("headwater:pizza"), is_own, "{line}");
    }
}

#[test]
fn an_odd_shape_of_what_is_not_needed_never_costs_a_post() {
    let deep = "[".repeat(10_000) + &"]".repeat(10_000);
    let odd = [
        "null",
        "true",
        "7",
        "-7.5",
        "1e99",
        "\"\"",
        "\"text\"",
        "[]",
        "{}",
        "[[]]",
        "[null,7,\"a\",{}]",
        r#"{"a":{"a":1}}"#,
        r#"{"\ud83c":"\udf55"}"#,
        &deep,
    ];
    // Each member of which the program reads something, and one it does not.
    let places = [
        r#"{"data":{"id":"1","author_id":"98","text":"pizza","lang":ODD}}"#,
        r#"{"data":{"id":"1","author_id":"98","text":"pizza","note_tweet":ODD}}"#,
        r#"{"data":{"id":"1","author_id":"98","text":"pizza","note_post":ODD}}"#,
        r#"{"data":{"id":"1","author_id":"98","text":"pizza","note_tweet":{"text":"pizza","entities":ODD}}}"#,
        r#"{"data":{"id":ODD,"author_id":"98","text":"pizza"}}"#,
        r#"{"data":{"id":"1","author_id":"98","text":"pizza"},"includes":ODD}"#,
        r#"{"data":{"id":"1","author_id":"98","text":"pizza"},"includes":{"users":ODD}}"#,
        r#"{"data":{"id":"1","author_id":"98","text":"pizza"},"includes":{"users":[ODD,{"id":ODD,"username":ODD},{"id":"98","username":ODD,"username":"98"}]}}"#,
        r#"{"data":{"id":"1","author_id":"98","text":"pizza"},"includes":{"tweets":ODD}}"#,
        r#"{"data":{"id":"1","author_id":"98","text":"pizza"},"matching_rules":[ODD,{"id":"1","tag":"headwater:pizza"}]}"#,
        r#"{"data":{"id":"1","author_id":"98","text":"pizza"},"matching_rules":[{"id":ODD,"tag":"headwater:pizza"}]}"#,
        r#"{"errors":ODD,"data":{"id":"1","author_id":"98","text":"pizza"}}"#,
        r#"{"data":ODD,"data":{"id":ODD,"author_id":"98","id":"1","text":ODD,"text":"pizza"}}"#,
        r#"{"ODD":ODD,"\ud83c":1,"data":{"id":"1","author_id":"98","text":"pizza"}}"#,
    ];
    for place in places {
        for odd in odd {
            let line = place.replace("\"ODD\"", "\"new\"").replace("ODD", odd);
            let post = match parse(line.as_bytes()) {
                Ok(Message::Post(post)) => post,
                other => panic!("{other:?}: {line:.300}"),
            };
            assert_eq!(post.partition_key(), "98", "{line:.300}");
            assert_eq!(post.text(), "pizza", "{line:.300}");
            assert!(post.is_tagged("headwater:pizza"), "{line:.300}");
        }
    }
    // Nor do rules in an odd shape: a post without rules is taken for this program's own.
    for odd in [
        "null",
        "7",
        "\"\"",
        "{}",
        "[]",
        "[null]",
        "[{}]",
        r#"[{"tag":null}]"#,
    ] {
        let line = format!(r#"{{"data":{{"author_id":"98"}},"matching_rules":{odd}}}"#);
        assert!(post(&line).is_tagged("headwater:pizza"), "{odd}");
    }
}

#[test]
fn other_messages_are_told_apart_and_none_is_a_panic() {
    assert!(matches!(
        parse(br#"{"errors":[{"title":"operational-disconnect"}]}"#),
        Ok(Message::ApiError(ApiError::Network(_)))
    ));
    assert!(matches!(
        parse(br#"{"warning":{"code":"FALLING_BEHIND"}}"#),
        Ok(Message::Other)
    ));
    for line in [
        "{}",
        r#"{"data":null}"#,
        r#"{"data":"","errors":null}"#,
        r#"{"data":[{"id":"1"}]}"#,
    ] {
        assert!(
            matches!(parse(line.as_bytes()), Ok(Message::Other)),
            "{line}"
        );
    }
    for line in [
        &b"7"[..],
        b"<html>",
        b"{\"data\":",
        b"{\"data\":{\"id\":\"\xff\"}}",
    ] {
        assert!(parse(line).is_err(), "{line:?}");
    }
}

#[test]
fn a_retweet_is_shown_with_the_whole_text_it_repeats() {
    let table = [
        (
            r#"{"data":{"id":"2","text":"RT @cat: cut…","referenced_tweets":[{"type":"retweeted","id":"1"}]},"includes":{"tweets":[{"id":"3","text":"other"},{"id":"1","text":"cut…","note_tweet":{"text":"cut no more"}}]}}"#,
            "cut no more",
        ),
        // What is quoted or answered is another post
        (
            r#"{"data":{"id":"2","text":"look","referenced_tweets":[{"type":"quoted","id":"1"}]},"includes":{"tweets":[{"id":"1","text":"at this"}]}}"#,
            "look",
        ),
        // A post that cannot be shown, and the new names
        (
            r#"{"data":{"id":"2","text":"RT @cat: cut…","referenced_tweets":[{"type":"retweeted","id":"1"}]}}"#,
            "RT @cat: cut…",
        ),
        (
            r#"{"data":{"id":"2","text":"RT @cat: cut…","referenced_posts":[{"type":"retweeted","id":"1"}]},"includes":{"posts":[{"id":"1","text":"whole"}]}}"#,
            "whole",
        ),
        (
            r#"{"data":{"id":"2","text":"mine","referenced_tweets":"?"},"includes":{"tweets":[null,7]}}"#,
            "mine",
        ),
    ];
    for (line, text) in table {
        assert_eq!(post(line).text(), text, "{line}");
    }
}
