//! Who the board is to AWS. Credentials come from one [`Provider`], are renewed ahead of their expiry, and are used until the last moment
//! when renewing fails: what has expired holds the queue, it never empties it.

pub mod iot;
pub mod process;
pub mod profile;
mod shared;

use std::fmt;
use std::time::{Duration, SystemTime};

use anyhow::{Context, ensure};
use aws_credential_types::Credentials;
use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;

use crate::observe::journal;

/// Renewed this long ahead of their expiry, or at half their life if they live less than twice as long.
const AHEAD: Duration = Duration::from_secs(5 * 60);

/// A renewal that failed is tried again after this while the old credentials still hold.
const RETRY: Duration = Duration::from_secs(30);

/// Where credentials come from.
#[derive(Debug)]
pub enum Provider {
    /// The environment: they stay as they are.
    Fixed(Credentials),
    /// A profile of the shared files, read again at each renewal.
    Profile(profile::Profile),
    /// The AWS IoT credentials provider, by the board's own X.509 certificate.
    Iot(iot::Iot),
}

impl Provider {
    fn fetch(&self) -> anyhow::Result<Credentials> {
        match self {
            Self::Fixed(credentials) => Ok(credentials.clone()),
            Self::Profile(profile) => profile.fetch(),
            Self::Iot(iot) => iot.fetch(),
        }
    }

    /// What a person must look at when AWS does not accept these credentials.
    pub fn advice(&self) -> String {
        match self {
            Self::Fixed(_) => {
                "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY to a valid pair, and start again"
                    .into()
            }
            Self::Profile(profile) => format!(
                "renew the profile '{}'; it is read again by itself",
                profile.name()
            ),
            Self::Iot(_) => "check the board's certificate, its policy and the role alias".into(),
        }
    }
}

/// The credentials in use.
#[derive(Debug)]
pub struct Keychain {
    provider: Provider,
    current: Option<Current>,
}

#[derive(Debug)]
struct Current {
    credentials: Credentials,
    /// On the server's clock.
    renew_at: Option<SystemTime>,
}

impl Keychain {
    /// A keychain that will ask `provider` when it is first needed.
    pub fn new(provider: Provider) -> Self {
        Self {
            provider,
            current: None,
        }
    }

    /// Credentials that hold at `now`, the server's time. An error means that there are none, and says what to do.
    pub fn get(&mut self, now: SystemTime) -> anyhow::Result<Credentials> {
        let due = self
            .current
            .as_ref()
            .is_none_or(|current| current.renew_at.is_some_and(|at| at <= now));
        if due && let Err(error) = self.renew(now) {
            match &mut self.current {
                Some(Current {
                    credentials,
                    renew_at: Some(renew_at),
                }) if let Some(expiry) = credentials.expiry().filter(|expiry| now < *expiry) => {
                    log::warn!(
                        "the credentials could not be renewed yet ({error:#}); the old ones still hold"
                    );
                    *renew_at = expiry.min(now + RETRY);
                }
                _ => return Err(error),
            }
        }
        let current = self.current.as_ref().context("there are no credentials")?;
        Ok(current.credentials.clone())
    }

    /// The server refused the current credentials: the next [`Self::get`] renews them.
    pub fn refused(&mut self) {
        self.current = None;
    }

    /// When the current credentials expire, if they do.
    pub fn expiry(&self) -> Option<SystemTime> {
        self.current
            .as_ref()
            .and_then(|current| current.credentials.expiry())
    }

    /// Where they come from.
    pub fn provider(&self) -> &Provider {
        &self.provider
    }

    fn renew(&mut self, now: SystemTime) -> anyhow::Result<()> {
        let credentials = self.provider.fetch()?;
        journal::hide(credentials.secret_access_key());
        journal::hide(credentials.session_token().unwrap_or_default());
        let renew_at = match credentials.expiry() {
            None => None,
            Some(expiry) => {
                let life = expiry.duration_since(now).unwrap_or_default();
                ensure!(
                    !life.is_zero(),
                    "the credentials on offer have expired; {}",
                    self.provider.advice()
                );
                Some(expiry - AHEAD.min(life / 2))
            }
        };
        self.current = Some(Current {
            credentials,
            renew_at,
        });
        Ok(())
    }
}

/// Credentials as JSON documents give them, under names that differ from one kind of document to the next.
struct Parts {
    access_key_id: String,
    secret_access_key: String,
    session_token: Option<String>,
    /// RFC 3339.
    expiration: Option<String>,
}

impl Parts {
    fn into_credentials(self, from: &'static str) -> anyhow::Result<Credentials> {
        ensure!(
            !self.access_key_id.is_empty() && !self.secret_access_key.is_empty(),
            "an empty key"
        );
        let expiry = match self.expiration.as_deref() {
            None => None,
            Some(text) => {
                let time = DateTime::from_str(text, Format::DateTimeWithOffset)
                    .context("an expiration that is no time")?;
                Some(SystemTime::try_from(time)?)
            }
        };
        Ok(Credentials::new(
            self.access_key_id,
            self.secret_access_key,
            self.session_token,
            expiry,
            from,
        ))
    }
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(_) => f.write_str("the environment"),
            Self::Profile(profile) => write!(f, "the profile '{}'", profile.name()),
            Self::Iot(iot) => write!(f, "AWS IoT ({})", iot.endpoint()),
        }
    }
}

#[cfg(test)]
mod tests;
