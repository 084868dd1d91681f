//! The options of `cargo demo`.

use std::ffi::OsString;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use lexopt::{Arg, Parser, ValueExt};

use super::way::Network;

/// How long the network fails.
const USUAL: Duration = Duration::from_secs(10);

pub const HELP: &str = "\
The whole pipeline on this machine: posts about KEYWORD from a simulated X API, the real headwater, a local
AWS (MiniStack) with the real template.yaml and the real function. The network fails on the way: to AWS, and
to X, where posts go on.

Usage: cargo demo [OPTIONS] [KEYWORD...]

  --posts N              How many posts are read [default: 200]
  --outage SECONDS       How long the network to AWS fails. Without it, for 10 s, and that to X for 3 s of them
  --outage source        The whole network fails for 10 s, and what was posted meanwhile is fetched from X
  --no-outage            The network does not fail
  --network 2g|3g|satellite|flaky|hot-shard
                         The way to AWS is slow, far, or cut again and again, or one of four shards takes two
                         posts a second. The network then fails only if --outage is given, too. A link may
                         also be described: rate=5000,delay=0.3,loss=0.01,buffer=300000,cut-bytes=8000 (bytes
                         a second, seconds, a share, bytes), or changed: 2g,loss=0.01
  --spool-size SIZE      The disk queue's size, such as 1MiB; without it, headwater's own default
  --pack                 Posts go in packs: many in one record of the stream
  --wire json|cbor       How headwater writes its calls [default: its own, json]
  --rate N               Posts a second [default: 20]
  --source x|jetstream|lines
                         Where the posts come from [default: x]. jetstream is Bluesky's: real posts, no
                         account needed
  --offline              For jetstream: a simulated server, in the place of Bluesky's
  --boards N             A fleet of N boards, each with lines of its own. One is unplugged in the middle, and named by
                         the watch that template.yaml deploys. Goes with --rate, --silent-after and --headwater
  --silent-after SECONDS A board is named after so long a silence [default: 60]. Below 60 the demo looks every
                         second; the template's own schedule looks every minute
  --headwater COMMAND    Runs another headwater, such as 'qemu-arm-static target/.../headwater'
  -h, --help
";

/// The parsed options.
#[derive(Debug)]
pub struct Options {
    pub keyword: String,
    pub posts: usize,
    pub outage: Option<Outage>,
    /// What the way to AWS is like, if it is not a wire.
    pub network: Option<Network>,
    pub spool_size: Option<OsString>,
    /// Posts go in packs.
    pub pack: bool,
    /// How calls are written, if not as headwater does without being told.
    pub wire: Option<OsString>,
    /// The time from one post to the next.
    pub pace: Duration,
    pub source: Source,
    /// A fleet of so many boards, in the place of one.
    pub boards: Option<usize>,
    /// When a board of a fleet is silent.
    pub silent_after: Duration,
    /// The command in the place of the program built here.
    pub headwater: Option<Vec<OsString>>,
}

/// The network's failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outage {
    /// How long there is no way to AWS.
    pub aws: Duration,
    /// When in this time the way to X fails, and when it is back.
    pub source: Option<(Duration, Duration)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    X,
    Lines,
    Jetstream { offline: bool },
}

/// Parses the arguments after the program's name. `None` if they ask for help.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> anyhow::Result<Option<Options>> {
    let mut options = Options {
        keyword: String::new(),
        posts: 200,
        outage: None,
        network: None,
        spool_size: None,
        pack: false,
        wire: None,
        pace: Duration::from_millis(50),
        source: Source::X,
        boards: None,
        silent_after: Duration::from_secs(60),
        headwater: None,
    };
    let mut alone = None;
    let (mut words, mut offline, mut outage) = (Vec::new(), false, None);
    let mut parser = Parser::from_args(args);
    while let Some(argument) = parser.next()? {
        if let Arg::Long(name) = argument
            && !["boards", "rate", "silent-after", "headwater"].contains(&name)
        {
            alone = Some(name.to_owned());
        }
        match argument {
            Arg::Short('h') | Arg::Long("help") => return Ok(None),
            Arg::Long("posts") => {
                options.posts = parser.value()?.parse()?;
                ensure!(options.posts > 0, "--posts takes a number from 1 on");
            }
            Arg::Long("outage") => {
                let what = parser.value()?.string()?;
                let of = match what.as_str() {
                    "source" => Outage {
                        aws: USUAL,
                        source: Some((Duration::ZERO, USUAL)),
                    },
                    seconds => Outage {
                        aws: seconds.parse().map(Duration::from_secs).with_context(|| {
                            format!("--outage takes seconds, or 'source', not '{seconds}'")
                        })?,
                        source: None,
                    },
                };
                outage = Some(Some(of));
            }
            Arg::Long("no-outage") => outage = Some(None),
            Arg::Long("network") => {
                let network = parser.value()?.string()?.parse();
                options.network = Some(network.context("--network")?);
            }
            Arg::Long("spool-size") => options.spool_size = Some(parser.value()?),
            Arg::Long("pack") => options.pack = true,
            Arg::Long("wire") => options.wire = Some(parser.value()?),
            Arg::Long("rate") => {
                let rate: f64 = parser.value()?.parse()?;
                ensure!(rate > 0.0, "--rate takes a number of posts a second");
                options.pace =
                    Duration::try_from_secs_f64(1.0 / rate).context("--rate is too small")?;
            }
            Arg::Long("source") => {
                options.source = match parser.value()?.string()?.as_str() {
                    "x" => Source::X,
                    "lines" => Source::Lines,
                    "jetstream" => Source::Jetstream { offline: false },
                    other => bail!("there is no source '{other}': x, jetstream or lines"),
                };
            }
            Arg::Long("boards") => {
                let boards = parser.value()?.parse()?;
                ensure!(boards > 0, "--boards takes a number from 1 on");
                options.boards = Some(boards);
            }
            Arg::Long("silent-after") => {
                let seconds = parser.value()?.parse()?;
                ensure!(seconds > 0, "--silent-after takes seconds, from 1 on");
                options.silent_after = Duration::from_secs(seconds);
            }
            Arg::Long("offline") => offline = true,
            Arg::Long("headwater") => {
                let command = parser.value()?.string()?;
                options.headwater = Some(command.split_whitespace().map(absolute).collect());
            }
            Arg::Value(word) => words.push(word.string()?),
            other => return Err(other.unexpected().into()),
        }
    }
    if let (Some(_), Some(other)) = (options.boards, alone) {
        bail!("--{other} does not go with --boards");
    }
    if let Source::Jetstream {
        offline: offline_too,
    } = &mut options.source
    {
        *offline_too = offline;
    } else {
        ensure!(
            !offline,
            "--offline goes with --source jetstream; the others need no network"
        );
    }
    let usual = Outage {
        aws: USUAL,
        source: (options.source == Source::X).then_some((USUAL * 3 / 10, USUAL * 6 / 10)),
    };
    options.outage = outage.unwrap_or(options.network.is_none().then_some(usual));
    let fails = options.outage.is_some_and(|outage| outage.source.is_some());
    ensure!(
        !fails || options.source == Source::X,
        "--outage source goes with --source x"
    );
    options.keyword = if words.is_empty() {
        "pizza".to_owned()
    } else {
        words.join(" ")
    };
    Ok(Some(options))
}

/// A word of a command that runs in another folder: the name of an existing file is made absolute.
fn absolute(word: &str) -> OsString {
    match std::path::absolute(word) {
        Ok(path) if path.is_file() => path.into(),
        _ => word.into(),
    }
}
