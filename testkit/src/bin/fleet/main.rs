//! `bench/fleet`: many boards on one stream, each a real program; what happens when all of them lose the network, and a third of them.

mod feeder;
mod member;
mod plot;
mod report;
mod run;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, ensure};
use lexopt::{Arg, ValueExt};
use testkit::contenders::{Contender, Kind, Programs};

use run::Plan;

const HELP: &str = "\
Runs a fleet of headwaters on one stream, takes the network from all of them, then from a third, and judges their return.

Usage: bench/fleet [OPTIONS]

  --boards N         How many there are (default 1000)
  --shards N         How many shards the stream has (default one for each 250 boards)
  --steady SECONDS   How long posts flow before each outage (default 60)
  --outage SECONDS   How long each outage lasts (default 120)
  --minutes N        How long posts are written at least (default 10)
  --headwater PATH   This headwater, in the place of target/release/headwater
  --loop             The same with loops of one PutRecord a post on aws-sdk-kinesis, in the place of headwater
  --loaded           The machine has other work to do: figures that depend on time may be three times what is demanded
  --results          Writes bench/results/fleet.md and fleet.svg
  -h, --help

Each board writes a post of 570 bytes a second. The exit code is 1 if headwater misses what is demanded.
";

struct Options {
    plan: Plan,
    programs: Programs,
    is_loop: bool,
    is_loaded: bool,
    writes_results: bool,
}

fn main() -> anyhow::Result<ExitCode> {
    let Some(options) = parse()? else {
        return Ok(ExitCode::SUCCESS);
    };
    let contender = contender(&options)?;
    let outcome = run::run(&options.plan, &contender)?;
    let slack = if options.is_loaded { 3.0 } else { 1.0 };
    let report = report::Report::new(&options.plan, &contender, &outcome, slack);
    print!("{}", report.text());
    let results = Path::new(env!("CARGO_MANIFEST_DIR")).join("../bench/results");
    if options.writes_results {
        report
            .write(&results)
            .context("bench/results cannot be written")?;
    }
    Ok(if report.holds() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn contender(options: &Options) -> anyhow::Result<Contender> {
    let wanted = if options.is_loop {
        Kind::Loop(1)
    } else {
        Kind::Headwater
    };
    let mut all = options.programs.contenders().into_iter();
    all.find(|contender| contender.kind == wanted)
        .context("there is no such program")
}

fn parse() -> anyhow::Result<Option<Options>> {
    let mut plan = Plan {
        boards: 1_000,
        shards: 0,
        steady: Duration::from_secs(60),
        outage: Duration::from_secs(120),
        least: Duration::from_secs(10 * 60),
    };
    let mut options = Options {
        plan,
        programs: Programs::default(),
        is_loop: false,
        is_loaded: false,
        writes_results: false,
    };
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Short('h') | Arg::Long("help") => {
                print!("{HELP}");
                return Ok(None);
            }
            Arg::Long("boards") => plan.boards = parser.value()?.parse()?,
            Arg::Long("shards") => plan.shards = parser.value()?.parse()?,
            Arg::Long("steady") => plan.steady = Duration::from_secs(parser.value()?.parse()?),
            Arg::Long("outage") => plan.outage = Duration::from_secs(parser.value()?.parse()?),
            Arg::Long("minutes") => {
                plan.least = Duration::from_secs_f64(60.0 * parser.value()?.parse::<f64>()?);
            }
            Arg::Long("headwater") => options.programs.headwater = PathBuf::from(parser.value()?),
            Arg::Long("loop") => options.is_loop = true,
            Arg::Long("loaded") => options.is_loaded = true,
            Arg::Long("results") => options.writes_results = true,
            other => return Err(other.unexpected().into()),
        }
    }
    ensure!(plan.boards > 0, "a fleet has at least one board");
    if plan.shards == 0 {
        plan.shards = plan.boards.div_ceil(250);
    }
    options.plan = plan;
    Ok(Some(options))
}
