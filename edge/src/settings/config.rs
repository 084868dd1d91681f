//! From raw settings to a [`Config`]. Each setting is read from the command line, else the environment, else its default.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use aws_credential_types::Credentials;

use crate::aws::credentials::Provider;
use crate::aws::credentials::iot::{self, Iot};
use crate::aws::credentials::profile::Profile;
use crate::net::endpoint::Endpoint;
use crate::net::proxy;
use crate::net::roots::Roots;
use crate::observe::{journal, report};
use crate::platform::tmpfs;
use crate::settings::options::{self, Opt};
use crate::settings::usage::Usage;
use crate::settings::values;
use crate::source::{jetstream, lines, x};
use crate::spool::{self, MAX_SIZE_BYTES, MIN_SIZE_BYTES, WhenFull};
use crate::uplink::flow;

/// The configuration of a run.
#[derive(Debug)]
pub struct Config {
    /// The source and its settings.
    pub source: Source,
    /// The stream's name.
    pub stream: String,
    /// Its region.
    pub region: String,
    /// The Kinesis endpoint.
    pub endpoint: Endpoint,
    /// The STS endpoint, if one is known for these credentials. Only `check` uses it.
    pub sts: Option<Endpoint>,
    /// The provider of AWS credentials.
    pub provider: Provider,
    /// The certificate authorities to trust.
    pub roots: Roots,
    /// The disk queue.
    pub spool: spool::Options,
    /// Whether records of one partition key keep their order strictly.
    pub ordered: bool,
    /// Limit of a record, key and data, in bytes.
    pub max_record_bytes: usize,
    /// Options of delivery.
    pub flow: flow::Options,
    /// The board's reports to its fleet, if it makes any.
    pub reports: Option<report::Settings>,
    /// Path of the metrics file.
    pub metrics_file: Option<PathBuf>,
    /// Do not print the posts.
    pub quiet: bool,
}

/// The source and its settings.
#[derive(Debug)]
pub enum Source {
    /// The filtered stream of X.
    X(x::Settings),
    /// Bluesky's Jetstream.
    Jetstream(jetstream::Settings),
    /// Lines of text.
    Lines(lines::Settings),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::X(settings) => write!(f, "X, posts about {}", settings.filter.keyword()),
            Self::Jetstream(settings) => {
                write!(f, "Jetstream, posts about {}", settings.filter.keyword())
            }
            Self::Lines(settings) => write!(f, "lines of {}", settings.input),
        }
    }
}

/// The raw settings, and the errors found in them so far.
pub struct Settings<'a> {
    given: BTreeMap<&'static str, Vec<String>>,
    pub(super) env: &'a dyn Fn(&str) -> Option<String>,
    usage: Usage,
    /// Whether unencrypted connections to other machines are allowed.
    pub(super) plain: bool,
}

impl<'a> Settings<'a> {
    /// From the values `given` on the command line, by the options' long names, and the variables of `env`.
    pub fn new(
        given: BTreeMap<&'static str, Vec<String>>,
        env: &'a dyn Fn(&str) -> Option<String>,
    ) -> Self {
        let plain =
            env("HEADWATER_ALLOW_HTTP").is_some_and(|text| values::switch(&text) == Some(true));
        Self {
            given,
            env,
            usage: Usage::default(),
            plain,
        }
    }

    /// The errors that were found.
    pub fn into_usage(self) -> Usage {
        self.usage
    }

