//! The settings file of the installed service, which `headwater check` reads.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::{fs, io};

use crate::settings::usage::Usage;

/// The EnvironmentFile of `headwater.service`. HEADWATER_ENV_FILE overrides it.
const ENV_FILE: &str = "/etc/headwater/headwater.env";

/// Its StateDirectory.
const STATE_DIRECTORY: &str = "/var/lib/headwater";

/// The variables of the file. Empty if there is no such file.
#[derive(Debug, Default)]
pub struct Settings {
    variables: BTreeMap<String, String>,
    pub(super) file: Option<PathBuf>,
}

impl Settings {
    /// Reads the file. A missing file counts as empty.
    ///
    /// # Errors
    ///
    /// The file exists and cannot be read, usually because only root may.
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

    /// The value that the variable `name` has in the service.
    pub fn get(&self, name: &str) -> Option<String> {
        let default = self.file.is_some() && name == "STATE_DIRECTORY";
        let default = default.then(|| STATE_DIRECTORY.to_owned());
        self.variables.get(name).cloned().or(default)
    }
}

/// Parses the file as systemd does: `NAME=VALUE`, the value quoted or not; lines that begin with `#` or `;` are comments.
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
