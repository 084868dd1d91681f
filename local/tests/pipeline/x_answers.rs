//! Each answer X's API has, by what the user reads of it and what arrives in the table.

use std::time::{Duration, SystemTime};

use local::deploy::Stack;
use local::tally::Sent;
use testkit::posts;
use testkit::program::{Board, Program};
use testkit::x_api::{self, Endpoint, Event, Refusal, XApi};

use super::{Cloud, says, stop, wait_for};

/// A headwater that reads a simulated API with ten posts.
struct Reading {
    api: XApi,
    stack: Stack,
    board: Board,
    producer: Program,
}

impl Reading {
    /// Starts it; the first request to an endpoint may be refused.
    fn start(name: &str, refusal: Option<(Endpoint, Refusal)>) -> Self {
        let cloud = Cloud::shared();
        let api = XApi::start(x_api::Settings::default()).unwrap();
        if let Some((endpoint, refusal)) = refusal {
            api.answer_next(endpoint, refusal);
        }
        api.play(events(10));
        let stack = cloud.stack(name);
        let mut board = cloud.board(&stack, &cloud.ministack.endpoint());
        board.reads_x(&api.url()).argument("ricotta");
        let producer = board.start(&[]).unwrap();
        Self {
            api,
            stack,
            board,
            producer,
        }
    }

    /// Ends well, with every post of the script stored once.
    fn stores(self, count: usize) {
        wait_for(
            &format!("{count} posts; it said {:?}", self.producer.said()),
            || self.api.sent_count() >= count,
        );
        let sent: Vec<_> = self.api.sent().iter().map(Sent::from).collect();
        let tally = Cloud::shared().tally(&self.stack, &sent);
        assert!(tally.adds_up() && tally.read == count, "{tally:?}");
        stop(self.producer);
    }

    /// Waits with the line that a person needs, and asks no more than once in the meantime.
    fn waits_for_a_person(self, words: &[&str]) {
        says(&self.producer, words);
        assert_eq!(self.api.connects().len(), 1);
        stop(self.producer);
    }
}

fn events(count: usize) -> Vec<Event> {
    let every = Duration::from_millis(50);
    let posts = posts::about("ricotta", SystemTime::now(), every).take(count);
    posts.map(Event::Post).collect()
}

#[test]
fn a_rate_limit_is_waited_for_until_its_reset() {
    // X says whole seconds
    let reset = SystemTime::now() + Duration::from_secs(4);
    let reading = Reading::start(
        "x-limit",
        Some((Endpoint::Stream, Refusal::RateLimited(reset))),
    );
    says(&reading.producer, &["limit"]);
    wait_for("second connect", || reading.api.connects().len() > 1);
    assert!(reading.api.connects()[1] + Duration::from_secs(1) > reset);
    reading.stores(10);
}

#[test]
fn a_server_error_is_retried() {
    Reading::start("x-503", Some((Endpoint::Stream, Refusal::Server(503)))).stores(10);
}

#[test]
fn a_server_error_of_the_rules_is_retried() {
    Reading::start("x-rules-503", Some((Endpoint::Rules, Refusal::Server(500)))).stores(10);
}

#[test]
fn a_token_that_is_not_valid_any_more_is_fetched_anew() {
    let reading = Reading::start("x-401", Some((Endpoint::Stream, Refusal::Unauthorized)));
    let api = &reading.api;
    let tokens = || {
        api.requests()
            .iter()
            .filter(|(_, path)| path == "/oauth2/token")
            .count()
    };
    wait_for("second token", || tokens() == 2);
    reading.stores(10);
}

#[test]
fn a_used_up_cap_is_for_a_person_to_mend() {
    Reading::start("x-cap", Some((Endpoint::Stream, Refusal::UsageCapExceeded)))
        .waits_for_a_person(&["used up", "developer console"]);
}

#[test]
fn an_empty_account_is_for_a_person_to_mend() {
    Reading::start(
        "x-credits",
        Some((Endpoint::Stream, Refusal::CreditsDepleted)),
    )
    .waits_for_a_person(&["credits", "developer console"]);
}

