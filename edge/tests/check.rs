//! `headwater check` of the real program: each thing that can be wrong has its line, which says what to do.

mod support;

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use support::board::board_to;

use testkit::cbor;
use testkit::http::{Answer, Request};
use testkit::nobody;
use testkit::program::Board;
use testkit::web::Web;

/// What AWS and X answer a board on which all is well.
fn well(request: &Request) -> Answer {
    let text = match request.what().as_str() {
        "GET /" => "",
        "POST /" => {
            "<GetCallerIdentityResult><Arn>arn:aws:iam::1:user/board</Arn></GetCallerIdentityResult>"
        }
        "PutRecord" | "PutRecords" => {
            return Answer::new(
                400,
                r#"{"__type":"InvalidArgumentException","message":"Invalid ExplicitHashKey. ExplicitHashKey must be in the range: [0, 2^128-1]."}"#,
            );
        }
        "POST /oauth2/token" => r#"{"token_type":"bearer","access_token":"a-token-of-the-tests"}"#,
        "GET /2/tweets/search/stream/rules" => r#"{"data":[]}"#,
        search if search.starts_with("GET /2/tweets/search/recent") => {
            r#"{"meta":{"result_count":0}}"#
        }
        other => panic!("nobody asks for {other}"),
    };
    Answer::new(200, text)
}