    /// The configuration, or `None` if a required setting is missing or wrong. Every setting is checked in any case, so that all errors are
    /// reported together.
    pub fn config(&mut self, keyword: &str) -> Option<Config> {
        let roots = self.valid(Roots::from_env(self.env));
        self.valid(proxy::from_env(self.env));
        let keyword = match keyword.trim() {
            "" => self.variable("HEADWATER_KEYWORD").unwrap_or_default(),
            words => words.to_owned(),
        };
        let source = self.source(&keyword, roots.clone());
        let profile = self.profile();
        let variant = self.variant(profile.as_ref());
        let stream = self.stream();
        let region = self.region(profile.as_ref());
        let provider = self.provider(profile, roots.clone());
        let endpoint = self.endpoint(region.as_deref(), variant);
        let sts = self.sts(region.as_deref(), variant);
        let spool = self.spool(source.as_ref());
        let max_record_bytes = self.max_record_bytes(spool.as_ref());
        let ordered = self.switch(options::ORDERED);
        let flow = self.flow(ordered);
        let reports = self.reports();
        let quiet = self.switch(options::QUIET);
        let metrics_file = self.get(options::METRICS_FILE).map(PathBuf::from);
        Some(Config {
            source: source?,
            stream: stream?,
            region: region?,
            endpoint: endpoint?,
            sts,
            provider: provider?,
            roots: roots?,
            spool: spool?,
            max_record_bytes: max_record_bytes?,
            ordered,
            flow: flow?,
            reports,
            metrics_file,
            quiet,
        })
    }

    fn provider(&mut self, profile: Option<Profile>, roots: Option<Roots>) -> Option<Provider> {
        if let Some(endpoint) = self.variable("HEADWATER_IOT_ENDPOINT") {
            return self.iot(&endpoint, roots?).map(Provider::Iot);
        }
        let id = self.variable("AWS_ACCESS_KEY_ID");
        let secret = self
            .secret("AWS_SECRET_ACCESS_KEY")
            .or_else(|| self.secret("AWS_SECRET_KEY"));
        match (id, secret, profile) {
            (Some(id), Some(secret), _) => {
                let token = self.secret("AWS_SESSION_TOKEN");
                Some(Provider::Fixed(Credentials::new(
                    id,
                    secret,
                    token,
                    None,
                    "environment",
                )))
            }
            (None, None, Some(profile)) => Some(Provider::Profile(profile)),
            (id, secret, _) => {
                if id.is_none() {
                    self.missing(
                        "AWS_ACCESS_KEY_ID",
                        "the producer's access key (or set AWS_PROFILE, or a device certificate)",
                    );
                }
                if secret.is_none() {
                    self.missing(
                        "AWS_SECRET_ACCESS_KEY",
                        "the secret that belongs to it (AWS_SECRET_KEY also works)",
                    );
                }
                None
            }
        }
    }

    fn iot(&mut self, endpoint: &str, roots: Roots) -> Option<Iot> {
        let with_scheme = if endpoint.contains("://") {
            endpoint.to_owned()
        } else {
            format!("https://{endpoint}")
        };
        let endpoint = self.valid(Endpoint::parse(&with_scheme, self.plain));
        let role_alias = self.required_variable(
            "HEADWATER_IOT_ROLE_ALIAS",
            "the role alias that names the board's role",
        );
        let certificate = self.required_variable(
            "HEADWATER_IOT_CERTIFICATE",
            "the file with the board's certificate, PEM",
        );
        let key = self.required_variable("HEADWATER_IOT_KEY", "the file with its private key, PEM");
        let settings = iot::Settings {
            endpoint: endpoint?,
            role_alias: role_alias?,
            thing: self.variable("HEADWATER_IOT_THING").unwrap_or_default(),
            certificate: certificate?.into(),
            key: key?.into(),
        };
        Some(Iot::new(settings, roots))
    }

    fn spool(&mut self, source: Option<&Source>) -> Option<spool::Options> {
        let card = self
            .get(options::SPOOL)
            .map_or_else(|| self.default_spool(), |path| Some(path.into()));
        if card.is_none() {
            self.missing(
                "HEADWATER_SPOOL",
                "the file of the disk queue, such as /var/lib/headwater/spool",
            );
        }
        let sizes = MIN_SIZE_BYTES..=MAX_SIZE_BYTES;
        let size = |text: &str| values::size(text).filter(|size| sizes.contains(size));
        let size_bytes = self.parsed(options::SPOOL_SIZE, "a size from 1MiB to 64GiB", size);
        // A file or a pipe can wait for its reader. A live stream cannot.
        let default = match source {
            Some(Source::Lines(_)) => WhenFull::Block,
            _ => WhenFull::DropOldest,
        };
        let when_full = match self.get(options::WHEN_FULL) {
            None => Some(default),
            Some(_) => self.parsed(
                options::WHEN_FULL,
                "drop-oldest, drop-newest or block",
                |text| match text {
                    "drop-oldest" => Some(WhenFull::DropOldest),
                    "drop-newest" => Some(WhenFull::DropNewest),
                    "block" => Some(WhenFull::Block),
                    _ => None,
                },
            ),
        };
        let durable_within = self.parsed(
            options::DURABLE_WITHIN,
            "a duration such as 1s or 500ms",
            values::duration,
        );
        let card = card?;
        let stage = tmpfs::file_beside(&card, "stage");
        Some(spool::Options {
            card,
            stage,
            size_bytes: size_bytes?,
            when_full: when_full?,
            durable_within: durable_within?,
        })
    }

