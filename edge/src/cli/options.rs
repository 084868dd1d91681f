//! Every option: one table, from which the command line, the environment and the help are read.

use std::fmt::Write;

/// One option of the command line, and of the environment.
#[derive(Debug)]
pub struct Opt {
    /// Its long name, without the dashes.
    pub long: &'static str,
    /// What stands for its value in the help; empty for a switch.
    pub value: &'static str,
    /// The environment variables that set it too, the first that is set wins.
    pub env: &'static [&'static str],
    /// What holds if nothing sets it; empty if nothing does.
    pub default: &'static str,
    /// What it does, in one line.
    pub help: &'static str,
}

macro_rules! options {
    ($($name:ident: $long:literal $value:literal $env:expr, $default:literal, $help:literal;)*) => {
        $(#[doc = $help] pub const $name: &Opt = &Opt { long: $long, value: $value, env: &$env, default: $default, help: $help };)*

        /// All of them, in the order of the help.
        pub const ALL: &[&Opt] = &[$($name),*];
    };
}

options! {
    SOURCE: "source" "x|jetstream|lines" ["HEADWATER_SOURCE"], "x", "Where posts come from";
    INPUT: "input" "FILE|-" ["HEADWATER_INPUT"], "-", "For lines: a file to follow, or standard input";
    PARTITION_KEY: "partition-key" "POINTER" ["HEADWATER_PARTITION_KEY"], "", "For lines of JSON: the member that keeps order, as in /sensor/id";
    STREAM: "stream" "NAME" ["AWS_STREAM_NAME"], "", "The Kinesis data stream";
    REGION: "region" "NAME" ["AWS_REGION", "AWS_DEFAULT_REGION"], "", "Its region";
    ENDPOINT: "endpoint" "URL" ["AWS_ENDPOINT_URL_KINESIS", "AWS_ENDPOINT_URL"], "", "Another server that speaks Kinesis";
    SPOOL: "spool" "FILE" ["HEADWATER_SPOOL"], "", "The disk queue [default: spool in the state folder]";
    SPOOL_SIZE: "spool-size" "SIZE" ["HEADWATER_SPOOL_SIZE"], "64MiB", "Its size, 1MiB to 64GiB, fixed when it is made";
    WHEN_FULL: "when-full" "drop-oldest|drop-newest|block" ["HEADWATER_WHEN_FULL"], "drop-oldest", "What a full queue does";
    DURABLE_WITHIN: "durable-within" "DURATION" ["HEADWATER_DURABLE_WITHIN"], "1s", "A power cut loses at most what is younger";
    ORDERED: "ordered" "" ["HEADWATER_ORDERED"], "", "Strict order for each partition key, one call a post";
    MAX_PER_DAY: "max-per-day" "N" ["HEADWATER_MAX_PER_DAY"], "", "For X, which bills each post: read no more than N a day (UTC)";
    METRICS_FILE: "metrics-file" "FILE" ["HEADWATER_METRICS_FILE"], "", "Prometheus text, rewritten every few seconds";
    QUIET: "quiet" "" ["HEADWATER_QUIET"], "", "Do not print the posts on a terminal";
}

/// What `--help` prints.
pub fn help() -> String {
    let mut text = String::from(
        "Carries a keyword-filtered live stream to Amazon Kinesis, and loses nothing on the way.\n\n\
         Usage: headwater [OPTIONS] KEYWORD...\n       \
                headwater spool stat|verify|peek|export FILE\n\n\
         Several words must all occur; quotes make a phrase. A keyword that is a command: headwater -- spool\n\n\
         Options, with the environment variable that does the same:\n",
    );
    for Opt {
        long,
        value,
        env,
        default,
        help,
    } in ALL
    {
        let option = format!("--{long} {value}");
        let default = if default.is_empty() {
            String::new()
        } else {
            format!(" [default: {default}]")
        };
        let _ = writeln!(
            text,
            "  {option:<44} {help}{default}\n  {:<44} {}",
            "",
            env.join(", ")
        );
    }
    text.push_str(
        "  --help, --version\n\n\
         For X: TWITTER_API_CONSUMER_KEY and TWITTER_API_CONSUMER_SECRET, or X_BEARER_TOKEN.\n\
         For AWS: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (or AWS_SECRET_KEY), AWS_SESSION_TOKEN; or a profile\n\
         (AWS_PROFILE); or a device certificate (HEADWATER_IOT_ENDPOINT, _ROLE_ALIAS, _THING, _CERTIFICATE, _KEY).\n\n\
         Exit codes: 0 done, 1 failed, 2 wrong usage.\n",
    );
    text
}
