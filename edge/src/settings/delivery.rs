//! Where records go and how, as the user set it.

use crate::aws::credentials::profile::Profile;
use crate::aws::kinesis::wire::Wire;
use crate::aws::partition::{self, Variant};
use crate::net::endpoint::Endpoint;
use crate::settings::config::Settings;
use crate::settings::{options, values};
use crate::uplink::flow;
use crate::uplink::pace::Limits;

/// Less is no limit anyone means, and no post would fit.
const LEAST_BYTES: u64 = 1 << 10;

/// A post that waits longer for company is not a live one.
const LONGEST_LINGER_S: u64 = 60 * 60;

impl Settings<'_> {
    /// The stream's name, as Kinesis takes it.
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

    /// The profile that AWS_PROFILE names, else the one called default, if there is one.
    pub(super) fn profile(&mut self) -> Option<Profile> {
        let profile = Profile::from_env(self.env);
        self.valid(profile).flatten()
    }

    /// The stream's region, which a profile may name too.
    pub(super) fn region(&mut self, profile: Option<&Profile>) -> Option<String> {
        match profile.and_then(|profile| profile.setting("region")) {
            Some(region) => self.get(options::REGION).or(Some(region)),
            None => self.required(options::REGION, "the stream's region, such as eu-west-1"),
        }
    }

    /// Which of AWS's servers, by the environment, else by the profile.
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

    /// The server that speaks Kinesis.
    pub(super) fn endpoint(&mut self, region: Option<&str>, variant: Variant) -> Option<Endpoint> {
        let own = self.get(options::ENDPOINT);
        let url = own.or_else(|| Some(partition::url("kinesis", region?, variant)))?;
        self.valid(Endpoint::parse(&url, self.plain))
    }

    /// None where Kinesis is another server and no STS is named with it: AWS does not know that server's keys.
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

    /// How posts are delivered.
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
        let fresh_first = self.switch(options::FRESH_FIRST);
        if fresh_first && ordered {
            self.wrong("--ordered and --fresh-first exclude each other, as a key's newest posts would go before its older ones: leave one out");
        }
        Some(flow::Options {
            linger: linger?,
            limits: Limits { rate, per_day },
            wire: wire?,
            pack,
            fresh_first,
        })
    }
}

/// The stream and the region that an ARN such as `arn:aws:kinesis:eu-west-1:123456789012:stream/posts` names.
fn of_arn(text: &str) -> Option<(&str, &str)> {
    let mut parts = text.splitn(6, ':');
    let arn = parts.next()? == "arn" && parts.nth(1)? == "kinesis";
    let region = parts.next()?;
    let name = parts.nth(1)?.strip_prefix("stream/")?;
    arn.then_some((name, region))
}
