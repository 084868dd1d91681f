//! A spool and the loop that delivers it, to a Kinesis of the tests' own.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;

use headwater::aws::credentials::{Keychain, Provider};
use headwater::aws::kinesis::client::Client;
use headwater::net::endpoint::Endpoint;
use headwater::net::roots::Roots;
use headwater::observe::counters::Counters;
use headwater::observe::report::Outbox;
use headwater::platform::facts::Facts;
use headwater::platform::time::TestClock;
use headwater::post::record::Record;
use headwater::spool::{Options, Spool, WhenFull};
use headwater::uplink::{DeadLetters, Target, Uplink, flow};
use testkit::kinesis::Kinesis;

/// A spool, and what the loop that delivers it is told.
pub struct Delivery {
    pub folder: tempfile::TempDir,
    pub spool: Arc<Spool>,
    pub counters: Arc<Counters>,
    pub clock: Arc<TestClock>,
    pub state: Arc<Facts>,
    pub provider: fn(&Path) -> Provider,
    pub ordered: bool,
    pub flow: flow::Options,
    pub outbox: Option<Arc<Outbox>>,
}

fn fixed(_: &Path) -> Provider {
    Provider::Fixed(Credentials::new(
        "AK",
        "a-secret-of-the-tests",
        None,
        None,
        "test",
    ))
}

impl Delivery {
    pub fn of(records: impl IntoIterator<Item = String>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(TestClock::at(SystemTime::now()));
        let options = Options {
            card: folder.path().join("spool"),
            stage: None,
            size_bytes: 64 << 20,
            when_full: WhenFull::Block,
            durable_within: Duration::from_secs(1),
        };
        let spool = Arc::new(Spool::open(options, clock.clone()).unwrap());
        std::thread::spawn({
            let spool = spool.clone();
            move || spool.run_committer()
        });
        for text in records {
            spool.append(
                Record {
                    partition_key: &text[..1],
                    data: text.as_bytes(),
                },
                b"",
            );
        }
        spool.close();
        Self {
            folder,
            spool,
            counters: Arc::default(),
            clock,
            state: Arc::new(Facts::open(None, None)),
            provider: fixed,
            ordered: false,
            flow: flow::Options::default(),
            outbox: None,
        }
    }

    /// Runs the loop until the spool is empty.
    pub fn deliver_to(&self, server: &Kinesis) {
        let endpoint = Endpoint::parse(&server.url(), false).unwrap();
        let uplink = Uplink {
            spool: self.spool.clone(),
            client: Client::new(&endpoint, "eu-west-1", Roots::default()),
            keychain: Keychain::new((self.provider)(self.folder.path())),
            dead_letters: DeadLetters::new(self.folder.path().join("dead")),
            clock: self.clock.clone(),
            counters: self.counters.clone(),
            facts: self.state.clone(),
            outbox: self.outbox.clone(),
            flow: self.flow,
            target: Target {
                stream: "posts".into(),
                region: "eu-west-1".into(),
                host: endpoint.authority().to_owned(),
            },
            ordered: self.ordered,
            stop: Arc::default(),
            abort: Arc::default(),
        };
        uplink.run();
    }

    pub fn waiting(&self) -> u64 {
        self.spool.stats().waiting_records
    }
}

/// Posts of which each has a text and a number.
pub fn texts(range: std::ops::Range<usize>) -> Vec<String> {
    range
        .map(|n| format!("{n:05} a post about pizza 🍕"))
        .collect()
}
