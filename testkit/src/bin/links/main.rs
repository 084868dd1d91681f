//! `bench/links`: headwater over bad links and into busy streams, beside what it is compared with; each run of it is judged.

mod cases;
mod contenders;
mod judge;
mod report;
mod run;

use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;

use anyhow::{Context, bail, ensure};
use lexopt::{Arg, ValueExt};

use cases::{Case, cases};
use contenders::{Contender, Programs};
use report::Row;

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
    let mut rows = Vec::new();
    for case in cases().iter().filter(|case| wanted(case)) {
        eprintln!("{}: {}", case.name, case.says);
        let found = measure(case, &options.programs)?;
        for row in &found {
            eprintln!("  {row}");
        }
        rows.push((case.clone(), found));
    }
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

/// Runs a case with every program: side by side, unless one would take the processor from the other.
fn measure(case: &Case, programs: &Programs) -> anyhow::Result<Vec<Row>> {
    let contenders: Vec<_> = programs
        .contenders()
        .into_iter()
        .filter(|contender| case.suits(contender))
        .collect();
    let run = |contender: &Contender| {
        run::run(case, contender).with_context(|| format!("{} with {}", case.name, contender.name))
    };
    let outcomes: Vec<_> = if case.in_turn {
        contenders.iter().map(run).collect::<Result<_, _>>()?
    } else {
        thread::scope(|scope| {
            let running: Vec<_> = contenders
                .iter()
                .map(|contender| scope.spawn(move || run(contender)))
                .collect();
            running
                .into_iter()
                .map(|running| running.join().unwrap_or_else(|_| bail!("a run panicked")))
                .collect::<Result<_, _>>()
        })?
    };
    let before = contenders
        .iter()
        .position(|contender| contender.is_baseline)
        .map(|index| &outcomes[index]);
    Ok(contenders
        .iter()
        .zip(&outcomes)
        .map(|(contender, outcome)| Row::new(case, contender, outcome, before))
        .collect())
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
