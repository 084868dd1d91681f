//! Settings of the sources: which one is read, and how.

use std::path::PathBuf;
use std::time::Duration;

use crate::net::endpoint::Endpoint;
use crate::net::roots::Roots;
use crate::observe::journal;
use crate::post::filter::{Filter, MAX_RULE_CHARS};
use crate::settings::config::{Settings, Source, host};
use crate::settings::{options, values};
use crate::source::{jetstream, lines, x};

/// Default address of the X API.
const X_URL: &str = "https://api.x.com";

/// Jetstream's public servers. JETSTREAM_URL replaces them.
const JETSTREAM_URLS: [&str; 4] = [
    "wss://jetstream2.us-east.bsky.network",
    "wss://jetstream1.us-east.bsky.network",
    "wss://jetstream2.us-west.bsky.network",
    "wss://jetstream1.us-west.bsky.network",
];

impl Settings<'_> {
    /// The source that is chosen, with its settings.
    pub(super) fn source(&mut self, keyword: &str, roots: Option<Roots>) -> Option<Source> {
        let filter = match keyword {
            "" => None,
            keyword => Some(self.valid(Filter::parse(keyword).map_err(Into::into))?),
        };
        match self.get(options::SOURCE)?.as_str() {
            "x" => self.x(filter, roots),
            "jetstream" => self.jetstream(filter, roots),
            "lines" => self.lines(filter),
            other => {
                self.wrong(&format!(
                    "there is no source '{other}': it is x, jetstream or lines"
                ));
                None
            }
        }
    }

    fn x(&mut self, filter: Option<Filter>, roots: Option<Roots>) -> Option<Source> {
        let filter = self.keyword(filter);
        let url = self.variable("X_API_URL");
        let endpoint = self.valid(Endpoint::parse(url.as_deref().unwrap_or(X_URL), self.plain));
        let auth = match self.secret("X_BEARER_TOKEN") {
            Some(token) => Some(x::Auth::Bearer(token)),
            None => {
                let key = self.required_variable(
                    "TWITTER_API_CONSUMER_KEY",
                    "the consumer key of your app at X",
                );
                let secret = self.required_variable("TWITTER_API_CONSUMER_SECRET", "its secret");
                journal::hide(secret.as_deref().unwrap_or_default());
                key.zip(secret)
                    .map(|(key, secret)| x::Auth::Consumer { key, secret })
            }
        };
        let max_per_day = self.parsed(
            options::MAX_PER_DAY,
            "a number of posts, at least 1",
            |text| text.parse().ok(),
        );
        let gap_at_most = self.parsed(
            options::GAP_AT_MOST,
            "a duration such as 7d or 12h",
            values::duration,
        );
        let fills_gaps = self.is_on(options::NO_GAP_FILL);
        let retweets = self.is_on(options::NO_RETWEETS);
        let settings = x::Settings {
            endpoint: endpoint?,
            auth: auth?,
            filter: filter?,
            retweets,
            gap_at_most: gap_at_most.filter(|_| fills_gaps),
            search_delay: self.search_delay(),
            max_per_day,
            roots: roots?,
        };
        if settings.rule().chars().count() > MAX_RULE_CHARS {
            self.wrong(&format!(
                "the keyword is too long to leave retweets out: a rule of X has at most {MAX_RULE_CHARS} characters"
            ));
        }
        Some(Source::X(settings))
    }

    /// X's delay. A build with debug assertions reads HEADWATER_TEST_SEARCH_DELAY, for tests that would take minutes.
    fn search_delay(&self) -> Duration {
        self.variable("HEADWATER_TEST_SEARCH_DELAY")
            .filter(|_| cfg!(debug_assertions))
            .and_then(|text| values::duration(&text))
            .unwrap_or(x::SEARCH_DELAY)
    }

    fn jetstream(&mut self, filter: Option<Filter>, roots: Option<Roots>) -> Option<Source> {
        let filter = self.keyword(filter);
        let own = self.variable("JETSTREAM_URL");
        let urls = own.as_deref().map_or(JETSTREAM_URLS.to_vec(), |urls| {
            urls.split(',').map(str::trim).collect()
        });
        let endpoints = urls
            .into_iter()
            .map(|url| Endpoint::parse(url, self.plain))
            .collect();
        let endpoints = self.valid(endpoints);
        Some(Source::Jetstream(jetstream::Settings {
            endpoints: endpoints?,
            filter: filter?,
            roots: roots?,
        }))
    }

    fn lines(&mut self, filter: Option<Filter>) -> Option<Source> {
        let inputs = self.all(options::INPUT);
        let input = match inputs.as_slice() {
            [one] if one == "-" => lines::Input::Stdin,
            files => lines::Input::Files(files.iter().map(PathBuf::from).collect()),
        };
        if inputs.len() > 1 && inputs.iter().any(|input| input == "-") {
            self.wrong("--input - is standard input, which cannot be read along with files");
        }
        let partition_key = self
            .get(options::PARTITION_KEY)
            .and_then(|text| self.valid(text.parse::<lines::Pointer>().map_err(Into::into)));
        Some(Source::Lines(lines::Settings {
            input,
            filter,
            partition_key,
            host: host(),
        }))
    }

    /// The keyword, for a source that requires one.
    fn keyword(&mut self, filter: Option<Filter>) -> Option<Filter> {
        if filter.is_none() {
            self.missing("KEYWORD", "what to look for, as in: headwater pizza");
        }
        filter
    }
}
