//! `headwater`: parses the command line, runs the command, and returns its exit code.

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use headwater::commands::{check, run, spool, status};
use headwater::observe::journal;
use headwater::platform::file;
use headwater::settings::{self, Command};

fn main() -> ExitCode {
    let args: Vec<OsString> = std::env::args_os().skip(1).collect();
    let command = settings::parse(&args, &|name| std::env::var(name).ok());
    journal::start();
    file::outlive_size_limit();
    let command = match command {
        Ok(command) => command,
        Err(usage) => {
            if journal::to_journal() {
                log::error!("{}", usage.line());
            } else {
                eprint!("{usage}");
            }
            return ExitCode::from(2);
        }
    };
    let ended = match command {
        Command::Run(config) => run::run(*config),
        Command::Check(config, file) => check::check(*config, file.as_deref()).map_err(Into::into),
        Command::Status(options) => status::show(&options).map_err(Into::into),
        Command::Spool(args) => spool::run(&args),
        Command::Print(text) => {
            // There is nowhere to report that standard output is closed.
            let _ = std::io::stdout().write_all(text.as_bytes());
            Ok(ExitCode::SUCCESS)
        }
    };
    ended.unwrap_or_else(|error| {
        log::error!("{error:#}");
        ExitCode::FAILURE
    })
}