fn refuse(code: &str) -> Answer {
    Answer::new(
        400,
        format!(r#"{{"__type":"{code}","message":"as the test says"}}"#),
    )
}

/// 2^128: one more than the largest hash key.
const NO_HASH_KEY: &str = "340282366920938463463374607431768211456";

/// A board that reads X by way of the server at `url`.
fn board(url: &str) -> Board {
    board_to(url)
        .with("HEADWATER_SOURCE", "x")
        .with("X_API_URL", url)
        .with("TWITTER_API_CONSUMER_KEY", "a-key-of-the-tests")
        .with("TWITTER_API_CONSUMER_SECRET", "another-secret-of-the-tests")
}

/// The exit code, and what each line says.
fn check(board: &Board) -> (i32, BTreeMap<String, String>) {
    let output = board.output(&["check", "pizza"]);
    let text = String::from_utf8(output.stdout).unwrap();
    let line = |line: &str| {
        let (name, rest) = line.split_once(' ').unwrap();
        (name.to_owned(), rest.trim().to_owned())
    };
    (
        output.status.code().unwrap(),
        text.lines().map(line).collect(),
    )
}

#[test]
fn a_board_on_which_all_is_well_says_so_of_each_thing() {
    let server = Web::answering(well);
    let (code, lines) = check(&board(&server.url()));
    let expected = [
        ("settings", "good      complete"),
        ("name", "good      127.0.0.1"),
        ("connection", "doubtful  127.0.0.1"), // it is not encrypted
        ("clock", "good      within"),
        (
            "credentials",
            "good      arn:aws:iam::1:user/board, from the environment",
        ),
        (
            "stream",
            "good      'posts' in eu-west-1 exists and may be written to",
        ),
        ("cbor", "good      127.0.0.1"),
        ("source", "good      X accepts the keys"),
        ("spool", "good      "),
        ("disk", ""),
    ];
    for (name, start) in expected {
        assert!(lines[name].starts_with(start), "{name}: {}", lines[name]);
    }
    assert_eq!((code, lines.len()), (0, expected.len()), "{lines:#?}");
}

#[test]
fn a_stream_that_takes_no_records_so_large_is_told_where_it_may_be_asked() {
    type Row = (fn(&Request) -> Answer, &'static str, i32);
    let rows: [Row; 4] = [
        (
            |_| of_size(10_240),
            "good      'posts' takes records of 10240 KiB",
            0,
        ),
        (
            |_| of_size(1024),
            "bad       'posts' takes records of 1024 KiB, and larger ones would be set aside: lower --max-record-size",
            1,
        ),
        (
            |_| Answer::new(200, "{}"),
            "untested  whether 'posts' takes",
            0,
        ),
        (
            |_| refuse("AccessDeniedException"),
            "untested  whether 'posts' takes records of 5120 KiB, these credentials may not ask",
            0,
        ),
    ];
    for (describe, expected, exit) in rows {
        let server = Web::answering(move |request| match request.what().as_str() {
            "DescribeStreamSummary" => describe(request),
            _ => well(request),
        });
        let board = board(&server.url())
            .with("HEADWATER_MAX_RECORD_SIZE", "5MiB")
            .with("HEADWATER_SPOOL_SIZE", "20MiB");
        let output = board.output(&["check", "pizza"]);
        let text = String::from_utf8(output.stdout).unwrap();
        let expected = format!("record size  {expected}");
        assert!(text.contains(&expected), "{expected}: {text}");
        assert_eq!(output.status.code(), Some(exit), "{text}");
    }
}

/// A stream of records up to `kib`.
fn of_size(kib: u64) -> Answer {
    let summary = format!(r#"{{"StreamDescriptionSummary":{{"MaxRecordSizeInKiB":{kib}}}}}"#);
    Answer::new(200, summary)
}

#[test]
fn what_is_wrong_is_bad_with_what_to_do_and_the_exit_code_tells() {
    type Row = (
        &'static str,
        fn(&Request) -> Answer,
        &'static str,
        &'static str,
    );
    let rows: [Row; 9] = [
        (
            "PutRecord",
            |_| refuse("ResourceNotFoundException"),
            "stream",
            "there is no stream 'posts' in eu-west-1: create it",
        ),
        (
            "PutRecord",
            |_| refuse("AccessDeniedException"),
            "stream",
            "allow kinesis:PutRecord on it",
        ),
        (
            "PutRecords",
            |_| refuse("AccessDeniedException"),
            "stream",
            "allow kinesis:PutRecords on it",
        ),
        (
            "PutRecord",
            |_| refuse("ValidationException"),
            "stream",
            "refuses every record (ValidationException: as the test says): check AWS_STREAM_NAME",
        ),
        (
            "PutRecords",
            |_| Answer::new(413, "<html>Request Entity Too Large</html>"),
            "stream",
            "refuses every record (HTTP status 413): check AWS_STREAM_NAME",
        ),
        (
            "PutRecord",
            |_| refuse("InvalidSignatureException"),
            "stream",
            "set AWS_ACCESS_KEY_ID",
        ),
        (
            "PutRecord",
            |_| refuse("ExpiredTokenException"),
            "stream",
            "set AWS_ACCESS_KEY_ID",
        ),
        (
            "POST /",
            |_| Answer::new(403, "<Code>InvalidClientTokenId</Code>"),
            "credentials",
            "does not accept the credentials (InvalidClientTokenId): set AWS_ACCESS_KEY_ID",
        ),
        (
            "POST /oauth2/token",
            |_| Answer::new(403, "{}"),
            "source",
            "check TWITTER_API_CONSUMER_KEY",
        ),
    ];
    for (what, answer, name, advice) in rows {
        let server = Web::answering(move |request| {
            if request.what() == what {
                answer(request)
            } else {
                well(request)
            }
        });
        let (code, lines) = check(&board(&server.url()));
        let line = &lines[name];
        assert!(
            line.starts_with("bad ") && line.contains(advice),
            "{what}: {line}"
        );
        let bad: Vec<_> = lines
            .iter()
            .filter(|(_, line)| line.starts_with("bad"))
            .collect();
        assert_eq!((code, bad.len()), (1, 1), "{bad:?}");
    }
}

#[test]
fn a_server_that_is_not_kinesis_may_take_the_record_and_that_is_said() {
    let server = Web::answering(|request| match request.what().as_str() {
        "PutRecord" | "PutRecords" => Answer::new(200, r#"{"SequenceNumber":"1"}"#),
        _ => well(request),
    });
    let (code, lines) = check(&board(&server.url()));
    assert!(
        lines["stream"].contains("accepted an empty record"),
        "{}",
        lines["stream"]
    );
    assert_eq!(code, 0);
}

#[test]
fn a_clock_that_is_off_is_doubtful_since_the_program_corrects_it() {
    let server = Web::answering(|request| {
        let ahead = SystemTime::now() + Duration::from_secs(7205);
        well(request).with("date", httpdate::fmt_http_date(ahead))
    });
    let (code, lines) = check(&board(&server.url()));
    assert!(
        lines["clock"].starts_with("doubtful  2 h 0 min behind the server's"),
        "{}",
        lines["clock"]
    );
    assert_eq!(code, 0);
}

#[test]
fn whether_the_server_takes_cbor_is_tried_and_said() {
    let no = r#"{"__type":"InvalidArgumentException","message":"Value at 'explicitHashKey' is out of range"}"#;
    let in_cbor = || {
        let body = cbor::from_json(&serde_json::from_str(no).unwrap());
        Answer::new(400, body).with("content-type", cbor::CONTENT_TYPE)
    };
    let knows = move |request: &Request| {
        // What is read is what must be refused, and nothing is left out.
        let call = cbor::to_json(&request.body).unwrap();
        let record = call["Records"].get(0).unwrap_or(&call);
        assert_eq!(call["StreamName"], "posts");
        assert_eq!(record["ExplicitHashKey"], NO_HASH_KEY);
        assert_eq!(record["Data"], "");
        in_cbor()
    };
    let many_only_in_json = move |request: &Request| match request.what().as_str() {
        "PutRecord" => knows(request),
        _ => refuse("SerializationException"),
    };
    let does_not = |_: &Request| refuse("SerializationException");
    type Respond = Box<dyn Fn(&Request) -> Answer + Send + Sync>;
    let rows: [(Respond, _, _); 5] = [
        (
            Box::new(knows),
            "json",
            "good      127.0.0.1 accepts CBOR: --wire cbor may be switched on",
        ),
        (
            Box::new(knows),
            "cbor",
            "good      127.0.0.1 accepts CBOR, which is used",
        ),
        (
            Box::new(does_not),
            "json",
            "good      127.0.0.1 does not accept CBOR",
        ),
        (
            Box::new(does_not),
            "cbor",
            "doubtful  127.0.0.1 does not accept CBOR: ",
        ),
        (
            Box::new(many_only_in_json),
            "cbor",
            "doubtful  127.0.0.1 does not accept CBOR: ",
        ),
    ];
    for (answer, wire, expected) in rows {
        // Given a server that knows CBOR or not, and a board on which all else is well
        let server = Web::answering(move |request| {
            match request.header("content-type") == Some(cbor::CONTENT_TYPE) {
                true => answer(request),
                false => well(request),
            }
        });
        // When it is checked
        let (code, lines) = check(&board(&server.url()).with("HEADWATER_WIRE", wire));
        // Then it says whether CBOR may be sent
        let said = lines["cbor"].replace(&server.url()["http://".len()..], "127.0.0.1");
        assert!(said.starts_with(expected), "{said}");
        assert_eq!(code, 0);
    }
}

#[test]
fn without_a_network_what_cannot_be_tried_is_not_called_bad() {
    let gone = nobody();
    let (code, lines) = check(&board(&format!("http://{gone}")));
    assert!(
        lines["connection"].contains("refuses the connection"),
        "{}",
        lines["connection"]
    );
    assert!(lines["clock"].starts_with("untested"), "{}", lines["clock"]);
    // Nothing is known of the credentials: to change them would be the wrong advice
    let credentials = &lines["credentials"];
    assert!(!credentials.contains("AWS_ACCESS_KEY_ID"), "{credentials}");
    assert!(lines["cbor"].starts_with("untested"), "{}", lines["cbor"]);
    assert_eq!((code, lines.len()), (1, 10));
}

#[test]
fn the_card_is_tried_with_a_block_and_nothing_is_left_of_it() {
    // Given a spool that no program uses
    let server = Web::answering(well);
    let board = board(&server.url());
    std::fs::write(board.spool(), vec![0; 1 << 20]).unwrap();
    let files = || std::fs::read_dir(board.card()).unwrap().count();

    // When the card takes a block, then it is good, and the spool stands there alone as before
    let (_, lines) = check(&board);
    assert!(
        lines["spool"].ends_with("exists, and can be written to"),
        "{}",
        lines["spool"]
    );
    assert_eq!(files(), 1);

    // When it does not, then it is bad: here a folder stands in the block's place
    std::fs::create_dir(board.spool().with_added_extension("check")).unwrap();
    let (code, lines) = check(&board);
    assert!(
        lines["spool"].starts_with("bad ")
            && lines["spool"].contains("a block could not be written to"),
        "{}",
        lines["spool"]
    );
    assert_eq!(code, 1);
}

#[test]
fn a_spool_that_cannot_be_kept_is_bad() {
    let server = Web::answering(well);
    let (_, lines) = check(&board(&server.url()).with("HEADWATER_SPOOL", "/proc/spool"));
    assert!(lines["spool"].starts_with("bad "), "{}", lines["spool"]);
    let tmpfs = board(&server.url());
    let in_ram = tmpfs.ram().join("spool").display().to_string();
    let (_, lines) = check(&tmpfs.with("HEADWATER_SPOOL", &in_ram));
    assert!(
        lines["disk"].contains("a power cut loses the spool"),
        "{}",
        lines["disk"]
    );
}

#[test]
fn the_services_settings_are_tried_where_the_environment_has_none() {
    let server = Web::answering(well);
    let board = board_to(&server.url());
    let file = board.card().join("headwater.env");
    std::fs::write(
        &file,
        "AWS_STREAM_NAME=\"of-the-service\"\nHEADWATER_KEYWORD=pizza\n",
    )
    .unwrap();
    let file = file.display().to_string();
    let board = board
        .with("HEADWATER_ENV_FILE", &file)
        .with("AWS_REGION", "eu-north-1");

    let (_, lines) = check(&board);
    assert!(lines["settings"].contains(&file), "{}", lines["settings"]);
    assert!(
        lines["stream"].contains("'posts' in eu-north-1"),
        "the environment comes first: {}",
        lines["stream"]
    );

    // An empty one sets nothing
    let (_, lines) = check(&board.with("AWS_STREAM_NAME", ""));
    assert!(
        lines["stream"].contains("'of-the-service'"),
        "{}",
        lines["stream"]
    );
}

#[test]
fn settings_that_are_missing_are_named_as_for_a_run() {
    let output = board_to("http://127.0.0.1:1")
        .with("AWS_STREAM_NAME", "")
        .output(&["check"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        String::from_utf8(output.stderr)
            .unwrap()
            .contains("AWS_STREAM_NAME")
    );
}
