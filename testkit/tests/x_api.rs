//! The simulated X API answers as the real one is documented to: what is tested against it is worth that much.

use std::io::{BufRead, BufReader};
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use testkit::posts::{self, Post};
use testkit::x_api::{Event, Settings, XApi};
use ureq::http::{Request, Response};
use ureq::{Agent, Body};

const RULES: &str = "/2/tweets/search/stream/rules";
const STREAM: &str = "/2/tweets/search/stream";
const ALL_FIELDS: &str = "?tweet.fields=created_at,author_id,lang,note_tweet&expansions=author_id&user.fields=username,name";

/// The key and secret, encoded as the token endpoint wants them.
const PAIR: &str = "demo%2Bconsumer%2Fkey:demo%3Aconsumer%26secret%3D";

struct Client {
    api: XApi,
    agent: Agent,
}

impl Client {
    fn of(settings: Settings) -> Self {
        let config = Agent::config_builder().http_status_as_error(false);
        Self {
            api: XApi::start(settings).unwrap(),
            agent: config.build().new_agent(),
        }
    }

    fn call(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Response<Body> {
        let mut request = Request::builder().method(method).uri(self.api.url() + path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.agent
            .run(request.body(body.to_owned()).unwrap())
            .unwrap()
    }

    fn token(&self, pair: &str, content_type: &str) -> (u16, Value) {
        let basic = format!("Basic {}", BASE64_STANDARD.encode(pair));
        let headers = [
            ("authorization", basic.as_str()),
            ("content-type", content_type),
        ];
        read(self.call(
            "POST",
            "/oauth2/token",
            &headers,
            "grant_type=client_credentials",
        ))
    }

    fn as_app(&self, method: &str, path: &str, body: &str) -> Response<Body> {
        let (_, token) = self.token(PAIR, "application/x-www-form-urlencoded;charset=UTF-8");
        let bearer = format!("Bearer {}", token["access_token"].as_str().unwrap());
        self.call(method, path, &[("authorization", &bearer)], body)
    }

    fn add(&self, value: &str) -> (u16, Value) {
        let add = json!({ "add": [{ "value": value, "tag": "t" }] });
        read(self.as_app("POST", RULES, &add.to_string()))
    }
}

fn read(mut answer: Response<Body>) -> (u16, Value) {
    let status = answer.status().as_u16();
    (
        status,
        serde_json::from_reader(answer.body_mut().as_reader()).unwrap(),
    )
}

fn posts(count: usize) -> Vec<Post> {
    posts::about("pizza", SystemTime::now(), Duration::from_secs(1))
        .take(count)
        .collect()
}

#[test]
fn a_token_is_for_the_right_key_and_secret_in_the_right_form() {
    let client = Client::of(Settings::default());
    let form = "application/x-www-form-urlencoded;charset=UTF-8";
    assert_eq!(client.token(PAIR, form).0, 200);
    assert_eq!(
        client
            .token("demo+consumer/key:demo:consumer&secret=", form)
            .0,
        403
    );
    let (status, wrong) = client.token("demo:wrong", form);
    assert_eq!((status, &wrong["errors"][0]["code"]), (403, &json!(99)));
    let (status, wrong) = client.token(PAIR, "application/json");
    assert_eq!((status, &wrong["errors"][0]["code"]), (403, &json!(170)));
}

#[test]
fn nothing_goes_without_the_token() {
    let client = Client::of(Settings::default());
    for (method, path) in [
        ("GET", RULES),
        ("GET", STREAM),
        ("DELETE", "/2/connections/all"),
    ] {
        let answer = client.call(method, path, &[("authorization", "Bearer AAAA")], "");
        assert_eq!(answer.status(), 401, "{path}");
    }
}

#[test]
fn rules_are_kept_listed_and_deleted() {
    let client = Client::of(Settings::default());
    // No rules: no data
    let (status, none) = read(client.as_app("GET", RULES, ""));
    assert_eq!((status, none.get("data")), (200, None));
    // A new rule
    let (status, added) = client.add("pizza -is:retweet");
    assert_eq!(
        (status, &added["meta"]["summary"]["created"]),
        (201, &json!(1))
    );
    // The same again
    let (_, again) = client.add("pizza -is:retweet");
    assert_eq!(again["meta"]["summary"]["not_created"], 1);
    assert_eq!(again["errors"][0]["title"], "DuplicateRule");
    assert_eq!(again["errors"][0]["id"], added["data"][0]["id"]);
    // Nonsense
    let (_, invalid) = client.add("pizza wears:hat");
    assert_eq!(invalid["meta"]["summary"]["invalid"], 1);
    assert!(
        invalid["errors"][0]["details"][0]
            .as_str()
            .unwrap()
            .contains("wears")
    );
    // Gone
    let delete = json!({ "delete": { "ids": [added["data"][0]["id"]] } });
    let (_, deleted) = read(client.as_app("POST", RULES, &delete.to_string()));
    assert_eq!(deleted["meta"]["summary"]["deleted"], 1);
    assert!(client.api.rules().is_empty());
}

#[test]
fn the_stream_wants_a_rule_one_client_and_patience() {
    let client = Client::of(Settings {
        connect_limit: 3,
        ..Default::default()
    });
    // No rule yet
    assert_eq!(client.as_app("GET", STREAM, "").status(), 409);
    client.add("pizza");
    // One client at a time
    let first = client.as_app("GET", STREAM, "");
    assert_eq!(first.status(), 200);
    let (status, second) = read(client.as_app("GET", STREAM, ""));
    assert_eq!(
        (status, &second["connection_issue"]),
        (429, &json!("TooManyConnections"))
    );
    // And so many connections in a quarter of an hour
    let limited = client.as_app("GET", STREAM, "");
    assert_eq!(limited.status(), 429);
    assert!(limited.headers().contains_key("x-rate-limit-reset"));
    assert_eq!(read(limited).1["errors"][0]["code"], 88);
}

#[test]
fn the_stream_has_what_was_asked_for_and_what_the_rules_want() {
    // Given a rule, and posts of which one is about something else
    let client = Client::of(Settings {
        write_bytes: 7,
        keep_alive: Duration::from_millis(30),
        ..Default::default()
    });
    client.add("pizza");
    let mut script: Vec<_> = posts(28).into_iter().map(Event::Post).collect();
    let other = posts::about("weather", SystemTime::now(), Duration::ZERO)
        .next()
        .unwrap();
    script.insert(5, Event::Post(other));
    script.push(Event::Disconnect);
    client.api.play(script);

    // When the stream is read to its end
    let lines = |fields: &str| -> Vec<String> {
        let mut answer = client.as_app("GET", &format!("{STREAM}{fields}"), "");
        let lines = BufReader::new(answer.body_mut().as_reader()).split(b'\n');
        lines
            .map(|line| String::from_utf8(line.unwrap()).unwrap())
            .collect()
    };
    let lines = lines(ALL_FIELDS);

    // Then every line ends with a carriage return, and the posts are those the rule wants, in their authors' words
    assert!(lines.iter().all(|line| line.ends_with('\r')));
    let texts: Vec<_> = lines
        .iter()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .map(|line| {
            assert!(
                line["includes"]["users"][0]["username"].is_string(),
                "{line}"
            );
            let text = line["data"]["note_tweet"]["text"]
                .as_str()
                .or(line["data"]["text"].as_str());
            text.unwrap()
                .replace("&lt;", "<")
                .replace("&gt;", ">")
                .replace("&amp;", "&")
        })
        .collect();
    let sent: Vec<_> = client
        .api
        .sent()
        .into_iter()
        .map(|post| post.text)
        .collect();
    assert_eq!(texts, sent);
    assert_eq!(texts.len(), 28);
}

#[test]
fn a_field_that_was_not_asked_for_does_not_come() {
    let client = Client::of(Settings::default());
    client.add("pizza");
    client.api.play(
        posts(28)
            .into_iter()
            .map(Event::Post)
            .chain([Event::Disconnect]),
    );
    let mut answer = client.as_app("GET", STREAM, "");
    let text = answer.body_mut().read_to_string().unwrap();
    assert!(
        !text.contains("note_tweet") && !text.contains("includes") && !text.contains("created_at")
    );
    // Some lines, by their ids, are escaped beyond ASCII.
    let is_cut = text.contains('…') || text.contains(r"\u2026");
    assert!(is_cut, "a long text is cut");
}
