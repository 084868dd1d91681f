//! `headwater`: arguments -> wire -> run -> exit code.

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use headwater::cli::{self, Command};
use headwater::spool::inspect;
use headwater::status::show;
use headwater::{check, report, run};

fn main() -> ExitCode {
    let args: Vec<OsString> = std::env::args_os().skip(1).collect();
    let command = cli::parse(&args, &|name| std::env::var(name).ok());
    report::start();
    let command = match command {
        Ok(command) => command,
        Err(usage) => {
            if report::to_journal() {
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
        Command::Status(options) => show::show(&options).map_err(Into::into),
        Command::Spool(args) => inspect::run(&args),
        Command::Print(text) => {
            // Nobody is left to tell that standard output is closed.
            let _ = std::io::stdout().write_all(text.as_bytes());
            Ok(ExitCode::SUCCESS)
        }
    };
    ended.unwrap_or_else(|error| {
        log::error!("{error:#}");
        ExitCode::FAILURE
    })
}
