//! Every command, option and variable: the tables from which the command line, the environment, the help, the manual page and the shells'
//! completions are read.

use std::fmt::Write;

/// What the program does, in one line.
pub const ABOUT: &str =
    "Carries a keyword-filtered live stream to Amazon Kinesis, and loses nothing on the way.";

/// A command beside the main one.
#[derive(Debug)]
pub struct Sub {
    /// Its name.
    pub name: &'static str,
    /// What may follow.
    pub args: &'static str,
    /// What it does, in one line.
    pub help: &'static str,
}

/// All of them.
pub const COMMANDS: &[Sub] = &[
    Sub {
        name: "check",
        args: "[OPTIONS] [KEYWORD...]",
        help: "Tries all that a run needs, and says what to do about what is missing",
    },
    Sub {
        name: "status",
        args: "[--json] [--watch] [--spool FILE]",
        help: "Shows what the running one is doing",
    },
    Sub {
        name: "spool",
        args: "stat|verify|peek|export FILE",
        help: "Looks into a disk queue, in use or not",
    },
];

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
    /// Whether it may be given several times; its variable then holds them with commas between. Of others the last counts.
    pub repeats: bool,
}

macro_rules! options {
    ($($name:ident: $long:literal $value:literal $env:expr, $default:literal, $help:literal $(, $repeats:ident)?;)*) => {
        $(#[doc = $help] pub const $name: &Opt = &Opt {
            long: $long, value: $value, env: &$env, default: $default, help: $help, repeats: repeats!($($repeats)?),
        };)*

        /// All of them, in the order of the help.
        pub const ALL: &[&Opt] = &[$($name),*];
    };
}

macro_rules! repeats {
    (repeats) => {
        true
    };
    () => {
        false
    };
}

options! {
    SOURCE: "source" "x|jetstream|lines" ["HEADWATER_SOURCE"], "x", "Where posts come from";
    INPUT: "input" "FILE|-" ["HEADWATER_INPUT"], "-", "For lines: a file to follow, a pattern in quotes, or standard input; repeats, in the variable with commas", repeats;
    PARTITION_KEY: "partition-key" "POINTER" ["HEADWATER_PARTITION_KEY"], "", "For lines of JSON: the member that keeps order, as in /sensor/id";
    STREAM: "stream" "NAME" ["AWS_STREAM_NAME"], "", "The Kinesis data stream";
    REGION: "region" "NAME" ["AWS_REGION", "AWS_DEFAULT_REGION"], "", "Its region";
    ENDPOINT: "endpoint" "URL" ["AWS_ENDPOINT_URL_KINESIS", "AWS_ENDPOINT_URL"], "", "Another server that speaks Kinesis";
    SPOOL: "spool" "FILE" ["HEADWATER_SPOOL"], "", "The disk queue [default: spool in the state folder]";
    SPOOL_SIZE: "spool-size" "SIZE" ["HEADWATER_SPOOL_SIZE"], "64MiB", "Its size, 1MiB to 64GiB, fixed when it is made";
    WHEN_FULL: "when-full" "drop-oldest|drop-newest|block" ["HEADWATER_WHEN_FULL"], "", "What a full queue does [default: block for lines, which can wait; else drop-oldest]";
    DURABLE_WITHIN: "durable-within" "DURATION" ["HEADWATER_DURABLE_WITHIN"], "1s", "A power cut loses at most what is younger";
    ORDERED: "ordered" "" ["HEADWATER_ORDERED"], "", "Strict order for each partition key, one call a post";
    FRESH_FIRST: "fresh-first" "" ["HEADWATER_FRESH_FIRST"], "", "After an outage, half of each call carries what was read since, half the backlog";
    LINGER: "linger" "DURATION" ["HEADWATER_LINGER"], "0", "A live post may wait so long for company, to share a call";
    PACK: "pack" "" ["HEADWATER_PACK"], "", "Many posts in one record, compressed (Zstandard): six times fewer bytes";
    WIRE: "wire" "json|cbor" ["HEADWATER_WIRE"], "json", "How calls to Kinesis are written; CBOR is a quarter shorter, and AWS knows it";
    MAX_RATE: "max-rate" "BYTES" ["HEADWATER_MAX_RATE"], "", "Send no more bytes a second than these; the rest waits in the queue";
    MAX_BYTES_PER_DAY: "max-bytes-per-day" "SIZE" ["HEADWATER_MAX_BYTES_PER_DAY"], "", "Send no more a day (UTC); the rest waits in the queue";
    MAX_PER_DAY: "max-per-day" "N" ["HEADWATER_MAX_PER_DAY"], "", "For X, which bills each post: read no more than N a day (UTC)";
    GAP_AT_MOST: "gap-at-most" "DURATION" ["HEADWATER_GAP_AT_MOST"], "7d", "For X: after an outage, fetch what was posted meanwhile, so far back";
    NO_GAP_FILL: "no-gap-fill" "" ["HEADWATER_GAP_FILL"], "", "For X: do not (the variable: 0)";
    NO_RETWEETS: "no-retweets" "" ["HEADWATER_RETWEETS"], "", "For X: leave retweets out, which are billed, too (the variable: 0)";
    METRICS_FILE: "metrics-file" "FILE" ["HEADWATER_METRICS_FILE"], "", "Prometheus text, rewritten every second";
    QUIET: "quiet" "" ["HEADWATER_QUIET"], "", "Do not print the posts on a terminal";
}

