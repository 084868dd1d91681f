//! Settings of delivery: the stream, its endpoint, and how records are sent.

use crate::aws::credentials::profile::Profile;
use crate::aws::kinesis::wire::Wire;
use crate::aws::partition::{self, Variant};
use crate::net::endpoint::Endpoint;
use crate::observe::report;
use crate::post::record::{LARGEST_RECORD_BYTES, MAX_RECORD_BYTES};
use crate::settings::config::{Settings, host};
use crate::settings::{options, values};
use crate::spool;
use crate::uplink::flow;
use crate::uplink::pace::Limits;

/// The smallest rate limit, in bytes. Not even one post would fit into less.
const LEAST_BYTES: u64 = 1 << 10;

/// The least number of largest records that a spool must hold: one may take no more than half of it.
const SPOOL_RECORDS: u64 = 4;

/// The longest `--linger`, in seconds.
const LONGEST_LINGER_S: u64 = 60 * 60;

/// How often a board may report, in seconds: more often would be a stream of its own, and a board that is heard of once a day is silent.
const REPORT_EVERY_S: std::ops::RangeInclusive<u64> = 1..=24 * 60 * 60;

/// The longest name of a board, as of a host.
const BOARD_BYTES: usize = 64;

impl Settings<'_> {
    /// The stream's name, valid for Kinesis.
    pub(super) fn stream(&mut self) -> Option<String> {
        let name = self.required(options::STREAM, "the Kinesis data stream to put posts into")?;
        let is_valid = (1..=128).contains(&name.len())
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte));
        if !is_valid {
            let variable = options::STREAM.env[0];
            self.wrong(&match of_arn(&name) {
                Some((name, region)) => format!(
                    "{variable} is an ARN where a name is needed: set {variable}={name} and AWS_REGION={region}"
                ),
                None => format!(
                    "{variable} is a stream's name, of 1 to 128 letters, digits, '_', '.' and '-', not '{name}'"
                ),
            });
            return None;
        }
        Some(name)
    }

    /// The profile that AWS_PROFILE names, else the profile `default`, if it exists.
    pub(super) fn profile(&mut self) -> Option<Profile> {
        let profile = Profile::from_env(self.env);
        self.valid(profile).flatten()
    }

    /// The stream's region, from its option or the profile.
    pub(super) fn region(&mut self, profile: Option<&Profile>) -> Option<String> {
        match profile.and_then(|profile| profile.setting("region")) {
            Some(region) => self.get(options::REGION).or(Some(region)),
            None => self.required(options::REGION, "the stream's region, such as eu-west-1"),
        }
    }

    /// Whether to use FIPS or dual-stack endpoints, by the environment, else the profile.
    pub(super) fn variant(&mut self, profile: Option<&Profile>) -> Variant {
        let mut is_set = |variable: &str, setting: &str| {
            let in_profile = || profile.and_then(|profile| profile.setting(setting));
            let Some(text) = self.variable(variable).or_else(in_profile) else {
                return false;
            };
            let value = values::switch(&text);
            if value.is_none() {
                self.wrong(&format!(
                    "{variable} ({setting} in a profile) is true or false, not '{text}'"
                ));
            }
            value.unwrap_or_default()
        };
        let variant = Variant {
            fips: is_set("AWS_USE_FIPS_ENDPOINT", "use_fips_endpoint"),
            dual_stack: is_set("AWS_USE_DUALSTACK_ENDPOINT", "use_dualstack_endpoint"),
        };
        if variant != Variant::default() && self.get(options::ENDPOINT).is_some() {
            self.wrong(
                "another server is named (--endpoint, AWS_ENDPOINT_URL), so AWS_USE_FIPS_ENDPOINT and AWS_USE_DUALSTACK_ENDPOINT cannot choose one: leave one or the other out",
            );
        }
        variant
    }

    /// The Kinesis endpoint.
    pub(super) fn endpoint(&mut self, region: Option<&str>, variant: Variant) -> Option<Endpoint> {
        let own = self.get(options::ENDPOINT);
        let url = own.or_else(|| Some(partition::url("kinesis", region?, variant)))?;
        self.valid(Endpoint::parse(&url, self.plain))
    }

    /// The STS endpoint. `None` if Kinesis is not AWS's and no STS is named with it, because AWS does not know the keys of such a server.
    pub(super) fn sts(&mut self, region: Option<&str>, variant: Variant) -> Option<Endpoint> {
        let own = self
            .variable("AWS_ENDPOINT_URL_STS")
            .or_else(|| self.variable("AWS_ENDPOINT_URL"));
        let url = match self.get(options::ENDPOINT) {
            None => own.or_else(|| Some(partition::url("sts", region?, variant))),
            Some(_) => own,
        };
        self.valid(Endpoint::parse(&url?, self.plain))
    }

    /// Limit of a record in bytes. Only a limit over 1 MiB demands a spool larger than the smallest.
    pub(super) fn max_record_bytes(&mut self, spool: Option<&spool::Options>) -> Option<usize> {
        let sizes = MAX_RECORD_BYTES as u64..=LARGEST_RECORD_BYTES as u64;
        let bytes = self.parsed(
            options::MAX_RECORD_SIZE,
            "a size from 1MiB to 10MiB, and no more than the stream's MaxRecordSizeInKiB",
            |text| values::size(text).filter(|bytes| sizes.contains(bytes)),
        )?;
        let needed = bytes * SPOOL_RECORDS;
        let is_large = bytes > MAX_RECORD_BYTES as u64;
        if is_large && spool.is_some_and(|spool| spool.size_bytes < needed) {
            self.wrong(&format!(
                "--spool-size is too small for --max-record-size: the queue holds a few of the largest records, so choose at least {} KiB",
                needed >> 10
            ));
        }
        usize::try_from(bytes).ok()
    }

    /// Options of delivery.
    pub(super) fn flow(&mut self, ordered: bool) -> Option<flow::Options> {
        let bytes = |text: &str| values::size(text).filter(|bytes| *bytes >= LEAST_BYTES);
        let linger = self.parsed(
            options::LINGER,
            "a duration such as 2s or 500ms, at most 1h",
            |text| values::duration(text).filter(|linger| linger.as_secs() <= LONGEST_LINGER_S),
        );
        let rate = self.parsed(
            options::MAX_RATE,
            "bytes a second such as 20k, at least 1k",
            bytes,
        );
        let per_day = self.parsed(
            options::MAX_BYTES_PER_DAY,
            "a size such as 50MiB, at least 1KiB",
            bytes,
        );
        let wire = self.parsed(options::WIRE, "json or cbor", |text| match text {
            "json" => Some(Wire::Json),
            "cbor" => Some(Wire::Cbor),
            _ => None,
        });
        let pack = self.switch(options::PACK);
        if pack && ordered {
            self.wrong("--ordered and --pack exclude each other, as order is lost between packs: leave one out");
        }
        Some(flow::Options {
            linger: linger?,
            limits: Limits { rate, per_day },
            wire: wire?,
            pack,
        })
    }

    /// How the board reports, if it is to.
    pub(super) fn reports(&mut self) -> Option<report::Settings> {
        let every = self.parsed(
            options::REPORT_EVERY,
            "a duration such as 5m, from 1s to 24h",
            |text| values::duration(text).filter(|every| REPORT_EVERY_S.contains(&every.as_secs())),
        );
        let given = self.get(options::BOARD);
        let is_given = given.is_some();
        let board = given.unwrap_or_else(host);
        if !is_board(&board) && (is_given || every.is_some()) {
            let name = options::BOARD.env[0];
            self.wrong(&match is_given {
                true => format!("{name} is a board's name, of 1 to 64 letters, digits, '.', '_', ':' and '-', not '{board}'"),
                false => format!("the host's name '{board}' cannot be the board's in its reports: set {name}, or --board"),
            });
            return None;
        }
        Some(report::Settings {
            board,
            every: every?,
        })
    }
}

/// Whether `name` can be a board's: it stands in the report as it is.
fn is_board(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._:-".contains(&byte);
    (1..=BOARD_BYTES).contains(&name.len()) && name.bytes().all(fits)
}

/// The stream and region in an ARN such as `arn:aws:kinesis:eu-west-1:123456789012:stream/posts`.
fn of_arn(text: &str) -> Option<(&str, &str)> {
    let mut parts = text.splitn(6, ':');
    let arn = parts.next()? == "arn" && parts.nth(1)? == "kinesis";
    let region = parts.next()?;
    let name = parts.nth(1)?.strip_prefix("stream/")?;
    arn.then_some((name, region))
}
