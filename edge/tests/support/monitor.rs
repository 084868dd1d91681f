//! A monitor whose time the test moves, over a real spool.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use headwater::observe::counters::Counters;
use headwater::observe::monitor::{Monitor, Patience};
use headwater::observe::past::Past;
use headwater::observe::snapshot::About;
use headwater::observe::systemd::Systemd;
use headwater::platform::facts::Facts;
use headwater::platform::time::TestClock;
use headwater::post::record::MAX_RECORD_BYTES;
use headwater::source::Feed;
use headwater::spool::{Options, Spool, WhenFull};

/// A monitor that tells the socket `notify`, and the source it watches, which feeds the spool at `card`.
pub fn watched(
    card: PathBuf,
    when_full: WhenFull,
    notify: &str,
) -> (Monitor, Feed, Arc<TestClock>) {
    let clock = Arc::new(TestClock::default());
    let options = Options {
        card,
        stage: None,
        size_bytes: 4 << 20,
        when_full,
        durable_within: Duration::from_secs(1),
    };
    let feed = Feed {
        spool: Arc::new(Spool::open(options, clock.clone()).unwrap()),
        clock: clock.clone(),
        stop: Arc::default(),
        counters: Arc::new(Counters::default()),
        state: Arc::new(Facts::open(None, None)),
        echo: false,
        max_record_bytes: MAX_RECORD_BYTES,
    };
    let monitor = Monitor {
        about: About::default(),
        counters: feed.counters.clone(),
        spool: feed.spool.clone(),
        clock: clock.clone(),
        status_file: None,
        metrics: None,
        systemd: Systemd::from_env(&|name| (name == "NOTIFY_SOCKET").then(|| notify.to_owned())),
        patience: Patience::default(),
        past: Past::new(&feed.spool.stats()),
    };
    (monitor, feed, clock)
}
