//! AWS credentials. They come from one [`Provider`] and are renewed before they expire. If renewal fails, they are used until they expire; after
//! that, posts wait in the queue.

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

/// Credentials are renewed this long before they expire, or at half their lifetime if that is later.
const AHEAD: Duration = Duration::from_secs(5 * 60);

/// Interval of renewal attempts while the old credentials are still valid.
const RETRY: Duration = Duration::from_secs(30);

/// The source of credentials.
#[derive(Debug)]
pub enum Provider {
    /// Keys of the environment, which are never renewed.
    Fixed(Credentials),
    /// A profile of the shared files, which is read again at each renewal.
    Profile(profile::Profile),
    /// The AWS IoT credentials provider, with the board's X.509 certificate.
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

    /// What a person must do if AWS does not accept these credentials.
    pub fn advice(&self) -> String {
        match self {
            Self::Fixed(_) => {
                "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY to a valid pair, and start again"
                    .into()
            }
            Self::Profile(profile) => format!(
                "renew the profile '{}'; the program reads it again by itself",
                profile.name()
            ),
            Self::Iot(_) => "check the board's certificate, its policy and the role alias".into(),
        }
    }
}

/// Holds the current credentials, and renews them.
#[derive(Debug)]
pub struct Keychain {
    provider: Provider,
    current: Option<Current>,
}

#[derive(Debug)]
struct Current {
    credentials: Credentials,
    /// By the server's clock.
    renew_at: Option<SystemTime>,
}

impl Keychain {
    /// A keychain for `provider`, which is called at the first use.
    pub fn new(provider: Provider) -> Self {
        Self {
            provider,
            current: None,
        }
    }

    /// Credentials that are valid at `now`, the server's time.
    ///
    /// # Errors
    ///
    /// There are no valid credentials. The text says what to do.
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
                        "the credentials could not be renewed yet ({error:#}); the old ones are still valid"
                    );
                    *renew_at = expiry.min(now + RETRY);
                }
                _ => return Err(error),
            }
        }
        let current = self.current.as_ref().context("there are no credentials")?;
        Ok(current.credentials.clone())
    }

    /// Discards the current credentials, which the server refused: the next [`Self::get`] renews them.
    pub fn refused(&mut self) {
        self.current = None;
    }

    /// Expiry of the current credentials, if they expire.
    pub fn expiry(&self) -> Option<SystemTime> {
        self.current
            .as_ref()
            .and_then(|current| current.credentials.expiry())
    }

    /// The provider.
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
                    "the credentials that it gave have expired; {}",
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

/// The parts of credentials, which different JSON documents have under different names.
struct Parts {
    access_key_id: String,
    secret_access_key: String,
    session_token: Option<String>,
    /// In the format of RFC 3339.
    expiration: Option<String>,
}

impl Parts {
    fn into_credentials(self, from: &'static str) -> anyhow::Result<Credentials> {
        ensure!(
            !self.access_key_id.is_empty() && !self.secret_access_key.is_empty(),
            "the access key or its secret is empty"
        );
        let expiry = match self.expiration.as_deref() {
            None => None,
            Some(text) => {
                let time = DateTime::from_str(text, Format::DateTimeWithOffset)
                    .context("the expiration is not a time")?;
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
