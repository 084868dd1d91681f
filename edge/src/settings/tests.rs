use super::*;
use crate::aws::kinesis::wire::Wire;
use crate::source::{lines, x};
use crate::spool::WhenFull;
use std::time::Duration;

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

#[test]
fn delivery_is_as_fast_as_it_can_be_unless_told_otherwise() {
    let flow = config(&["pizza"], &ENOUGH).flow;
    assert_eq!(flow, crate::uplink::flow::Options::default());

    let args = [
        "pizza",
        "--linger=500ms",
        "--max-rate=20k",
        "--max-bytes-per-day",
        "50MiB",
        "--pack",
        "--wire=cbor",
    ];
    let flow = config(&args, &ENOUGH).flow;
    assert_eq!(flow.linger, std::time::Duration::from_millis(500));
    assert!(flow.pack);
    assert_eq!(flow.wire, Wire::Cbor);
    let default = config(&["pizza"], &ENOUGH).flow;
    assert!(!default.pack && default.wire == Wire::Json);
    assert_eq!(
        (flow.limits.rate, flow.limits.per_day),
        (Some(20 << 10), Some(50 << 20))
    );

    for wrong in [
        &["--linger", "2h"][..],
        &["--max-rate", "0"],
        &["--max-bytes-per-day", "1"],
        &["--ordered", "--pack"],
        &["--wire", "protobuf"],
    ] {
        let args = [&["pizza"], wrong].concat();
        let usage = parse_with(&args, &ENOUGH).unwrap_err().to_string();
        assert!(usage.contains(wrong[0]), "{usage}");
    }
}

#[test]
fn a_stream_that_kinesis_cannot_have_is_refused_at_the_start() {
    let long = "s".repeat(129);
    let table = [
        ("a stream", "letters, digits"),
        ("posts/1", "letters, digits"),
        ("pösts", "letters, digits"),
        (long.as_str(), "1 to 128"),
        (
            "arn:aws:kinesis:eu-west-1:123456789012:stream/others",
            "set AWS_STREAM_NAME=others and AWS_REGION=eu-west-1",
        ),
        (
            "arn:aws-cn:kinesis:cn-north-1:123456789012:stream/a.b",
            "set AWS_STREAM_NAME=a.b and AWS_REGION=cn-north-1",
        ),
        (
            "arn:aws:sqs:eu-west-1:123456789012:posts",
            "letters, digits",
        ),
    ];
    for (stream, expected) in table {
        let usage = parse_with(&["pizza", "--stream", stream], &ENOUGH).unwrap_err();
        assert!(usage.line().contains(expected), "{}", usage.line());
    }
    let longest = "s_.-1".repeat(25) + "abc";
    assert_eq!(
        config(&["pizza", "--stream", &longest], &ENOUGH).stream,
        longest
    );
}

// A `\r` in the region becomes a part of the host's name, which is then looked up for ever.
#[test]
fn a_setting_with_a_line_break_is_named_and_its_value_is_not_told() {
    for (name, value) in ENOUGH.iter().copied().chain([
        ("HEADWATER_SPOOL_SIZE", "64MiB"),
        ("AWS_SESSION_TOKEN", "a-token-of-the-tests"),
        ("AWS_CA_BUNDLE", "/nowhere"),
    ]) {
        for broken in [
            format!("{value}\r"),
            format!("{value}\n"),
            format!("{value}\r\nX: y"),
        ] {
            let mut env: Vec<_> = ENOUGH.into_iter().filter(|(has, _)| *has != name).collect();
            env.push((name, &broken));
            let usage = parse_with(&["pizza"], &env).unwrap_err().line();
            assert!(
                usage.contains(&format!("{name} holds a line break")),
                "{usage}"
            );
            assert!(!usage.contains("of-the-tests"), "{usage}");
        }
    }
    let usage = parse_with(&["pizza", "--region=eu-west-1\r"], &ENOUGH).unwrap_err();
    assert!(
        usage.line().contains("--region holds a line break"),
        "{}",
        usage.line()
    );
}

