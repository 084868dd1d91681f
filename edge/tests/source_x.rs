//! The filtered stream of X, read over real sockets from a server that follows its API.

mod source_support;

use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use headwater::filter::Filter;
use headwater::http::{Endpoint, Roots};
use headwater::source::x::{Auth, Settings, X};
use source_support::*;

const TOKEN: &str = "/oauth2/token";
const RULES: &str = "/2/tweets/search/stream/rules";
const STREAM: &str = "/2/tweets/search/stream?";
const OUR_RULE: &str =
    r#"{"data":[{"id":"1","value":"pizza","tag":"headwater:pizza"}],"meta":{"sent":"now"}}"#;

fn settings(endpoint: Endpoint) -> Settings {
    Settings {
        endpoint,
        auth: Auth::Consumer {
            key: "key".to_owned(),
            secret: "secret".to_owned(),
        },
        filter: Filter::parse("pizza").unwrap(),
        max_per_day: None,
        roots: Roots::default(),
    }
}

fn post(id: usize) -> String {
    format!(
        r#"{{"data":{{"id":"{id}","text":"pizza","author_id":"98"}},"includes":{{"users":[{{"id":"98","username":"catperson"}}]}},"matching_rules":[{{"id":"1","tag":"headwater:pizza"}}]}}"#
    )
}

/// A server that gives a token, has the rule, and leaves the stream's `nth` opening, counted from 0, to `stream`.
fn x_server(stream: impl Fn(usize, &mut TcpStream) -> bool + Send + Sync + 'static) -> Server {
    let opened = AtomicUsize::new(0);
    Server::start(move |request, connection| match request.target.as_str() {
        TOKEN => answer(
            connection,
            200,
            "",
            r#"{"token_type":"bearer","access_token":"AAAA%3D"}"#,
        ),
        RULES => answer(connection, 200, "", OUR_RULE),
        target if target.starts_with(STREAM) => {
            stream(opened.fetch_add(1, Ordering::Relaxed), connection)
        }
        _ => answer(connection, 404, "", ""),
    })
}

#[test]
fn posts_arrive_as_x_sent_them_under_their_authors_name() {
    // Given a stream with a keep-alive and two posts
    let server = x_server(|_, connection| {
        begin_stream(connection);
        chunk(connection, b"\r\n");
        chunk(
            connection,
            format!("{}\r\n{}\r\n", post(1), post(2)).as_bytes(),
        );
        wait_for_close(connection);
        false
    });
    let feed = feed(Arc::default(), None);

    // When it is read
    let running = Running::start(X::new(settings(server.endpoint())), &feed);
    wait_until("two posts are read", || records(&feed).len() == 2);

    // Then both lines are there, and X was asked as it wants to be
    let expected = [1, 2].map(|id| ("catperson".to_owned(), post(id)));
    assert_eq!(records(&feed), expected);
    let token = server.wait_for(1, TOKEN);
    assert_eq!(token.headers["authorization"], "Basic a2V5OnNlY3JldA==");
    assert_eq!(token.body, "grant_type=client_credentials");
    let stream = server.wait_for(1, STREAM);
    assert_eq!(stream.headers["authorization"], "Bearer AAAA%3D");
    assert!(stream.headers["user-agent"].starts_with("headwater/"));
    assert!(!stream.headers.contains_key("accept-encoding"));
    running.stop().unwrap();
}
