//! No secret is ever said: everything the real program prints and writes about itself, over many kinds of failure, is searched for all secrets
//! it was given or was shown by a server.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;

use rustix::process::Signal;
use support::board::{board_to, both};

use testkit::http::{Answer, Request};
use testkit::program::Board;
use testkit::web::Web;

const SECRETS: [(&str, &str); 7] = [
    (
        "TWITTER_API_CONSUMER_SECRET",
        "consumer-secret-d41d8cd98f00b204",
    ),
    ("X_BEARER_TOKEN", "AAAAbearer-token-e9800998ecf8427e"),
    (
        "AWS_SECRET_ACCESS_KEY",
        "wJalrXUtnFEMI/K7MDENG/bPxRfiCYsecret",
    ),
    ("AWS_SESSION_TOKEN", "IQoJb3JpZ2luX2VjEsession-token//8aCX"),
    ("in a profile", "profile-secret-0cc175b9c0f1b6a8"),
    ("of the proxy", "proxy-password-31c399e269772661"),
    ("given by X", "given-token-92eb5ffee6ae2fec"),
];

fn secret(of: &str) -> &'static str {
    SECRETS.iter().find(|(name, _)| *name == of).unwrap().1
}

/// What secrets look like on the wire or in a file, too: X's keys go in base64.
fn disguises() -> Vec<String> {
    use base64::Engine;
    use base64::prelude::BASE64_STANDARD;
    let pair = format!("consumer-key:{}", secret("TWITTER_API_CONSUMER_SECRET"));
    let plain = SECRETS.iter().map(|(_, secret)| (*secret).to_owned());
    plain.chain([BASE64_STANDARD.encode(pair)]).collect()
}

fn assert_none(where_: &str, text: &str) {
    for secret in disguises() {
        assert!(!text.contains(&secret), "{where_} says {secret:?}:\n{text}");
    }
}

/// A server that quotes everything it was sent in everything it answers.
fn quoting(status: u16, code: &'static str) -> Web {
    Web::answering(move |request| quote(status, code, request))
}

fn quote(status: u16, code: &str, request: &Request) -> Answer {
    if request.what() == "POST /oauth2/token" && status == 200 {
        let token = secret("given by X");
        return Answer::new(
            200,
            format!(r#"{{"token_type":"bearer","access_token":"{token}"}}"#),
        );
    }
    let quoted = serde_json::Value::from(format!(
        "you sent\n{}{}",
        String::from_utf8_lossy(&request.head),
        request.text()
    ));
    let body = format!(
        r#"{{"__type":"{code}","message":{quoted},"title":{quoted},"detail":{quoted},"errors":[{{"message":{quoted},"detail":{quoted}}}]}}"#
    );
    Answer::new(status, body)
}

/// A board that knows all secrets.
fn board(url: &str) -> Board {
    let given = [
        "TWITTER_API_CONSUMER_SECRET",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
    ];
    let board = board_to(url)
        .with("TWITTER_API_CONSUMER_KEY", "consumer-key")
        .with("X_API_URL", url)
        .with("JETSTREAM_URL", url);
    given
        .into_iter()
        .fold(board, |board, name| board.with(name, secret(name)))
}

/// Runs until it says `part`, and searches all it said and wrote.
fn search(board: &Board, source: &str, part: &str) {
    let metrics = board.card().join("metrics");
    let args = [
        "pizza",
        "--source",
        source,
        "--metrics-file",
        metrics.to_str().unwrap(),
    ];
    let mut running = board.start(&args).unwrap();
    if source == "lines" {
        running.write(&["a pizza"]);
    }
    running.wait_for(part);
    let status = board.output(&["status", "--json"]);
    assert_none("status", &String::from_utf8_lossy(&status.stdout));
    running.signal(Signal::TERM);
    assert_none(part, &running.end().1);
    for folder in [board.card(), board.ram()] {
        for file in fs::read_dir(folder).unwrap() {
            let path = file.unwrap().path();
            let text = fs::read(&path).unwrap();
            assert_none(&path.display().to_string(), &String::from_utf8_lossy(&text));
        }
    }
}

#[test]
fn a_server_that_quotes_what_it_was_sent_is_not_quoted_with_its_secrets() {
    let rows = [
        (403, "InvalidSignatureException", "is not accepted"),
        (403, "AccessDeniedException", "may not write"),
        (403, "IncompleteSignature", "refuses"),
        (
            400,
            "ExpiredTokenException",
            "does not accept the credentials",
        ),
        (400, "ValidationException", "refuses every record"),
        (500, "InternalFailure", " failed (InternalFailure"),
    ];
    at_once(rows, |(status, code, part)| {
        search(&board(&quoting(status, code).url()), "lines", part);
    });
}

/// Does all at the same time: a program whose posts still wait takes seconds to end.
fn at_once<T: Send>(rows: impl IntoIterator<Item = T>, test: impl Fn(T) + Sync) {
    thread::scope(|scope| {
        for row in rows {
            let test = &test;
            scope.spawn(move || test(row));
        }
    });
}

#[test]
fn an_x_that_quotes_what_it_was_sent_is_not_quoted_with_its_secrets() {
    // With 200, X gives a token, and quotes it
    at_once([200, 400, 401, 403, 429, 500, 503], |status| {
        search(&board(&quoting(status, "x").url()), "x", " in ");
    });
    let server = quoting(403, "x");
    let bearer = board(&server.url()).with("X_BEARER_TOKEN", secret("X_BEARER_TOKEN"));
    search(&bearer, "x", " in ");
}

/// What all tests and their programs say is searched for each line of this file (.ci/run).
fn list() -> String {
    fs::read_to_string(root().join(".ci/secrets")).unwrap()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

#[test]
fn what_all_tests_say_is_searched_for_these_secrets_too() {
    for secret in disguises() {
        assert!(
            list().lines().any(|line| secret.contains(line)),
            "{secret} is not in .ci/secrets"
        );
    }
}

/// The Rust files in `folder` and below.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|end| end == "rs") {
            found.push(path);
        }
    }
    found
}

