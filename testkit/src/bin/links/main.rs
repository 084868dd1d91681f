//! `bench/links`: headwater over bad links and into busy streams, beside what it is compared with; each run of it is judged.

mod cases;
mod judge;
mod report;
mod run;

use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;

use anyhow::{Context, bail, ensure};
use lexopt::{Arg, ValueExt};

use cases::{Case, cases};
use report::Row;
use testkit::contenders::{Contender, Programs};

const HELP: &str = "\
Runs headwater over bad links and into busy streams, beside a loop of one PutRecord a post and one of aws-sdk-kinesis with 500 a call.

Usage: bench/links [OPTIONS]

  --only NAME        Only this case; may be given again. Nothing is written to bench/results/
  --baseline PATH    Another headwater, run beside: what 'no slower than before' is measured against
  --headwater PATH   This headwater, in the place of target/release/headwater
  --without-loops    headwater alone
  --list             Names the cases
  -h, --help
";

struct Options {
    only: Vec<String>,
    programs: Programs,
}

fn main() -> anyhow::Result<ExitCode> {
    let Some(options) = parse()? else {
        return Ok(ExitCode::SUCCESS);
    };
    let wanted =
        |case: &Case| options.only.is_empty() || options.only.iter().any(|name| name == case.name);
    let cases: Vec<_> = cases().into_iter().filter(wanted).collect();
    let rows = measure(&cases, &options.programs)?;
    print!("{}", report::table(&rows));
    if options.only.is_empty() {
        report::write(&rows).context("bench/results/links.md cannot be written")?;
    }
    let holds = rows.iter().flat_map(|(_, rows)| rows).all(Row::holds);
    Ok(if holds {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// A case, and a program to run in it.
type Job<'a> = (&'a Case, &'a Contender);

/// Runs every case with every program it suits: all at once where the link is what takes time, then one by one where a program would take
/// the processor from another.
fn measure<'a>(
    cases: &'a [Case],
    programs: &Programs,
) -> anyhow::Result<Vec<(&'a Case, Vec<Row>)>> {
    let contenders = programs.contenders();
    let jobs = cases.iter().flat_map(|case| {
        let suits = contenders.iter().filter(|contender| case.suits(contender));
        suits.map(move |contender| (case, contender))
    });
    let (alone, together): (Vec<Job>, Vec<Job>) = jobs.partition(|(case, _)| case.alone);
    let run = |(case, contender): Job| {
        eprintln!("{}: {}", case.name, contender.name);
        let outcome = run::run(case, contender);
        outcome.with_context(|| format!("{} with {}", case.name, contender.name))
    };
    let mut outcomes = thread::scope(|scope| {
        let running: Vec<_> = together
            .iter()
            .map(|&job| scope.spawn(move || run(job)))
            .collect();
        let joined = running
            .into_iter()
            .map(|running| running.join().unwrap_or_else(|_| bail!("a run panicked")));
        joined.collect::<Result<Vec<_>, _>>()
    })?;
    for &job in &alone {
        outcomes.push(run(job)?);
    }
    let found: Vec<_> = together.into_iter().chain(alone).zip(outcomes).collect();
    let rows = |case: &'a Case| {
        let found: Vec<_> = found
            .iter()
            .filter(|((of, _), _)| of.name == case.name)
            .collect();
        let before = found
            .iter()
            .find(|((_, contender), _)| contender.is_baseline);
        let before = before.map(|(_, outcome)| outcome);
        let row =
            |((_, contender), outcome): &&(Job, _)| Row::new(case, contender, outcome, before);
        (case, found.iter().map(row).collect())
    };
    Ok(cases.iter().map(rows).collect())
}

fn parse() -> anyhow::Result<Option<Options>> {
    let mut options = Options {
        only: Vec::new(),
        programs: Programs::default(),
    };
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Short('h') | Arg::Long("help") => {
                print!("{HELP}");
                return Ok(None);
            }
            Arg::Long("list") => {
                for case in cases() {
                    println!("{:<12} {}", case.name, case.says);
                }
                return Ok(None);
            }
            Arg::Long("only") => {
                let name = parser.value()?.string()?;
                ensure!(
                    cases().iter().any(|case| case.name == name),
                    "there is no case '{name}'; --list names them"
                );
                options.only.push(name);
            }
            Arg::Long("baseline") => {
                options.programs.baseline = Some(PathBuf::from(parser.value()?))
            }
            Arg::Long("headwater") => options.programs.headwater = PathBuf::from(parser.value()?),
            Arg::Long("without-loops") => options.programs.loops = None,
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(Some(options))
}
