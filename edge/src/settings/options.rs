//! The tables of commands, options and variables. The parser, `--help`, the manual page, docs/configuration.md and the shell completions are
//! made from them.

use std::fmt::Write;

/// First line of the help.
pub const ABOUT: &str =
    "Carries a keyword-filtered live stream to Amazon Kinesis, and loses nothing on the way.";

/// A subcommand.
#[derive(Debug)]
pub struct Sub {
    /// Its name.
    pub name: &'static str,
    /// Its arguments, as the help shows them.
    pub args: &'static str,
    /// Its description, one line.
    pub help: &'static str,
}

/// All subcommands.
pub const COMMANDS: &[Sub] = &[
    Sub {
        name: "check",
        args: "[OPTIONS] [KEYWORD...]",
        help: "Tests everything that a run needs, and says what to do about what is missing",
    },
    Sub {
        name: "status",
        args: "[--json] [--watch] [--spool FILE]",
        help: "Shows what the running program is doing",
    },
    Sub {
        name: "spool",
        args: "stat|verify|peek|export FILE",
        help: "Looks into a disk queue, also while it is in use",
    },
];

/// An option of the command line, with its environment variables.
#[derive(Debug)]
pub struct Opt {
    /// Its long name, without the dashes.
    pub long: &'static str,
    /// Placeholder of its value in the help. Empty for a switch.
    pub value: &'static str,
    /// The environment variables for the same setting. The first one that is set wins.
    pub env: &'static [&'static str],
    /// Its default. Empty if there is none.
    pub default: &'static str,
    /// Its description, one line.
    pub help: &'static str,
    /// Whether it may be given several times. Its variable then holds the values separated by commas. Of any other option the last value counts.
    pub repeats: bool,
}

macro_rules! options {
    ($($name:ident: $long:literal $value:literal $env:expr, $default:literal, $help:literal $(, $repeats:ident)?;)*) => {
        $(#[doc = $help] pub const $name: &Opt = &Opt {
            long: $long, value: $value, env: &$env, default: $default, help: $help, repeats: repeats!($($repeats)?),
        };)*

        /// All options, in the order of the help.
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
    INPUT: "input" "FILE|-" ["HEADWATER_INPUT"], "-", "For lines: a file to follow, a pattern in quotes, or standard input (-); may be given several times, in the variable separated by commas", repeats;
    PARTITION_KEY: "partition-key" "POINTER" ["HEADWATER_PARTITION_KEY"], "", "For lines of JSON: the member whose value becomes the partition key, such as /sensor/id";
    STREAM: "stream" "NAME" ["AWS_STREAM_NAME"], "", "The Kinesis data stream";
    REGION: "region" "NAME" ["AWS_REGION", "AWS_DEFAULT_REGION"], "", "The stream's region; a profile's region also works";
    ENDPOINT: "endpoint" "URL" ["AWS_ENDPOINT_URL_KINESIS", "AWS_ENDPOINT_URL"], "", "The Kinesis endpoint, if not AWS's for the region";
    SPOOL: "spool" "FILE" ["HEADWATER_SPOOL"], "", "The file of the disk queue [default: spool in the state folder]";
    SPOOL_SIZE: "spool-size" "SIZE" ["HEADWATER_SPOOL_SIZE"], "64MiB", "Size of the disk queue, 1MiB to 64GiB; a new size takes effect when the queue is empty";
    WHEN_FULL: "when-full" "drop-oldest|drop-newest|block" ["HEADWATER_WHEN_FULL"], "", "What to do when the queue is full; block makes the source wait [default: block for lines, which can wait; else drop-oldest]";
    DURABLE_WITHIN: "durable-within" "DURATION" ["HEADWATER_DURABLE_WITHIN"], "1s", "A power cut loses at most the posts younger than this";
    ORDERED: "ordered" "" ["HEADWATER_ORDERED"], "", "Keep strict order within each partition key; costs one call for each post";
    LINGER: "linger" "DURATION" ["HEADWATER_LINGER"], "0", "Let a live post wait this long for others, to share a call";
    PACK: "pack" "" ["HEADWATER_PACK"], "", "Send many posts in one record, compressed (Zstandard): about six times fewer bytes; other consumers must unpack them";
    WIRE: "wire" "json|cbor" ["HEADWATER_WIRE"], "json", "Format of calls to Kinesis; CBOR is a quarter shorter; a server that does not know it gets JSON";
    MAX_RECORD_SIZE: "max-record-size" "SIZE" ["HEADWATER_MAX_RECORD_SIZE"], "1MiB", "Limit of a record, up to 10MiB if the stream allows it (MaxRecordSizeInKiB)";
    MAX_RATE: "max-rate" "BYTES" ["HEADWATER_MAX_RATE"], "", "Send at most this many bytes a second; the rest waits in the queue";
    MAX_BYTES_PER_DAY: "max-bytes-per-day" "SIZE" ["HEADWATER_MAX_BYTES_PER_DAY"], "", "Send at most this many bytes a day (UTC); the rest waits in the queue";
    MAX_PER_DAY: "max-per-day" "N" ["HEADWATER_MAX_PER_DAY"], "", "For X, which bills each post: read at most N posts a day (UTC)";
    GAP_AT_MOST: "gap-at-most" "DURATION" ["HEADWATER_GAP_AT_MOST"], "7d", "For X: after an outage, fetch missed posts from at most this long ago";
    NO_GAP_FILL: "no-gap-fill" "" ["HEADWATER_GAP_FILL"], "", "For X: do not fetch missed posts (the variable: 0)";
    NO_RETWEETS: "no-retweets" "" ["HEADWATER_RETWEETS"], "", "For X: leave out retweets, which are billed, too (the variable: 0)";
    REPORT_EVERY: "report-every" "DURATION" ["HEADWATER_REPORT_EVERY"], "", "Send a report on this board's state this often (docs/fleet.md)";
    BOARD: "board" "NAME" ["HEADWATER_BOARD"], "", "The board's name in its reports [default: the host name]";
    METRICS_FILE: "metrics-file" "FILE" ["HEADWATER_METRICS_FILE"], "", "Write Prometheus text to this file every second; on tmpfs it costs the card nothing";
    QUIET: "quiet" "" ["HEADWATER_QUIET"], "", "Do not print the posts on a terminal";
}

