//! The settings of the source X.

use std::fmt;
use std::num::NonZeroU64;
use std::time::Duration;

use crate::net::endpoint::Endpoint;
use crate::net::roots::Roots;
use crate::post::filter::Filter;

/// How to reach X, and which posts to read.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The API's server: `https://api.x.com`.
    pub endpoint: Endpoint,
    /// The app's credentials.
    pub auth: Auth,
    /// Which posts are wanted.
    pub filter: Filter,
    /// Whether retweets are wanted.
    pub retweets: bool,
    /// How far back posts are fetched that the stream missed; `None` to fetch none.
    pub gap_at_most: Option<Duration>,
    /// How long after it was written the search finds a post.
    pub search_delay: Duration,
    /// Most posts that are read in one day (UTC); X bills each.
    pub max_per_day: Option<NonZeroU64>,
    /// The trusted root certificates.
    pub roots: Roots,
}

impl Settings {
    /// The rule, in X's query language, for the posts that are wanted.
    pub fn rule(&self) -> String {
        let words = self.filter.rule();
        if self.retweets {
            words
        } else {
            format!("{words} {NO_RETWEETS}")
        }
    }
}

/// The default of [`Settings::search_delay`]: the search finds a post about half a minute after it was written; the rest is a reserve.
pub const SEARCH_DELAY: Duration = Duration::from_secs(40);

/// The part of a rule that leaves retweets out.
const NO_RETWEETS: &str = "-is:retweet";

/// The app's credentials for X.
#[derive(Clone)]
pub enum Auth {
    /// A bearer token of the app.
    Bearer(String),
    /// The app's consumer key and secret, which are exchanged for a token.
    Consumer {
        /// The key, which names the app.
        key: String,
        /// The secret of the key.
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
