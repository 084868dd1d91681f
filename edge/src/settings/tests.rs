use super::*;
use crate::source::{lines, x};
use crate::spool::WhenFull;

const ENOUGH: [(&str, &str); 7] = [
    ("TWITTER_API_CONSUMER_KEY", "ck"),
    ("TWITTER_API_CONSUMER_SECRET", "another-secret-of-the-tests"),
    ("AWS_ACCESS_KEY_ID", "AK"),
    ("AWS_SECRET_KEY", "a-secret-of-the-tests"),
    ("AWS_REGION", "eu-west-1"),
    ("AWS_STREAM_NAME", "posts"),
    ("HOME", "/home/pi"),
];

fn parse_with(args: &[&str], env: &[(&str, &str)]) -> Result<Command, Usage> {
    let args: Vec<OsString> = args.iter().map(OsString::from).collect();
    parse(&args, &|name| {
        env.iter()
            .find(|(key, _)| *key == name)
            .map(|(_, value)| (*value).to_owned())
    })
}

fn config(args: &[&str], env: &[(&str, &str)]) -> Config {
    match parse_with(args, env) {
        Ok(Command::Run(config)) => *config,
        other => panic!("{other:?}"),
    }
}

fn keyword(config: &Config) -> &str {
    match &config.source {
        Source::X(settings) => settings.filter.keyword(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_keyword_and_the_variables_of_the_older_solution_are_enough() {
    let config = config(&["pizza"], &ENOUGH);
    assert_eq!(keyword(&config), "pizza");
    assert_eq!(
        config.endpoint.as_str(),
        "https://kinesis.eu-west-1.amazonaws.com"
    );
    assert_eq!(
        config.spool.card,
        std::path::Path::new("/home/pi/.local/state/headwater/spool")
    );
    assert_eq!(config.spool.size_bytes, 64 << 20);
    assert_eq!(config.spool.when_full, WhenFull::DropOldest);
    assert!(matches!(
        config.source,
        Source::X(x::Settings {
            auth: x::Auth::Consumer { .. },
            ..
        })
    ));
}

#[test]
fn the_command_line_wins_over_the_environment() {
    let mut env = ENOUGH.to_vec();
    env.extend([
        ("HEADWATER_SPOOL_SIZE", "1G"),
        ("HEADWATER_WHEN_FULL", "block"),
        ("AWS_SECRET_ACCESS_KEY", "a-standard-secret-of-the-tests"),
    ]);
    let config = config(
        &[
            "deep",
            "dish",
            "--spool-size=2MiB",
            "--stream",
            "other",
            "--ordered",
        ],
        &env,
    );
    assert_eq!(keyword(&config), "deep dish");
    assert_eq!(config.spool.size_bytes, 2 << 20);
    assert_eq!(config.spool.when_full, WhenFull::Block);
    assert_eq!(config.stream, "other");
    assert!(config.ordered);
}

#[test]
fn everything_missing_is_named_at_once() {
    let usage = parse_with(&[], &[]).unwrap_err();
    let (line, usage) = (usage.line(), usage.to_string());
    for name in [
        "KEYWORD",
        "TWITTER_API_CONSUMER_KEY",
        "TWITTER_API_CONSUMER_SECRET",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_REGION",
        "AWS_STREAM_NAME",
    ] {
        assert!(usage.contains(name), "{name} is not named in:\n{usage}");
        assert!(line.contains(name), "{name} is not named in {line}");
    }
    assert!(!line.contains('\n'), "{line}");
}

#[test]
fn everything_wrong_is_named_at_once_and_nothing_secret_with_it() {
    let args = [
        "pizza",
        "--spool-size",
        "12",
        "--when-full",
        "maybe",
        "--durable-within",
        "soon",
        "--endpoint",
        "http://example.com",
    ];
    let usage = parse_with(&args, &ENOUGH).unwrap_err().to_string();
    for expected in [
        "a size from 1MiB",
        "drop-oldest, drop-newest or block",
        "a duration",
        "is not encrypted",
    ] {
        assert!(usage.contains(expected), "{expected} is not in:\n{usage}");
    }
    assert!(!usage.contains("SK") && !usage.contains("cs"), "{usage}");
}

#[test]
fn an_unknown_option_is_named() {
    for args in [["pizza", "--colour"], ["pizza", "-x"]] {
        let usage = parse_with(&args, &ENOUGH).unwrap_err().to_string();
        assert!(usage.contains(args[1].trim_start_matches('-')), "{usage}");
    }
}

#[test]
fn lines_need_no_keyword_and_no_account_at_x_and_wait_for_room() {
    let config = config(&["--source", "lines"], &ENOUGH[2..]);
    assert!(matches!(
        config.source,
        Source::Lines(lines::Settings {
            input: lines::Input::Stdin,
            filter: None,
            ..
        })
    ));
    assert_eq!(config.spool.when_full, WhenFull::Block);
}

#[test]
fn a_keyword_that_is_a_command_stands_behind_dashes() {
    assert_eq!(keyword(&config(&["--", "spool"], &ENOUGH)), "spool");
    assert!(
        matches!(parse_with(&["spool", "stat", "FILE"], &[]), Ok(Command::Spool(rest)) if rest.len() == 2)
    );
}

#[test]
fn plain_http_reaches_this_machine_only_unless_told_otherwise() {
    let mut env = ENOUGH.to_vec();
    env.push(("AWS_ENDPOINT_URL", "http://127.0.0.1:4566/"));
    assert_eq!(
        config(&["pizza"], &env).endpoint.as_str(),
        "http://127.0.0.1:4566"
    );
    let args = ["pizza", "--endpoint", "http://192.0.2.1:4566"];
    assert!(parse_with(&args, &ENOUGH).is_err());
    env.push(("HEADWATER_ALLOW_HTTP", "1"));
    assert_eq!(
        config(&args, &env).endpoint.as_str(),
        "http://192.0.2.1:4566"
    );
}

#[test]
fn a_device_certificate_takes_the_place_of_keys() {
    let mut env = ENOUGH[..2].to_vec();
    env.extend(&ENOUGH[4..]);
    env.push((
        "HEADWATER_IOT_ENDPOINT",
        "c1.credentials.iot.eu-west-1.amazonaws.com",
    ));
    let usage = parse_with(&["pizza"], &env).unwrap_err().to_string();
    assert!(
        usage.contains("HEADWATER_IOT_ROLE_ALIAS") && usage.contains("HEADWATER_IOT_KEY"),
        "{usage}"
    );
    env.extend([
        ("HEADWATER_IOT_ROLE_ALIAS", "a"),
        ("HEADWATER_IOT_CERTIFICATE", "c"),
        ("HEADWATER_IOT_KEY", "k"),
    ]);
    assert_eq!(
        config(&["pizza"], &env).provider.to_string(),
        "AWS IoT (c1.credentials.iot.eu-west-1.amazonaws.com)"
    );
}

#[test]
fn the_help_names_every_option_with_its_variable() {
    let help = options::help();
    for option in options::ALL {
        assert!(
            help.contains(option.long) && option.env.iter().all(|name| help.contains(name)),
            "{}",
            option.long
        );
    }
}