/// Variables without an option, each with its description, in groups.
pub const VARIABLES: &[(&str, &[(&str, &str)])] = &[
    (
        "The keyword",
        &[(
            "HEADWATER_KEYWORD",
            "The keyword, if the command line has none",
        )],
    ),
    (
        "X",
        &[
            ("TWITTER_API_CONSUMER_KEY", "The consumer key of your app"),
            ("TWITTER_API_CONSUMER_SECRET", "The consumer secret"),
            ("X_BEARER_TOKEN", "A bearer token, instead of both"),
        ],
    ),
    (
        "AWS, by a key",
        &[
            ("AWS_ACCESS_KEY_ID", "The producer's access key"),
            (
                "AWS_SECRET_ACCESS_KEY",
                "Its secret key; AWS_SECRET_KEY also works",
            ),
            ("AWS_SESSION_TOKEN", "The session token of keys that expire"),
        ],
    ),
    (
        "AWS, by a profile",
        &[
            (
                "AWS_PROFILE",
                "The profile to use, with keys or a credential_process",
            ),
            ("AWS_CONFIG_FILE", "Instead of ~/.aws/config"),
            (
                "AWS_SHARED_CREDENTIALS_FILE",
                "Instead of ~/.aws/credentials",
            ),
        ],
    ),
    (
        "AWS, by a device certificate",
        &[
            (
                "HEADWATER_IOT_ENDPOINT",
                "Host of the credentials provider of AWS IoT",
            ),
            (
                "HEADWATER_IOT_ROLE_ALIAS",
                "The role alias for the board's role",
            ),
            (
                "HEADWATER_IOT_THING",
                "The thing's name, if the policy requires it",
            ),
            (
                "HEADWATER_IOT_CERTIFICATE",
                "File with the board's certificate, PEM",
            ),
            (
                "HEADWATER_IOT_KEY",
                "File with the certificate's private key, PEM",
            ),
        ],
    ),
    (
        "The network",
        &[
            (
                "HTTPS_PROXY",
                "The HTTP proxy to use; ALL_PROXY also works; NO_PROXY names hosts to reach directly",
            ),
            (
                "AWS_CA_BUNDLE",
                "File with the certificate authorities to trust, PEM, instead of the built-in ones; SSL_CERT_FILE also works",
            ),
            (
                "AWS_USE_FIPS_ENDPOINT",
                "true uses FIPS endpoints; use_fips_endpoint in a profile also works",
            ),
            (
                "AWS_USE_DUALSTACK_ENDPOINT",
                "true uses dual-stack endpoints (IPv6); use_dualstack_endpoint in a profile also works",
            ),
            (
                "HEADWATER_ALLOW_HTTP",
                "1 allows unencrypted connections to other machines",
            ),
            ("X_API_URL", "Address of the X API, if not X's own"),
            (
                "JETSTREAM_URL",
                "Jetstream servers instead of Bluesky's, separated by commas",
            ),
            (
                "AWS_ENDPOINT_URL_STS",
                "For check: the STS endpoint that knows the board's identity",
            ),
        ],
    ),
    (
        "The service",
        &[(
            "HEADWATER_ENV_FILE",
            "For check: the settings file to read if the environment has none [default: /etc/headwater/headwater.env]",
        )],
    ),
];

/// The exit codes and their meaning.
pub const EXIT_CODES: &[(u8, &str)] = &[
    (0, "done; status: it runs; check: nothing is bad"),
    (1, "failed; status: none runs; check: something is bad"),
    (2, "a setting or option is missing or wrong"),
];

/// The text of `--help`.
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
    /// The default for the help, as in ` [default: 1s]`. Empty if there is none.
    pub fn default_in_words(&self) -> String {
        match self.default {
            "" => String::new(),
            default => format!(" [default: {default}]"),
        }
    }
}