#[test]
fn an_app_without_access_is_for_a_person_to_mend() {
    Reading::start("x-403", Some((Endpoint::Stream, Refusal::ClientForbidden)))
        .waits_for_a_person(&["developer console", "access"]);
}

#[test]
fn a_place_taken_by_another_program_is_left_to_it() {
    let reading = Reading::start(
        "x-taken",
        Some((Endpoint::Stream, Refusal::TooManyConnections)),
    );
    says(&reading.producer, &["connection"]);
    let requests = reading.api.requests();
    assert!(
        !requests.iter().any(|(method, _)| method == "DELETE"),
        "{requests:?}"
    );
    assert_eq!(reading.api.connects().len(), 1);
    stop(reading.producer);
}

#[test]
fn a_place_taken_by_its_own_earlier_run_is_taken_back() {
    // Given a run that was killed, whose connection X still counts
    let mut reading = Reading::start("x-own", None);
    wait_for("ten posts", || reading.api.sent_count() == 10);
    Cloud::shared().await_items(&reading.stack, 10);
    reading.producer.kill();
    reading
        .api
        .answer_next(Endpoint::Stream, Refusal::TooManyConnections);

    // When it starts again
    reading.producer = reading.board.start(&[]).unwrap();

    // Then it ends that connection, and reads on
    let deleted = ("DELETE".to_owned(), "/2/connections/all".to_owned());
    wait_for("end of the old connection", || {
        reading.api.requests().contains(&deleted)
    });
    reading.api.play(events(5));
    reading.stores(15);
}

#[test]
fn rules_that_vanish_are_made_again() {
    // Given a stream that is read
    let reading = Reading::start("x-409", None);
    wait_for("ten posts", || reading.api.sent_count() == 10);

    // When the rules vanish and the stream ends
    reading.api.forget_rules();
    reading.api.play([Event::Disconnect]);
    reading.api.play(events(5));

    // Then X refuses to stream without a rule, and gets one
    reading.stores(15);
}

#[test]
fn the_rule_of_an_earlier_keyword_is_removed_and_a_foreign_one_left_alone() {
    // Given an account with the rule of another program, and a run for one keyword
    let cloud = Cloud::shared();
    let stack = cloud.stack("x-rules");
    let api = XApi::start(x_api::Settings::default()).unwrap();
    api.add_rule("weather", Some("somebody-else")).unwrap();
    api.add_rule("news", None).unwrap();
    let mut board = cloud.board(&stack, &cloud.ministack.endpoint());
    board.reads_x(&api.url());
    let values = || {
        api.rules()
            .into_iter()
            .map(|rule| rule.value)
            .collect::<Vec<_>>()
    };
    let run = |board: &Board, keyword: &str| {
        let producer = board.start(&[]).unwrap();
        wait_for("connection", || api.is_streaming());
        assert!(
            values().iter().any(|value| value.contains(keyword)),
            "{:?}",
            values()
        );
        stop(producer);
        wait_for("end of the connection", || !api.is_streaming());
    };
    board.argument("ricotta");
    run(&board, "ricotta");

    // When the next run has another
    let mut board = cloud.board(&stack, &cloud.ministack.endpoint());
    board.reads_x(&api.url()).argument("pecorino");
    run(&board, "pecorino");

    // Then the first keyword's rule is gone, and the others are as they were
    let values = values();
    assert!(
        !values.iter().any(|value| value.contains("ricotta")),
        "{values:?}"
    );
    assert_eq!(values.len(), 3, "{values:?}");
    assert!(values.contains(&"weather".to_owned()) && values.contains(&"news".to_owned()));
}

#[test]
fn a_stream_that_falls_silent_is_opened_again() {
    let reading = Reading::start("x-silent", None);
    wait_for("ten posts", || reading.api.sent_count() == 10);
    reading.api.play([Event::GoSilent]);
    reading.api.play(events(5));
    reading.stores(15);
}
