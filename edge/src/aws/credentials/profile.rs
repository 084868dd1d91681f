//! The files that AWS's own tools share: `~/.aws/credentials` and `~/.aws/config`, with their profiles.
//!
//! Understood of a profile: keys, `credential_process`, `region`. A role to assume or a single sign-on is the AWS CLI's to resolve:
//! `credential_process = aws configure export-credentials --profile NAME`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::bail;
use aws_credential_types::Credentials;

use crate::aws::credentials::process;

/// One profile of the two files.
#[derive(Clone, Debug)]
pub struct Profile {
    name: String,
    config: PathBuf,
    credentials: PathBuf,
}

impl Profile {
    /// The profile `name` in these files. They are read when asked for something.
    pub fn new(name: &str, config: PathBuf, credentials: PathBuf) -> Self {
        Self {
            name: name.to_owned(),
            config,
            credentials,
        }
    }

    /// The profile that AWS_PROFILE names, else `default`, in the files that AWS_CONFIG_FILE and AWS_SHARED_CREDENTIALS_FILE name, else those
    /// in the home folder; `None` if there is no such profile.
    pub fn from_env(env: &dyn Fn(&str) -> Option<String>) -> Option<Self> {
        let set = |name: &str| env(name).filter(|value| !value.is_empty());
        let file = |name: &str, default: &str| match set(name) {
            Some(path) => PathBuf::from(path),
            None => PathBuf::from(set("HOME").unwrap_or_default())
                .join(".aws")
                .join(default),
        };
        let profile = Self {
            name: set("AWS_PROFILE").unwrap_or_else(|| "default".to_owned()),
            config: file("AWS_CONFIG_FILE", "config"),
            credentials: file("AWS_SHARED_CREDENTIALS_FILE", "credentials"),
        };
        (!profile.settings().is_empty()).then_some(profile)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its region, if it names one.
    pub fn region(&self) -> Option<String> {
        self.settings().remove("region")
    }

    /// Its credentials as the files have them now, or as its process gives them.
    pub fn fetch(&self) -> anyhow::Result<Credentials> {
        let mut settings = self.settings();
        let keys = (
            settings.remove("aws_access_key_id"),
            settings.remove("aws_secret_access_key"),
        );
        if let (Some(id), Some(secret)) = keys {
            return Ok(Credentials::new(
                id,
                secret,
                settings.remove("aws_session_token"),
                None,
                "profile",
            ));
        }
        match settings.get("credential_process") {
            Some(command) => process::fetch(command, process::Limits::default()),
            None => bail!(
                "the profile '{}' has neither keys nor a credential_process in {} or {}: add one of them",
                self.name,
                self.credentials.display(),
                self.config.display()
            ),
        }
    }

    /// Both files' lines for this profile; those of the credentials file win.
    fn settings(&self) -> BTreeMap<String, String> {
        let in_config = if self.name == "default" {
            "default".to_owned()
        } else {
            format!("profile {}", self.name)
        };
        let mut settings = section(&self.config, &in_config);
        settings.extend(section(&self.credentials, &self.name));
        settings
    }
}

/// The `name = value` lines under `[title]`. Indented lines belong to a setting with parts, which nothing here has.
fn section(file: &Path, title: &str) -> BTreeMap<String, String> {
    let text = fs::read_to_string(file).unwrap_or_default();
    let mut inside = false;
    let mut settings = BTreeMap::new();
    for line in text
        .lines()
        .filter(|line| !line.starts_with(['#', ';', ' ', '\t']))
    {
        if let Some(found) = line
            .trim_end()
            .strip_prefix('[')
            .and_then(|line| line.strip_suffix(']'))
        {
            inside = found.split_whitespace().eq(title.split_whitespace());
        } else if inside && let Some((name, value)) = line.split_once('=') {
            settings.insert(name.trim().to_lowercase(), value.trim().to_owned());
        }
    }
    settings
}

#[cfg(test)]
mod tests;
