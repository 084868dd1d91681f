//! What `cargo demo` takes.

use std::ffi::OsString;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use lexopt::{Arg, Parser, ValueExt};

use super::way::Network;

pub const HELP: &str = "\
The whole pipeline on this machine: posts about KEYWORD from a simulated X API, the real headwater, a local
AWS (MiniStack) with the real template.yaml and the real function. The network to AWS fails on the way.

Usage: cargo demo [OPTIONS] [KEYWORD...]

  --posts N              How many posts are read [default: 200]
  --outage SECONDS       How long the network fails [default: 10]
  --no-outage            The network does not fail
  --network 2g|3g|satellite|flaky|hot-shard
                         The way to AWS is slow, far, or cut again and again, or one of four shards takes two
                         posts a second. The network then fails only if --outage is given, too. A link may
                         also be described: rate=5000,delay=0.3,loss=0.01,buffer=300000,cut-bytes=8000 (bytes
                         a second, seconds, a share, bytes), or changed: 2g,loss=0.01
  --spool-size SIZE      The disk queue's size, such as 1MiB; without it, headwater's own default
  --rate N               Posts a second [default: 20; of each board of a fleet 2]
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

/// The time from one post to the next.
const PACE: Duration = Duration::from_millis(50);

/// The same for each board of a fleet: all of them share one local AWS.
const FLEET_PACE: Duration = Duration::from_millis(500);

/// What the user asked for.
#[derive(Debug)]
pub struct Options {
    pub keyword: String,
    pub posts: usize,
    pub outage: Option<Duration>,
    /// What the way to AWS is like, if it is not a wire.
    pub network: Option<Network>,
    pub spool_size: Option<OsString>,
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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    X,
    Lines,
    Jetstream { offline: bool },
}

/// Reads the arguments after the program's name; `None` if they ask for help.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> anyhow::Result<Option<Options>> {
    let mut options = Options {
        keyword: String::new(),
        posts: 200,
        outage: None,
        network: None,
        spool_size: None,
        pace: PACE,
        source: Source::X,
        boards: None,
        silent_after: Duration::from_secs(60),
        headwater: None,
    };
    let (mut alone, mut is_paced) = (None, false);
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
                outage = Some(Some(Duration::from_secs(parser.value()?.parse()?)));
            }
            Arg::Long("no-outage") => outage = Some(None),
            Arg::Long("network") => {
                let network = parser.value()?.string()?.parse();
                options.network = Some(network.context("--network")?);
            }
            Arg::Long("spool-size") => options.spool_size = Some(parser.value()?),
            Arg::Long("rate") => {
                is_paced = true;
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
    if options.boards.is_some() && !is_paced {
        options.pace = FLEET_PACE;
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
    let usual = options.network.is_none().then_some(Duration::from_secs(10));
    options.outage = outage.unwrap_or(usual);
    options.keyword = if words.is_empty() {
        "pizza".to_owned()
    } else {
        words.join(" ")
    };
    Ok(Some(options))
}

/// A word of a command that runs in another folder: what is a file here is the same file there.
fn absolute(word: &str) -> OsString {
    match std::path::absolute(word) {
        Ok(path) if path.is_file() => path.into(),
        _ => word.into(),
    }
}
