//! `cargo demo`: shows the whole pipeline on this machine.

mod demo;

use std::process::ExitCode;

use demo::interrupt::Interrupt;

fn main() -> ExitCode {
    let options = match demo::options::parse(std::env::args_os().skip(1)) {
        Ok(Some(options)) => options,
        Ok(None) => {
            print!("{}", demo::options::HELP);
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("demo: {error:#}; 'cargo demo --help' lists what there is");
            return ExitCode::from(2);
        }
    };
    let interrupt = match Interrupt::listen() {
        Ok(interrupt) => interrupt,
        Err(error) => {
            eprintln!("demo: {error:#}");
            return ExitCode::FAILURE;
        }
    };
    match demo::run(&options, &interrupt) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(_) if interrupt.came() => {
            eprintln!("\ndemo: interrupted; everything it started has ended");
            ExitCode::from(130)
        }
        Err(error) => {
            eprintln!("demo: {error:#}");
            ExitCode::FAILURE
        }
    }
}
