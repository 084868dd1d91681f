//! The way from headwater to AWS: a link, a network that fails, and shards with limits.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use anyhow::Context;
use local::aws::Aws;
use local::throttle::Throttle;
use testkit::link::{Conditions, Link};
use testkit::shards::Limits;

use super::options::Options;
use super::outage::Outage;

/// What `--network` names.
#[derive(Clone, Debug, PartialEq)]
pub enum Network {
    /// A link, and what it is called.
    Link(String, Conditions),
    /// Four shards, one of which takes few posts.
    HotShard,
}

/// What the hot shard takes a second.
const HOT: Limits = Limits {
    records: 2.0,
    bytes: 1_000_000.0,
};

/// How many shards a stream with a hot one has.
const SHARDS: usize = 4;

/// The way, once it stands.
#[derive(Debug)]
pub struct Way {
    network: Option<Network>,
    link: Option<Link>,
    /// The network's failure.
    pub outage: Outage,
    throttle: Option<Throttle>,
}

impl FromStr for Network {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        match text {
            "hot-shard" => Ok(Self::HotShard),
            _ => Ok(Self::Link(text.to_owned(), text.parse()?)),
        }
    }
}

impl Network {
    /// The parameters of template.yaml for the stream at its end.
    pub fn parameters(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::HotShard => vec![("ShardCount", SHARDS.to_string())],
            Self::Link(..) => Vec::new(),
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Link(name, conditions) => write!(f, "the link {name} ({conditions})"),
            Self::HotShard => write!(
                f,
                "a stream of {SHARDS} shards, one of which takes {} posts a second",
                HOT.records
            ),
        }
    }
}

impl Way {
    /// The way to the AWS at `server`; `aws` may put into its streams.
    pub fn to(server: SocketAddr, aws: Aws, options: &Options) -> anyhow::Result<Self> {
        let throttle = match options.network {
            Some(Network::HotShard) => {
                let mut limits = [Limits::default(); SHARDS];
                limits[0] = HOT;
                Some(Throttle::before(server, aws, &limits)?)
            }
            _ => None,
        };
        let stream = throttle.as_ref().map_or(server, Throttle::address);
        let outage = Outage::new(stream, options.outage, options.posts)?;
        let link = match &options.network {
            Some(Network::Link(_, conditions)) => {
                let link = Link::to(outage.address(), conditions.clone(), 1);
                Some(link.context("the link cannot be made")?)
            }
            _ => None,
        };
        Ok(Self {
            network: options.network.clone(),
            link,
            outage,
            throttle,
        })
    }

    /// The way in, for AWS_ENDPOINT_URL_KINESIS.
    pub fn endpoint(&self) -> String {
        let link = self.link.as_ref().map(Link::address);
        format!("http://{}", link.unwrap_or(self.outage.address()))
    }

    /// Whether it cuts connections: a call without its answer is sent again, whether it arrived or not.
    pub fn cuts(&self) -> bool {
        matches!(&self.network, Some(Network::Link(_, link)) if link.cut.is_some())
    }

    /// What it cost to bring `read` posts to the stream, which now has `arrived`, in so many `records`; `None` over a way without faults.
    pub fn cost(&self, read: u64, arrived: u64, records: usize) -> Option<String> {
        let network = self.network.as_ref()?;
        let again = arrived.saturating_sub(read);
        let mut said = format!("{network}: {read} posts");
        if let Some(link) = &self.link {
            let (bytes, connections) = (link.bytes(), link.crossed().len());
            said += &format!(
                ", {} kB both ways, {} bytes a post, {connections} connections",
                bytes / 1_000,
                bytes / read.max(1)
            );
        }
        if let Some(throttle) = &self.throttle {
            let counts = throttle.counts();
            let each = counts.sent as f64 / records.max(1) as f64;
            said += &format!(
                ", each record sent {each:.2} times, refused {} times in all",
                counts.refused
            );
        }
        Some(format!("{said}; {again} arrived twice"))
    }
}