#[test]
fn awss_servers_are_chosen_by_region_environment_and_profile() {
    let endpoint = |extra: &[(&str, &str)]| {
        let env = [extra, &ENOUGH].concat();
        let config = config(&["pizza"], &env);
        (
            config.endpoint.as_str().to_owned(),
            config.sts.map(|sts| sts.as_str().to_owned()),
        )
    };
    let servers = |kinesis: &str, sts: &str| {
        let url = |host: &str| format!("https://{host}");
        (url(kinesis), Some(url(sts)))
    };
    assert_eq!(
        endpoint(&[("AWS_REGION", "eusc-de-east-1")]),
        servers(
            "kinesis.eusc-de-east-1.amazonaws.eu",
            "sts.eusc-de-east-1.amazonaws.eu"
        )
    );
    let fips = ("AWS_USE_FIPS_ENDPOINT", "true");
    let dual = ("AWS_USE_DUALSTACK_ENDPOINT", "True");
    assert_eq!(
        endpoint(&[fips, dual]),
        servers(
            "kinesis-fips.eu-west-1.api.aws",
            "sts-fips.eu-west-1.api.aws"
        )
    );
    // In a profile too; the environment wins
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config");
    std::fs::write(&file, "[default]\nuse_fips_endpoint = true\n").unwrap();
    let profile = ("AWS_CONFIG_FILE", file.to_str().unwrap());
    let plain = "https://kinesis.eu-west-1.amazonaws.com";
    assert_eq!(
        endpoint(&[profile]).0,
        "https://kinesis-fips.eu-west-1.amazonaws.com"
    );
    assert_eq!(
        endpoint(&[profile, ("AWS_USE_FIPS_ENDPOINT", "false")]).0,
        plain
    );
    // Neither ignored nor guessed
    for wrong in [
        &[("AWS_USE_FIPS_ENDPOINT", "perhaps")][..],
        &[fips, ("AWS_ENDPOINT_URL", "https://kinesis.example")],
        &[("AWS_PROFILE", "baord")],
    ] {
        let env = [wrong, &ENOUGH].concat();
        let usage = parse_with(&["pizza"], &env).unwrap_err();
        assert!(usage.line().contains(wrong[0].0), "{}", usage.line());
    }
}

/// The settings of X that these arguments and this environment besides the usual one give.
fn x_settings(args: &[&str], env: &[(&str, &str)]) -> x::Settings {
    let env = [&ENOUGH[..], env].concat();
    match config(&[&["pizza"], args].concat(), &env).source {
        Source::X(settings) => settings,
        other => panic!("{other:?}"),
    }
}

#[test]
fn gaps_are_filled_and_retweets_read_unless_switched_off() {
    let week = Duration::from_secs(7 * 24 * 60 * 60);
    let usual = x_settings(&[], &[]);
    assert_eq!((usual.gap_at_most, usual.retweets), (Some(week), true));
    assert_eq!(usual.rule(), "pizza");
    assert_eq!(usual.search_delay, x::SEARCH_DELAY);

    let shorter = x_settings(&["--gap-at-most=12h"], &[]);
    assert_eq!(shorter.gap_at_most, Some(week / 14));

    for off in [
        x_settings(&["--no-gap-fill", "--no-retweets"], &[]),
        x_settings(
            &[],
            &[("HEADWATER_GAP_FILL", "0"), ("HEADWATER_RETWEETS", "no")],
        ),
    ] {
        assert_eq!((off.gap_at_most, off.retweets), (None, false));
        assert_eq!(off.rule(), "pizza -is:retweet");
    }
    let on = x_settings(&[], &[("HEADWATER_GAP_FILL", "1")]);
    assert_eq!(on.gap_at_most, Some(week));
}

#[test]
fn a_board_reports_only_if_it_is_told_how_often_and_its_name_fits_a_report() {
    let reports = |args: &[&str]| config(args, &ENOUGH).reports;
    // Without --report-every there are none, and the host's name, whatever it is, is no matter
    assert_eq!(reports(&["pizza"]), None);
    assert_eq!(reports(&["pizza", "--board=shed"]), None);
    // With it, the board has the name it is given, or the host's
    let given = reports(&["pizza", "--report-every=5m", "--board=shed"]).unwrap();
    assert_eq!(
        (given.board.as_str(), given.every),
        ("shed", Duration::from_secs(300))
    );
    let default = reports(&["pizza", "--report-every=1s"]).unwrap();
    assert_eq!(default.board, config::host());
    // What would break the report, or be none, is wrong
    for (wrong, says) in [
        ("--board=\"shed\"", "is a board's name"),
        ("--board=shed in the garden", "is a board's name"),
        ("--report-every=0", "from 1s to 24h"),
        ("--report-every=25h", "from 1s to 24h"),
        ("--report-every=often", "from 1s to 24h"),
    ] {
        let usage = parse_with(&["pizza", "--report-every=5m", wrong], &ENOUGH).unwrap_err();
        assert!(
            usage.wrong.iter().any(|line| line.contains(says)),
            "{wrong}: {usage:?}"
        );
    }
    let long = format!("--board={}", "b".repeat(65));
    assert!(parse_with(&["pizza", &long], &ENOUGH).is_err());
}
