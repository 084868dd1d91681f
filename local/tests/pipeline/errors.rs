//! What a user reads when something is missing or wrong.

use std::net::{Ipv4Addr, TcpListener};

use testkit::program::{Board, Program};
use testkit::x_api::{self, XApi};

use super::{Cloud, PATIENCE, bare_board, says, stop};

/// What the program says in the end, and its exit code.
fn runs_to_its_end(board: &Board) -> (i32, String) {
    let mut producer = board.start(&[]).unwrap();
    let status = producer.wait(PATIENCE).unwrap();
    let said = producer.said().join("\n");
    let status = status.unwrap_or_else(|| panic!("it does not end: {said}"));
    (status.code().unwrap_or(-1), said)
}

#[test]
fn an_empty_environment_and_no_keyword_name_everything_missing_at_once() {
    let (code, said) = runs_to_its_end(&bare_board());
    assert_eq!(code, 2, "{said}");
    for missing in [
        "KEYWORD",
        "TWITTER_API_CONSUMER_KEY",
        "TWITTER_API_CONSUMER_SECRET",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET",
        "AWS_REGION",
        "AWS_STREAM_NAME",
    ] {
        assert!(said.contains(missing), "{missing} is not in:\n{said}");
    }
}

#[test]
fn no_keyword_alone_is_named_alone() {
    let cloud = Cloud::shared();
    let stack = cloud.stack("errors-keyword");
    let mut board = cloud.board(&stack, &cloud.ministack.endpoint());
    board.reads_x("http://127.0.0.1:1");
    let (code, said) = runs_to_its_end(&board);
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("KEYWORD"), "{said}");
    assert!(!said.contains("AWS_"), "{said}");
}

#[test]
fn a_wrong_key_and_secret_of_x_are_one_line_that_says_what_to_do() {
    let cloud = Cloud::shared();
    let stack = cloud.stack("errors-x");
    let api = XApi::start(x_api::Settings::default()).unwrap();
    let mut board = cloud.board(&stack, &cloud.ministack.endpoint());
    board
        .reads_x(&api.url())
        .set("TWITTER_API_CONSUMER_SECRET", "stolen-secret")
        .argument("pizza");
    let producer = board.start(&[]).unwrap();
    says(
        &producer,
        &["TWITTER_API_CONSUMER_KEY", "TWITTER_API_CONSUMER_SECRET"],
    );
    assert!(!producer.said().join("\n").contains("stolen-secret"));
    stop(producer);
}

#[test]
fn a_wrong_secret_of_aws_is_one_line_that_says_what_to_do() {
    let cloud = Cloud::shared();
    let stack = cloud.stack("errors-aws");
    let mut board = cloud.board(&stack, &cloud.ministack.endpoint());
    board.set("AWS_SECRET_KEY", "stolen-secret");
    let producer = one_line(&mut board);
    says(&producer, &["AWS_SECRET"]);
    assert!(!producer.said().join("\n").contains("stolen-secret"));
    keeps_its_line(&board, producer);
}

#[test]
fn a_stream_that_does_not_exist_is_one_line_that_names_it() {
    let cloud = Cloud::shared();
    let stack = cloud.stack("errors-stream");
    let mut board = cloud.board(&stack, &cloud.ministack.endpoint());
    // Not the producer's credentials: those may not even know that there is no such stream.
    board
        .set("AWS_STREAM_NAME", "no-such-stream")
        .set("AWS_ACCESS_KEY_ID", "test")
        .set("AWS_SECRET_KEY", "test");
    let producer = one_line(&mut board);
    says(&producer, &["no-such-stream", "AWS_STREAM_NAME"]);
    keeps_its_line(&board, producer);
}

#[test]
fn an_unreachable_host_is_one_line_that_names_it() {
    let cloud = Cloud::shared();
    let stack = cloud.stack("errors-host");
    // Nobody listens where somebody listened a moment ago.
    let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .unwrap()
        .local_addr()
        .unwrap();
    let mut board = cloud.board(&stack, &format!("http://{address}"));
    let producer = one_line(&mut board);
    says(&producer, &[&address.to_string()]);
    keeps_its_line(&board, producer);
}

/// Gives the program one line to deliver, from a file it then goes on to follow.
fn one_line(board: &mut Board) -> Program {
    let input = board.card().join("input");
    std::fs::write(&input, "the one line\n").unwrap();
    board
        .argument("--source")
        .argument("lines")
        .argument("--input")
        .argument(input);
    board.start(&[]).unwrap()
}

/// Whatever was wrong, the line is not lost over it.
fn keeps_its_line(board: &Board, producer: Program) {
    stop(producer);
    assert_eq!(board.metrics()["headwater_spool_waiting_records"], 1);
}
