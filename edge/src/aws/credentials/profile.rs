//! Profiles in the shared files of AWS's tools, `~/.aws/credentials` and `~/.aws/config`.
//!
//! Supported settings: keys, `credential_process`, `region`, `use_fips_endpoint`, `use_dualstack_endpoint`. For a role to assume or single sign-on,
//! let the AWS CLI resolve it: `credential_process = aws configure export-credentials --profile NAME`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use anyhow::bail;
use aws_credential_types::Credentials;

use crate::aws::credentials::{process, shared};

/// One profile of the two files.
#[derive(Clone, Debug)]
pub struct Profile {
    name: String,
    config: PathBuf,
    credentials: PathBuf,
}

impl Profile {
    /// The profile `name` in these files. The files are read at each use.
    pub fn new(name: &str, config: PathBuf, credentials: PathBuf) -> Self {
        Self {
            name: name.to_owned(),
            config,
            credentials,
        }
    }

    /// The profile that AWS_PROFILE names, else `default`. The files are those of AWS_CONFIG_FILE and AWS_SHARED_CREDENTIALS_FILE, else those in the
    /// home folder. `None` if AWS_PROFILE is not set and there is no `default`.
    ///
    /// # Errors
    ///
    /// The profile that AWS_PROFILE names is in neither file.
    pub fn from_env(env: &dyn Fn(&str) -> Option<String>) -> anyhow::Result<Option<Self>> {
        let set = |name: &str| env(name).filter(|value| !value.is_empty());
        let home = PathBuf::from(set("HOME").unwrap_or_default());
        let file = |name: &str, default: &str| match set(name) {
            None => home.join(".aws").join(default),
            Some(path) => match path.strip_prefix("~/") {
                Some(below) => home.join(below),
                None => path.into(),
            },
        };
        let named = set("AWS_PROFILE");
        let profile = Self {
            name: named.clone().unwrap_or_else(|| "default".to_owned()),
            config: file("AWS_CONFIG_FILE", "config"),
            credentials: file("AWS_SHARED_CREDENTIALS_FILE", "credentials"),
        };
        let found = !profile.settings().is_empty();
        if let Some(named) = named
            && !found
        {
            bail!(
                "AWS_PROFILE={named}: no such profile in {} or {}, which have {}",
                profile.credentials.display(),
                profile.config.display(),
                profile.names()
            );
        }
        Ok(found.then_some(profile))
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The value of its setting `name`, such as `region`.
    pub fn setting(&self, name: &str) -> Option<String> {
        self.settings().remove(name)
    }

    /// Reads its credentials from the files, or runs its `credential_process`.
    ///
    /// # Errors
    ///
    /// It has neither keys nor a `credential_process`, or that program failed.
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

    /// The settings of this profile in both files. Those of the credentials file win.
    fn settings(&self) -> BTreeMap<String, String> {
        let mut settings = self.profiles_of_config().remove(&self.name);
        let own = shared::read(&self.credentials).remove(&self.name);
        settings
            .get_or_insert_default()
            .extend(own.into_iter().flatten());
        settings.unwrap_or_default()
    }

    /// The names of all profiles, for the error message.
    fn names(&self) -> String {
        let in_config = self.profiles_of_config().into_keys();
        let names: BTreeSet<String> = in_config
            .chain(shared::read(&self.credentials).into_keys())
            .collect();
        match names.is_empty() {
            true => "none".to_owned(),
            false => Vec::from_iter(names).join(", "),
        }
    }

    /// The profile of a section. In the config file, its title is `profile NAME`, except for `default`.
    fn profiles_of_config(&self) -> shared::Sections {
        let mut profiles = shared::Sections::new();
        for (title, settings) in shared::read(&self.config) {
            let name = match title.strip_prefix("profile") {
                Some(rest) if rest.starts_with([' ', '\t']) => rest.trim(),
                _ if title == "default" => "default",
                _ => continue,
            };
            let name = name.trim_matches(['"', '\'']).to_owned();
            profiles.entry(name).or_default().extend(settings);
        }
        profiles
    }
}

#[cfg(test)]
mod tests;
