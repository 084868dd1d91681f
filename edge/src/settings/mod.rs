//! Arguments and environment, parsed once into valid types. What is missing or wrong is said all at once.

mod config;
mod delivery;
mod env_file;
pub mod options;
mod usage;
mod values;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::PathBuf;

use config::Settings;
pub use config::{Config, Source};
use lexopt::Arg;
pub use usage::Usage;

/// No setting has more than one line. A `\r` that a text editor left at its end would otherwise become a part of the value.
const LINE_BREAKS: [char; 2] = ['\r', '\n'];

/// What the user asked for.
#[derive(Debug)]
pub enum Command {
    /// Read, and deliver.
    Run(Box<Config>),
    /// Try all that a run with this configuration needs; its settings came from the file, if there is one.
    Check(Box<Config>, Option<PathBuf>),
    /// Show what the running ones do.
    Status(StatusOptions),
    /// Look into a spool: what stands after `spool`.
    Spool(Vec<OsString>),
    /// Print this and end.
    Print(String),
}

/// What `headwater status` shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StatusOptions {
    /// The program with this spool; else every one there is.
    pub spool: Option<PathBuf>,
    /// JSON, one line for each.
    pub json: bool,
    /// Again and again.
    pub watch: bool,
}

/// Reads the arguments after the program's name, and what `env` knows.
pub fn parse(args: &[OsString], env: &dyn Fn(&str) -> Option<String>) -> Result<Command, Usage> {
    match args {
        [first, rest @ ..] if first == "spool" => Ok(Command::Spool(rest.to_vec())),
        [first, rest @ ..] if first == "status" => status(rest, env),
        [first, rest @ ..] if first == "check" => {
            let service = env_file::Settings::read(env)?;
            let set = |name: &str| env(name).filter(|value| !value.is_empty());
            let config = config(rest, &|name| set(name).or_else(|| service.get(name)))?;
            Ok(config.map_or_else(Command::Print, |config| {
                Command::Check(Box::new(config), service.file)
            }))
        }
        _ => {
            let config = config(args, env)?;
            Ok(config.map_or_else(Command::Print, |config| Command::Run(Box::new(config))))
        }
    }
}

/// The configuration, or what is to be printed instead.
fn config(
    args: &[OsString],
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Result<Config, String>, Usage> {
    let mut given: BTreeMap<_, Vec<String>> = BTreeMap::new();
    let mut words = Vec::new();
    let mut parser = lexopt::Parser::from_args(args);
    while let Some(arg) = parser.next()? {
        match arg {
            Arg::Short('h') | Arg::Long("help") => return Ok(Err(options::help())),
            Arg::Short('V') | Arg::Long("version") => {
                return Ok(Err(format!("headwater {}\n", env!("CARGO_PKG_VERSION"))));
            }
            Arg::Value(word) => words.push(word.to_string_lossy().into_owned()),
            Arg::Long(name) => {
                let option = options::ALL.iter().find(|option| option.long == name);
                let option = option.ok_or_else(|| format!("there is no option --{name}"))?;
                // The variable of a switch that begins with "no-" says whether, not whether not.
                let value = match (option.value, option.long.starts_with("no-")) {
                    ("", true) => "0".into(),
                    ("", false) => "1".into(),
                    _ => parser.value()?,
                };
                let value = value.to_string_lossy().into_owned();
                given.entry(option.long).or_default().push(value);
            }
            Arg::Short(_) => return Err(Usage::from(arg.unexpected())),
        }
    }
    let broken = RefCell::new(BTreeSet::new());
    let one_line = |name: &str, value: String| {
        if value.contains(LINE_BREAKS) {
            broken.borrow_mut().insert(name.to_owned());
        }
        value.replace(LINE_BREAKS, "")
    };
    let given = given
        .into_iter()
        .map(|(long, values)| {
            let each = values.into_iter();
            let values = each.map(|value| one_line(&format!("--{long}"), value));
            (long, values.collect())
        })
        .collect();
    let env = |name: &str| env(name).map(|value| one_line(name, value));
    let mut settings = Settings::new(given, &env);
    let config = settings.config(&words.join(" "));
    let mut usage = settings.into_usage();
    usage.wrong.extend(broken.take().iter().map(|name| {
        format!(
            "{name} holds a line break (from a file edited on Windows?): write it again without"
        )
    }));
    match (config, usage) {
        (Some(config), usage) if usage.missing.is_empty() && usage.wrong.is_empty() => {
            Ok(Ok(config))
        }
        (_, usage) => Err(usage),
    }
}

fn status(args: &[OsString], env: &dyn Fn(&str) -> Option<String>) -> Result<Command, Usage> {
    let mut options = StatusOptions {
        spool: env(options::SPOOL.env[0]).map(PathBuf::from),
        ..StatusOptions::default()
    };
    let mut parser = lexopt::Parser::from_args(args);
    while let Some(arg) = parser.next()? {
        match arg {
            Arg::Short('h') | Arg::Long("help") => return Ok(Command::Print(options::help())),
            Arg::Long("json") => options.json = true,
            Arg::Long("watch") => options.watch = true,
            Arg::Long("spool") => options.spool = Some(parser.value()?.into()),
            other => return Err(Usage::from(other.unexpected())),
        }
    }
    Ok(Command::Status(options))
}

#[cfg(test)]
mod tests;
