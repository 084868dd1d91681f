use super::*;

const PAGE: &str = r#"{"data":[{"id":"11","text":"first \ud83c\udf55","author_id":"1"},{"author_id":"2","id":"13","text":"RT @c: cu…","referenced_tweets":[{"type":"retweeted","id":"5"}]},{"id":"12","text":"nobody's","author_id":"9"}],"includes":{"users":[{"id":"1","username":"a"},{"id":"2","username":"b"},{"id":"3","username":"c"}],"tweets":[{"id":"5","text":"whole","author_id":"3"},{"id":"6","text":"another's","author_id":"1"}]},"meta":{"result_count":3,"next_token":"b26v89","newest_id":"13"}}"#;

const RULES: &str = r#"[{"id":"127","tag":"headwater:pizza"}]"#;

#[test]
fn a_page_becomes_the_lines_that_the_stream_gives() {
    let page = Page::parse(PAGE).unwrap();
    let lines: Vec<_> = page
        .posts
        .iter()
        .map(|post| page.line(post, RULES))
        .collect();
    assert_eq!(
        lines,
        [
            // Newest first; a retweet with what it repeats, and with both authors
            r#"{"data":{"author_id":"2","id":"13","text":"RT @c: cu…","referenced_tweets":[{"type":"retweeted","id":"5"}]},"includes":{"users":[{"id":"2","username":"b"},{"id":"3","username":"c"}],"tweets":[{"id":"5","text":"whole","author_id":"3"}]},"matching_rules":[{"id":"127","tag":"headwater:pizza"}]}"#,
            // An author who cannot be shown
            r#"{"data":{"id":"12","text":"nobody's","author_id":"9"},"matching_rules":[{"id":"127","tag":"headwater:pizza"}]}"#,
            r#"{"data":{"id":"11","text":"first \ud83c\udf55","author_id":"1"},"includes":{"users":[{"id":"1","username":"a"}]},"matching_rules":[{"id":"127","tag":"headwater:pizza"}]}"#,
        ]
    );
    assert_eq!(page.next.as_deref(), Some("b26v89"));
}

#[test]
fn odd_shapes_cost_no_post() {
    let table = [
        (r#"{"meta":{"result_count":0}}"#, 0, None),
        (r#"{"data":null,"includes":[],"meta":7}"#, 0, None),
        (r#"{"data":[],"meta":{"next_token":"on"}}"#, 0, Some("on")),
        (
            r#"{"data":[{"id":7},{"text":"no id"},null],"includes":{"users":{}}}"#,
            3,
            None,
        ),
    ];
    for (answer, posts, next) in table {
        let page = Page::parse(answer).unwrap();
        assert_eq!(page.posts.len(), posts, "{answer}");
        assert_eq!(page.next.as_deref(), next, "{answer}");
    }
    let page = Page::parse(table[3].0).unwrap();
    assert_eq!(page.posts[0].id, Some(7));
    assert_eq!(
        page.line(&page.posts[0], "[]"),
        r#"{"data":{"id":7},"matching_rules":[]}"#
    );
    assert!(Page::parse("<html>").is_err());
}

#[test]
fn what_is_asked_names_the_gap_and_the_keyword() {
    let gap = Gap {
        after: 5,
        until: 99,
    };
    assert_eq!(
        path(
            "\"deep dish\" café",
            gap,
            100,
            Some("a+b"),
            "user.fields=name"
        ),
        "/2/tweets/search/recent?query=%22deep%20dish%22%20caf%C3%A9&since_id=5&until_id=99&max_results=100\
         &sort_order=recency&user.fields=name&next_token=a%2Bb"
    );
}
