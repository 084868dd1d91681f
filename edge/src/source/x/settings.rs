//! What X is asked for, and by whom.

use std::fmt;
use std::num::NonZeroU64;
use std::time::Duration;

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
    /// Whether retweets are wanted, too.
    pub retweets: bool,
    /// How far back posts are fetched that the stream missed; `None` if they are not.
    pub gap_at_most: Option<Duration>,
    /// How long after it was written X's search finds a post.
    pub search_delay: Duration,
    /// The most posts read in one day by UTC: each is billed.
    pub max_per_day: Option<NonZeroU64>,
    /// Whose certificates are trusted.
    pub roots: Roots,
}

impl Settings {
    /// What tells X which posts are wanted, in its own language.
    pub fn rule(&self) -> String {
        let words = self.filter.rule();
        if self.retweets {
            words
        } else {
            format!("{words} {NO_RETWEETS}")
        }
    }
}

/// X's search finds a post half a minute after it was written; some more for a slow one.
pub const SEARCH_DELAY: Duration = Duration::from_secs(40);

/// What leaves retweets out of a rule.
const NO_RETWEETS: &str = "-is:retweet";

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
