//! What X is asked for, and by whom.

use std::fmt;
use std::num::NonZeroU64;

use crate::net::endpoint::Endpoint;
use crate::net::roots::Roots;
use crate::post::filter::Filter;

/// How to reach X, and what to ask it for.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The API's server: `https://api.x.com`.
    pub endpoint: Endpoint,
    /// Who asks.
    pub auth: Auth,
    /// Which posts are wanted.
    pub filter: Filter,
    /// The most posts read in one day by UTC: each is billed.
    pub max_per_day: Option<NonZeroU64>,
    /// Whose certificates are trusted.
    pub roots: Roots,
}

/// What proves to X who asks.
#[derive(Clone)]
pub enum Auth {
    /// A bearer token of the app.
    Bearer(String),
    /// The app's consumer key and secret, which get a token.
    Consumer {
        /// Names the app.
        key: String,
        /// Proves it.
        secret: String,
    },
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bearer(_) => "bearer token",
            Self::Consumer { .. } => "consumer key and secret",
        })
    }
}
