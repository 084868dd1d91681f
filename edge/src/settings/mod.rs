//! Parses the command line and the environment, once, into valid types. All missing and wrong settings are reported together.

mod config;
mod delivery;
mod env_file;
pub mod options;
mod sources;
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

/// No setting contains a line break. A `\r` that a text editor left at the end would otherwise become part of the value.
const LINE_BREAKS: [char; 2] = ['\r', '\n'];

/// A parsed command line.
#[derive(Debug)]
pub enum Command {
    /// Read, and deliver.
    Run(Box<Config>),
    /// Test what a run with this configuration needs. The path is that of the service's settings file, if there is one.
    Check(Box<Config>, Option<PathBuf>),
    /// Show what the running programs do.
    Status(StatusOptions),
    /// Look into a spool, with these arguments.
    Spool(Vec<OsString>),
    /// Print this text and end.
    Print(String),
}

/// The options of `headwater status`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StatusOptions {
    /// Only the program with this spool, instead of all.
    pub spool: Option<PathBuf>,
    /// Print JSON, one line for each program.
    pub json: bool,
    /// Repeat every second.
    pub watch: bool,
}

/// Parses the arguments after the program's name, and the variables of `env`.
///
/// # Errors
///
/// Settings are missing or wrong, or there is no such option.
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

/// The configuration, or a text to print instead, such as the help.
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
                // The variable of a switch `--no-x` is positive: 0 switches x off.
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
