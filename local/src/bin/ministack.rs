//! `ministack`: the local AWS for scripts. Prints its endpoint, and runs until standard input is closed.
//!
//! It verifies signatures and IAM policies; the key `test` with the secret `test` is the account's root.

use std::io::{self, Write};
use std::process::ExitCode;

use local::ministack::MiniStack;

fn main() -> ExitCode {
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ministack: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn serve() -> anyhow::Result<()> {
    let ministack = MiniStack::start()?;
    let mut stdout = io::stdout();
    writeln!(stdout, "{}", ministack.endpoint())?;
    stdout.flush()?;
    io::copy(&mut io::stdin(), &mut io::sink())?;
    Ok(())
}