/// The values that `text` gives to variables and fields that are named as a secret is.
fn secrets_given(text: &str) -> Vec<&str> {
    const NAMES: [&str; 4] = ["SECRET", "SECRETKEY", "SECRETACCESSKEY", "TOKEN"];
    let strings: Vec<&str> = text.split('"').collect();
    let is_secret = |name: &str| {
        let name = name.to_ascii_uppercase().replace('_', "");
        // That of the next page opens nothing.
        NAMES.iter().any(|end| name.ends_with(end)) && !name.ends_with("NEXTTOKEN")
    };
    // The next name in a list of names, or words about it.
    let is_value = |value: &str| {
        value.contains(|c: char| c.is_ascii_lowercase()) && !value.contains([' ', '{'])
    };
    strings
        .windows(3)
        .filter(|three| matches!(three[1].trim(), "," | ":"))
        .filter(|three| is_secret(three[0]) && is_value(three[2]))
        .map(|three| three[2])
        .collect()
}

#[test]
fn every_secret_that_a_test_gives_is_in_the_list() {
    // These are words that a log has for good reason.
    const WORDS: [&str; 2] = ["test", "none"];
    let list = list();
    let mut given = 0;
    for part in [
        "edge/src",
        "edge/tests",
        "cloud/tests",
        "local/src",
        "local/tests",
        "testkit",
    ] {
        for path in sources(&root().join(part)) {
            let text = fs::read_to_string(&path).unwrap();
            for secret in secrets_given(&text) {
                let is_listed = list.lines().any(|line| secret.contains(line));
                assert!(
                    is_listed || WORDS.contains(&secret),
                    "{}: {secret:?} is not in .ci/secrets",
                    path.display()
                );
                given += 1;
            }
        }
    }
    assert!(given > 10, "only {given} secrets were found");
}

#[test]
fn a_proxy_that_fails_is_named_without_its_password() {
    let refusing = Web::answering(|request| Answer::new(407, request.head.clone()));
    let url = refusing.url();
    let host = url.trim_start_matches("http://");
    let proxy = format!("http://user:{}@{host}", secret("of the proxy"));
    let board = board("https://kinesis.example")
        .with("HTTPS_PROXY", &proxy)
        .with("ALL_PROXY", &proxy);
    search(&board, "lines", "every post is kept");
    search(&board, "x", "connecting again");
    let output = board.output(&["check", "pizza"]);
    assert_none("check", &both(&output));
}

#[test]
fn a_profile_and_a_process_that_give_nonsense_are_told_without_it() {
    let token = secret("in a profile");
    for content in [
        format!("[default]\naws_access_key_id = A\naws_secret_access_key = {token}\n"),
        format!("[default]\naws_secret_access_key = {token}\n"),
        format!(
            "[default]\ncredential_process = echo {{\"Version\":1,\"SecretAccessKey\":\"{token}\"\n"
        ),
        format!(
            "[default]\ncredential_process = echo '{{\"Version\":7,\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"{token}\"}}'\n"
        ),
    ] {
        let server = quoting(403, "AccessDeniedException");
        let board = board_to(&server.url())
            .with("AWS_ACCESS_KEY_ID", "")
            .with("AWS_SECRET_ACCESS_KEY", "")
            .with("PATH", "/usr/bin:/bin");
        let file = board.card().join("config");
        fs::write(&file, content).unwrap();
        let path = file.display().to_string();
        let board = board
            .with("AWS_CONFIG_FILE", &path)
            .with("AWS_SHARED_CREDENTIALS_FILE", "/none");
        let running = board.start(&["--source", "lines"]).unwrap();
        let check = board.output(&["check"]);
        assert_none("check", &both(&check));
        running.signal(Signal::TERM);
        assert_none("the run", &running.end().1);
    }
}

#[test]
fn settings_that_are_wrong_are_told_without_those_that_are_secret() {
    let server = quoting(403, "x");
    for (name, value) in [
        ("AWS_REGION", ""),
        ("AWS_ACCESS_KEY_ID", ""),
        ("TWITTER_API_CONSUMER_KEY", ""),
        ("HEADWATER_SPOOL_SIZE", "12"),
        ("AWS_ENDPOINT_URL", "ftp://example"),
        ("HEADWATER_SOURCE", "carrier pigeon"),
    ] {
        for args in [
            ["check", "pizza"].as_slice(),
            &["pizza"],
            &["pizza", "--colour"],
        ] {
            let output = board(&server.url())
                .with("HEADWATER_SOURCE", "x")
                .with(name, value)
                .output(args);
            assert_ne!(output.status.code(), Some(0), "{name}={value}");
            assert_none(name, &both(&output));
        }
    }
}

#[test]
fn check_tells_what_a_quoting_server_answers_without_secrets() {
    for status in [200, 400, 403, 500] {
        for source in ["x", "jetstream", "lines"] {
            let output = board(&quoting(status, "ExpiredTokenException").url())
                .output(&["check", "pizza", "--source", source]);
            assert_none(source, &both(&output));
        }
    }
}