/// What the environment alone sets: the variable and what it is, by what it is for.
pub const VARIABLES: &[(&str, &[(&str, &str)])] = &[
    (
        "The keyword",
        &[(
            "HEADWATER_KEYWORD",
            "What to look for, where the command line has none",
        )],
    ),
    (
        "X",
        &[
            ("TWITTER_API_CONSUMER_KEY", "The consumer key of your app"),
            ("TWITTER_API_CONSUMER_SECRET", "Its secret"),
            ("X_BEARER_TOKEN", "In the place of both"),
        ],
    ),
    (
        "AWS, by a key",
        &[
            ("AWS_ACCESS_KEY_ID", "The producer's access key"),
            (
                "AWS_SECRET_ACCESS_KEY",
                "Its secret; AWS_SECRET_KEY does too",
            ),
            ("AWS_SESSION_TOKEN", "Its token, for keys that expire"),
        ],
    ),
    (
        "AWS, by a profile",
        &[
            (
                "AWS_PROFILE",
                "The profile of the shared files, credential_process included",
            ),
            ("AWS_CONFIG_FILE", "In the place of ~/.aws/config"),
            (
                "AWS_SHARED_CREDENTIALS_FILE",
                "In the place of ~/.aws/credentials",
            ),
        ],
    ),
    (
        "AWS, by a device certificate",
        &[
            (
                "HEADWATER_IOT_ENDPOINT",
                "The credentials provider of AWS IoT",
            ),
            (
                "HEADWATER_IOT_ROLE_ALIAS",
                "The role alias that names the board's role",
            ),
            (
                "HEADWATER_IOT_THING",
                "The thing's name, where the policy asks for it",
            ),
            (
                "HEADWATER_IOT_CERTIFICATE",
                "The file with the board's certificate, PEM",
            ),
            ("HEADWATER_IOT_KEY", "The file with its private key, PEM"),
        ],
    ),
    (
        "The network",
        &[
            (
                "HTTPS_PROXY",
                "The proxy to go through; NO_PROXY names hosts to reach without",
            ),
            (
                "AWS_CA_BUNDLE",
                "The certificates to trust, PEM, in the place of the built-in ones; SSL_CERT_FILE does too",
            ),
            (
                "AWS_USE_FIPS_ENDPOINT",
                "true calls AWS's servers that FIPS 140 validates; use_fips_endpoint in a profile does too",
            ),
            (
                "AWS_USE_DUALSTACK_ENDPOINT",
                "true calls those that IPv6 reaches too; use_dualstack_endpoint in a profile does too",
            ),
            (
                "HEADWATER_ALLOW_HTTP",
                "1 allows unencrypted connections to other machines",
            ),
            ("X_API_URL", "Another server that speaks X's API"),
            (
                "JETSTREAM_URL",
                "Other Jetstream servers, with commas between",
            ),
            (
                "AWS_ENDPOINT_URL_STS",
                "For check: another server that knows who the board is",
            ),
        ],
    ),
    (
        "The service",
        &[(
            "HEADWATER_ENV_FILE",
            "For check: settings where the environment has none [default: /etc/headwater/headwater.env]",
        )],
    ),
];

/// What the exit codes mean.
pub const EXIT_CODES: &[(u8, &str)] = &[
    (0, "done; for status: it runs; for check: all is well"),
    (
        1,
        "failed; for status: none runs; for check: something must be mended",
    ),
    (2, "wrong usage"),
];

/// What `--help` prints.
pub fn help() -> String {
    let mut text = format!("{ABOUT}\n\nUsage: headwater [OPTIONS] KEYWORD...\n");
    for Sub { name, args, help } in COMMANDS {
        let _ = writeln!(
            text,
            "       headwater {:<41} {help}",
            format!("{name} {args}")
        );
    }
    text.push_str(
        "\nSeveral words must all occur; quotes make a phrase. A keyword that is a command: headwater -- spool\n\n\
         Options, with the environment variable that does the same:\n",
    );
    for option in ALL {
        let Opt {
            long,
            value,
            env,
            help,
            ..
        } = option;
        let default = option.default_in_words();
        let usage = format!("--{long} {value}");
        let env = env.join(", ");
        let _ = writeln!(text, "  {usage:<44} {help}{default}\n  {:<44} {env}", "");
    }
    text.push_str("  --help, --version\n");
    for (group, variables) in VARIABLES {
        let _ = writeln!(text, "\n{group}:");
        for (name, help) in *variables {
            let _ = writeln!(text, "  {name:<44} {help}");
        }
    }
    let codes = EXIT_CODES
        .iter()
        .map(|(code, meaning)| format!("  {code}  {meaning}\n"));
    let _ = write!(text, "\nExit codes:\n{}", codes.collect::<String>());
    text
}

impl Opt {
    /// ` [default: 1s]`; empty where nothing holds by default.
    pub fn default_in_words(&self) -> String {
        match self.default {
            "" => String::new(),
            default => format!(" [default: {default}]"),
        }
    }
}
