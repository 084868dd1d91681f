//! The settings of the installed service, which `headwater check` tries without being told them again.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::{fs, io};

use crate::settings::usage::Usage;

/// The EnvironmentFile of `headwater.service`. HEADWATER_ENV_FILE names another.
const ENV_FILE: &str = "/etc/headwater/headwater.env";

/// Its StateDirectory.
const STATE_DIRECTORY: &str = "/var/lib/headwater";

/// The settings, and the file they stand in; none where there is no such service.
#[derive(Debug, Default)]
pub struct Settings {
    variables: BTreeMap<String, String>,
    pub(super) file: Option<PathBuf>,
}

impl Settings {
    /// Reads the file. One that may not be read is a reason to ask again with more rights.
    pub fn read(env: &dyn Fn(&str) -> Option<String>) -> Result<Self, Usage> {
        let file = PathBuf::from(env("HEADWATER_ENV_FILE").unwrap_or_else(|| ENV_FILE.to_owned()));
        match fs::read_to_string(&file) {
            Ok(text) => Ok(Self {
                variables: parse(&text),
                file: Some(file),
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(Usage::from(format!(
                "the service's settings in {} cannot be read ({error}): try with sudo",
                file.display()
            ))),
        }
    }

    /// What the service knows the variable `name` as.
    pub fn get(&self, name: &str) -> Option<String> {
        let default = self.file.is_some() && name == "STATE_DIRECTORY";
        let default = default.then(|| STATE_DIRECTORY.to_owned());
        self.variables.get(name).cloned().or(default)
    }
}

/// As systemd reads it: `NAME=VALUE`, with quotes around the value or none, and lines that begin with `#` or `;` left out.
fn parse(text: &str) -> BTreeMap<String, String> {
    let unquoted = |value: &str| {
        let quoted = |quote| value.strip_prefix(quote)?.strip_suffix(quote);
        quoted('"')
            .or_else(|| quoted('\''))
            .unwrap_or(value)
            .to_owned()
    };
    text.lines()
        .map(str::trim)
        .filter(|line| !line.starts_with(['#', ';']))
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.trim_end().to_owned(), unquoted(value.trim_start())))
        .collect()
}

#[cfg(test)]
mod tests;
