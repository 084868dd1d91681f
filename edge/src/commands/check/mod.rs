//! `headwater check`: tests each thing that a run needs, prints a line for each, and says what to do. It reads nothing from the source, writes no
//! post, and does not touch the spool: the card is tested with one block beside it.

mod aws;
mod disk;
mod network;

use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;

use crate::aws::kinesis::wire::Wire;
use crate::commands::run;
use crate::observe::screen::Paint;
use crate::post::record::MAX_RECORD_BYTES;
use crate::settings::Config;

/// The result of one test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Everything is right.
    Good(String),
    /// The program runs with it, but a person should look at it.
    Doubtful(String),
    /// A run would fail, or keep nothing: it must be repaired.
    Bad(String),
    /// It could not be tested, and why.
    Untested(String),
}

use Verdict::{Bad, Doubtful, Good, Untested};

/// Tests everything that a run with `config` needs. `settings` is the file that the settings came from, if one was read.
/// [`ExitCode::FAILURE`] if something is bad.
///
/// # Errors
///
/// Standard output cannot be written to.
pub fn check(config: Config, settings: Option<&Path>) -> io::Result<ExitCode> {
    let paint = Paint::new(io::stdout().is_terminal());
    let mut out = io::stdout().lock();
    let mut is_bad = false;
    let mut tell = |name: &str, verdict: Verdict| {
        is_bad |= matches!(verdict, Bad(_));
        writeln!(out, "{}", line(name, &verdict, paint))
    };

    let from = settings.map_or_else(
        || "complete, from the environment and the command line".to_owned(),
        |file| format!("complete, from {}", file.display()),
    );
    tell("settings", Good(from))?;
    tell("name", network::name(&config.endpoint))?;
    let greeting = network::greet(&config.endpoint, &config.roots);
    tell("connection", greeting.connection)?;
    tell("clock", network::clock(greeting.time))?;
    let mut asker = aws::Asker::new(&config, greeting.time);
    tell(
        "credentials",
        asker.identity(config.provider, config.sts.as_ref()),
    )?;
    tell("stream", asker.stream())?;
    if config.max_record_bytes > MAX_RECORD_BYTES {
        tell("record size", asker.record_size(config.max_record_bytes))?;
    }
    tell("cbor", asker.cbor(config.flow.wire == Wire::Cbor))?;
    let source = match run::source(config.source).check() {
        Ok(good) => Good(good),
        Err(error) => Bad(format!("{error:#}")),
    };
    tell("source", source)?;
    let [spool, disk] = disk::spool_and_disk(&config.spool);
    tell("spool", spool)?;
    tell("disk", disk)?;
    Ok(if is_bad {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

fn line(name: &str, verdict: &Verdict, paint: Paint) -> String {
    let (word, text) = match verdict {
        Good(text) => (paint.green("good    "), text),
        Doubtful(text) => (paint.yellow("doubtful"), text),
        Bad(text) => (paint.red("bad     "), text),
        Untested(text) => ("untested".to_owned(), text),
    };
    format!(
        "{name:<12} {word}  {}",
        crate::observe::journal::clean(text)
    )
}
