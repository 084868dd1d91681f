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
        (r#"{"data":{}}"#, ""),
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
fn other_messages_are_told_apart_and_none_is_a_panic() {
    assert!(matches!(
        parse(br#"{"errors":[{"title":"operational-disconnect"}]}"#),
        Ok(Message::ApiError(ApiError::Network(_)))
    ));
    assert!(matches!(
        parse(br#"{"warning":{"code":"FALLING_BEHIND"}}"#),
        Ok(Message::Other)
    ));
    assert!(matches!(parse(b"{}"), Ok(Message::Other)));
    for line in [
        &b"7"[..],
        b"<html>",
        b"{\"data\":",
        b"{\"data\":{\"id\":\"\xff\"}}",
    ] {
        assert!(parse(line).is_err(), "{line:?}");
    }
}
