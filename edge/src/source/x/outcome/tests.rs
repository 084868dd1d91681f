use std::time::UNIX_EPOCH;

use super::*;

const NO_WAIT: Wait = Wait(None);

fn person(trouble: &ApiError) -> &str {
    match trouble {
        ApiError::Person(what) => what,
        other => panic!("{other:?} is no matter for a person"),
    }
}

#[test]
fn the_status_decides_where_x_names_no_problem() {
    let wait = Wait(Some(Duration::from_secs(77)));
    let limited = ApiError::Limited {
        wait: Some(Duration::from_secs(77)),
    };
    let rate_limit = r#"{"errors":[{"code":88,"message":"Rate limit exceeded"}]}"#;
    assert_eq!(of_answer(429, wait, rate_limit), limited);
    assert_eq!(of_answer(420, wait, "Enhance your calm"), limited);
    assert_eq!(of_answer(409, wait, "{}"), ApiError::NoRules);
    assert_eq!(
        of_answer(401, wait, r#"{"title":"Unauthorized"}"#),
        ApiError::Unauthorized
    );
    for status in [500, 502, 503, 504, 408] {
        assert!(
            matches!(of_answer(status, wait, "<html>"), ApiError::Server(_)),
            "{status}"
        );
    }
    for status in [302, 400, 403, 404, 410] {
        assert!(
            matches!(of_answer(status, wait, ""), ApiError::Person(_)),
            "{status}"
        );
    }
}

#[test]
fn another_connection_in_the_way_is_no_rate_limit() {
    let body = r#"{"title":"ConnectionException","detail":"This stream is currently at the maximum allowed connection limit.","connection_issue":"TooManyConnections","type":"https://api.x.com/2/problems/streaming-connection"}"#;
    assert_eq!(of_answer(429, NO_WAIT, body), ApiError::Occupied);
    let nested = format!(r#"{{"errors":[{body}]}}"#);
    assert_eq!(of_answer(429, NO_WAIT, &nested), ApiError::Occupied);
    assert_eq!(of_stream(&format!("[{body}]")), ApiError::Occupied);
}

#[test]
fn what_a_person_must_do_is_said_whatever_the_status() {
    let table = [
        (
            429,
            r#"{"title":"UsageCapExceeded","period":"Monthly"}"#,
            "raise the cap",
        ),
        (
            429,
            r#"{"type":"https://api.x.com/2/problems/usage-capped"}"#,
            "raise the cap",
        ),
        (402, r#"{"title":"CreditsDepleted"}"#, "buy some"),
        (402, "", "buy some"),
        (
            403,
            r#"{"title":"Client Forbidden","reason":"client-not-enrolled","detail":"Use an app in a\nProject."}"#,
            "(Use an app in a Project.): in the developer console",
        ),
        (
            403,
            r#"{"type":"https://api.x.com/2/problems/client-forbidden"}"#,
            "access to the filtered stream",
        ),
        (404, "", "check X_API_URL"),
    ];
    for (status, body, expected) in table {
        let trouble = of_answer(status, NO_WAIT, body);
        let what = person(&trouble);
        assert!(what.contains(expected), "{status} {body}: {what}");
        assert_eq!(what.lines().count(), 1);
    }
}

#[test]
fn a_message_in_the_stream_ends_the_connection_and_no_more() {
    let disconnect = r#"[{"title":"operational-disconnect","disconnect_type":"UpstreamOperationalDisconnect","detail":"This stream has been disconnected upstream for operational reasons."}]"#;
    let ApiError::Network(what) = of_stream(disconnect) else {
        panic!("it is no matter of the network");
    };
    assert_eq!(
        what,
        "X ends the stream (This stream has been disconnected upstream for operational reasons.)"
    );
    for unknown in ["[]", "{}", "null", r#"["text"]"#, r#"[{"title":7}]"#] {
        assert!(
            matches!(of_stream(unknown), ApiError::Network(_)),
            "{unknown}"
        );
    }
    assert!(matches!(
        of_stream(r#"[{"title":"UsageCapExceeded"}]"#),
        ApiError::Person(_)
    ));
}

#[test]
fn the_wait_is_counted_by_the_servers_clock() {
    let wait = |headers: &[(&'static str, &str)], now_secs| {
        let headers = headers
            .iter()
            .map(|(name, value)| {
                (
                    ureq::http::HeaderName::from_static(name),
                    value.parse().unwrap(),
                )
            })
            .collect();
        Wait::of(&headers, UNIX_EPOCH + Duration::from_secs(now_secs)).0
    };
    let secs = |secs| Some(Duration::from_secs(secs));
    let date = ("date", "Thu, 15 Jan 2026 10:35:00 GMT");
    // 100 s after that
    let reset = ("x-rate-limit-reset", "1768473400");
    assert_eq!(wait(&[reset, date], 0), secs(101), "a board in 1970");
    assert_eq!(
        wait(&[reset], 1_768_473_390),
        secs(11),
        "a server without a clock"
    );
    assert_eq!(wait(&[reset], 1_768_473_500), None, "it is over");
    assert_eq!(
        wait(&[reset], 0),
        secs(16 * 60),
        "no longer than the window"
    );
    assert_eq!(wait(&[("x-rate-limit-reset", "soon")], 0), None);
    assert_eq!(wait(&[date], 0), None);
}

#[test]
fn what_the_search_refuses_is_told_from_what_heals() {
    let limited = NoPage::Trouble(ApiError::Limited { wait: None });
    let allowed = |said: &str| NoPage::NotAllowed(said.to_owned());
    let table = [
        (
            403,
            r#"{"title":"Client Forbidden","detail":"no project"}"#,
            allowed(" (no project)"),
        ),
        (
            400,
            r#"{"title":"Invalid Request","errors":[{"message":"'since_id' must be larger"}]}"#,
            NoPage::TooOld,
        ),
        (
            400,
            r#"{"title":"Invalid Request","detail":"query too long"}"#,
            allowed(" (query too long)"),
        ),
        (404, "", allowed("")),
        (429, "", limited),
        (401, "", NoPage::Trouble(ApiError::Unauthorized)),
    ];
    for (status, body, expected) in table {
        assert_eq!(
            of_search(status, Wait(None), body),
            expected,
            "{status} {body}"
        );
    }
    // An account without credits is no plan without the search
    let empty = of_search(403, Wait(None), r#"{"title":"CreditsDepleted"}"#);
    assert!(
        matches!(empty, NoPage::Trouble(ApiError::Person(_))),
        "{empty:?}"
    );
}

#[test]
fn the_last_call_of_a_window_says_how_long_to_wait() {
    let now = UNIX_EPOCH + Duration::from_secs(1_000);
    let headers = |left: &'static str| {
        let mut headers = HeaderMap::new();
        headers.insert("x-rate-limit-remaining", left.parse().unwrap());
        headers.insert("x-rate-limit-reset", "1010".parse().unwrap());
        headers
    };
    assert_eq!(used_up(&headers("0"), now), Some(Duration::from_secs(11)));
    assert_eq!(used_up(&headers("1"), now), None);
    assert_eq!(used_up(&HeaderMap::new(), now), None);
}
