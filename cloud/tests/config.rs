//! The environment, and the line an invocation leaves in the log.

use std::collections::HashMap;

use cloud::config::Config;
use cloud::report::Report;
use serde_json::Value;

const COMPLETE: [(&str, &str); 7] = [
    ("TABLE_NAME", "posts-EventData"),
    (
        "FAILURE_QUEUE_URL",
        "https://sqs.us-east-1.amazonaws.com/1/failures",
    ),
    ("DAYS_TO_KEEP", "90"),
    ("AWS_REGION", "us-east-1"),
    ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
    ("AWS_SECRET_ACCESS_KEY", "a-secret-of-the-tests"),
    ("AWS_SESSION_TOKEN", "a-token-of-the-tests"),
];

/// The complete environment, with some variables set anew (or to nothing, as if missing).
fn read(changes: &[(&str, &str)]) -> Result<Config, String> {
    let mut variables = HashMap::from(COMPLETE);
    variables.extend(changes.iter().copied());
    Config::read(|name| variables.get(name).map(|&value| value.to_owned()))
        .map_err(|error| format!("{error:#}"))
}

#[test]
fn all_missing_variables_are_named_at_once() {
    let error = read(&[("TABLE_NAME", ""), ("AWS_REGION", "")])
        .err()
        .unwrap();
    assert_eq!(
        error,
        "environment variables are missing: TABLE_NAME, AWS_REGION; \
         deploy the function with template.yaml"
    );
}

#[test]
fn days_to_keep_are_a_whole_number_and_0_or_nothing_is_for_ever() {
    let days = |days| read(&[("DAYS_TO_KEEP", days)]).map(|c| c.function().time_to_live);
    assert_eq!(days("90"), Ok(Some(chrono::TimeDelta::days(90))));
    assert_eq!(days("0"), Ok(None));
    assert_eq!(days(""), Ok(None));
    for wrong in ["-1", "a week", "1.5", "99999999999"] {
        let error = days(wrong).unwrap_err();
        assert!(
            error.contains(wrong) && error.contains("whole number"),
            "{error}"
        );
    }
}

#[test]
fn the_function_prints_no_secret() {
    let function = read(&[]).unwrap().function();
    let printed = format!("{function:?}");
    assert!(
        !printed.contains("a-secret-of-the-tests") && !printed.contains("a-token-of-the-tests"),
        "{printed}"
    );
}

fn line(report: &Report, troubles: &[&str]) -> Value {
    let now = "2026-01-15T12:00:00Z".parse().unwrap();
    let troubles: Vec<_> = troubles.iter().map(|&trouble| trouble.to_owned()).collect();
    let line = report.line(
        "store-posts",
        "request-1",
        "shardId-000000000000",
        now,
        &troubles,
    );
    assert!(!line.contains('\n'));
    serde_json::from_str(&line).unwrap()
}

#[test]
fn the_log_line_holds_a_number_for_each_metric_it_declares() {
    let report = Report {
        read: 7,
        stored: 4,
        milliseconds: 12,
        ..Report::default()
    };

    let line = line(&report, &[]);

    assert_eq!(line["_aws"]["Timestamp"], 1_768_478_400_000_i64);
    let declared = &line["_aws"]["CloudWatchMetrics"][0];
    assert_eq!(declared["Namespace"], "headwater");
    assert_eq!(declared["Dimensions"][0][0], "FunctionName");
    assert_eq!(line["FunctionName"], "store-posts");
    let metrics = declared["Metrics"].as_array().unwrap();
    for metric in metrics {
        let name = metric["Name"].as_str().unwrap();
        assert!(line[name].is_u64(), "{name} is {}", line[name]);
    }
    let counters = serde_json::to_value(&report).unwrap();
    assert_eq!(
        metrics.len(),
        counters.as_object().unwrap().len(),
        "a counter is no metric"
    );
    assert_eq!(
        (&line["Read"], &line["Stored"], &line["Milliseconds"]),
        (&7.into(), &4.into(), &12.into())
    );
}

#[test]
fn the_level_tells_what_comes_again_from_what_only_had_trouble() {
    let done = Report::default();
    let undone = Report {
        unprocessed: 1,
        ..Report::default()
    };
    assert_eq!(line(&done, &[])["level"], "info");
    assert_eq!(line(&done, &["throttled"])["level"], "warn");
    assert_eq!(line(&undone, &["denied"])["level"], "error");
    assert_eq!(line(&undone, &["denied"])["troubles"][0], "denied");
}