    /// Path of the spool by STATE_DIRECTORY (systemd), else XDG_STATE_HOME, else HOME.
    fn default_spool(&self) -> Option<PathBuf> {
        let folder = match (
            self.variable("STATE_DIRECTORY"),
            self.variable("XDG_STATE_HOME"),
            self.variable("HOME"),
        ) {
            (Some(folder), ..) => PathBuf::from(folder.split(':').next()?),
            (_, Some(folder), _) => PathBuf::from(folder).join("headwater"),
            (_, _, Some(home)) => PathBuf::from(home).join(".local/state/headwater"),
            _ => return None,
        };
        Some(folder.join("spool"))
    }

    /// The option's value: from the command line, else its first variable that is set, else the default.
    pub(super) fn get(&self, option: &Opt) -> Option<String> {
        let given = self.given.get(option.long).and_then(|given| given.last());
        let default = Some(option.default).filter(|default| !default.is_empty());
        given
            .cloned()
            .or_else(|| option.env.iter().find_map(|name| self.variable(name)))
            .or(default.map(str::to_owned))
    }

    /// All values of an option that may be given several times.
    pub(super) fn all(&self, option: &Opt) -> Vec<String> {
        if let Some(given) = self.given.get(option.long) {
            return given.clone();
        }
        let text = self.get(option).unwrap_or_default();
        text.split(',').map(|one| one.trim().to_owned()).collect()
    }

    pub(super) fn variable(&self, name: &str) -> Option<String> {
        (self.env)(name).filter(|value| !value.is_empty())
    }

    /// A variable that is a secret: it is hidden in everything that the program prints.
    pub(super) fn secret(&self, name: &str) -> Option<String> {
        let secret = self.variable(name)?;
        journal::hide(&secret);
        Some(secret)
    }

    pub(super) fn required(&mut self, option: &'static Opt, what: &'static str) -> Option<String> {
        let value = self.get(option);
        if value.is_none() {
            self.missing(option.env[0], what);
        }
        value
    }

    pub(super) fn required_variable(
        &mut self,
        name: &'static str,
        what: &'static str,
    ) -> Option<String> {
        let value = self.variable(name);
        if value.is_none() {
            self.missing(name, what);
        }
        value
    }

    pub(super) fn parsed<T>(
        &mut self,
        option: &Opt,
        kind: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        let text = self.get(option)?;
        let value = parse(&text);
        if value.is_none() {
            self.wrong(&format!("--{} is {kind}, not '{text}'", option.long));
        }
        value
    }

    pub(super) fn switch(&mut self, option: &Opt) -> bool {
        self.parsed(option, "1 or 0", values::switch)
            .unwrap_or_default()
    }

    /// Whether the feature that an option `--no-x` switches off is on.
    pub(super) fn is_on(&mut self, option: &Opt) -> bool {
        self.parsed(option, "1 or 0", values::switch)
            .unwrap_or(true)
    }

    pub(super) fn valid<T>(&mut self, value: anyhow::Result<T>) -> Option<T> {
        value
            .map_err(|error| self.wrong(&format!("{error:#}")))
            .ok()
    }

    pub(super) fn missing(&mut self, name: &'static str, what: &'static str) {
        self.usage.missing.push((name, what));
    }

    pub(super) fn wrong(&mut self, what: &str) {
        self.usage.wrong.push(what.to_owned());
    }
}

/// The host's name.
pub(super) fn host() -> String {
    rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned()
}
