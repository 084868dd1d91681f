//! Checks before a run whether the files can be read. If root asks, also whether the service's user can read them.

use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::bail;

use crate::source::lines::follow::trouble;
use crate::source::lines::pattern;

/// The user of the service, as in edge/dist/headwater.service.
const SERVICE_USER: &str = "headwater";

/// Says for each input whether it can be read, or is waited for.
///
/// # Errors
/// If one of them cannot be read. The error names it, and says what to do.
pub fn check(inputs: &[PathBuf]) -> anyhow::Result<String> {
    let mut good = Vec::new();
    for input in inputs {
        let shown = input.display();
        let is_pattern = pattern::is_pattern(input);
        let files = if is_pattern {
            pattern::matching(input)
        } else {
            vec![input.clone()]
        };
        let mut is_missing = files.is_empty();
        for file in files.iter().filter(|file| !file.is_dir() || !is_pattern) {
            is_missing |= !can_be_read(file)?;
        }
        let count = files.len();
        good.push(match (is_missing, is_pattern) {
            (true, true) => format!("no file matches {shown} yet: one is waited for"),
            (true, false) => format!("{shown} does not exist yet and is waited for"),
            (false, true) => format!("{shown}: {count} files can be read"),
            (false, false) => format!("{shown} can be read"),
        });
    }
    Ok(good.join("; "))
}

/// Whether the file exists. An error if it exists and cannot be read.
fn can_be_read(path: &Path) -> anyhow::Result<bool> {
    match File::open(path) {
        Ok(_) if path.is_dir() => bail!("{} is a folder: name a file", path.display()),
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        Err(error) => bail!("{}", trouble(path, &error).1),
    }
    if rustix::process::geteuid().is_root() && service_may_read(path) == Some(false) {
        bail!(
            "{0} may not be read by the service's user {SERVICE_USER}, only by root: grant the permission (for a system log: 'usermod -aG adm {SERVICE_USER}'), until 'sudo -u {SERVICE_USER} test -r {0}' succeeds",
            path.display()
        );
    }
    Ok(true)
}

/// Whether the service's user may read the file; `None` if there is no such user, or no `runuser` command.
fn service_may_read(path: &Path) -> Option<bool> {
    let as_the_user = |test: &[&str]| {
        let mut command = Command::new("runuser");
        command.args(["-u", SERVICE_USER, "--"]).args(test);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command.stderr(Stdio::null());
        command
    };
    let exists = as_the_user(&["true"]).status().ok()?.success();
    let mut test = as_the_user(&["test", "-r"]);
    exists.then(|| test.arg(path).status().is_ok_and(|status| status.success()))
}
