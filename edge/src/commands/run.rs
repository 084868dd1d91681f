//! `headwater KEYWORD`: starts the threads, and ends them.
//!
//! The source thread appends to the spool, the uplink thread delivers from it, and the committer thread copies to the card what reached its
//! deadline. A run ends in one of two ways. If the source has no more, everything is delivered first. After a signal, delivery goes on for
//! [`ENDING`], and the rest is committed to the card. A panic ends the process at once (see [`crate::observe::journal`]): its stage outlives it,
//! and systemd restarts it.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, channel, sync_channel};
use std::time::Duration;
use std::{env, fs, thread};

use anyhow::{Context, anyhow};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::aws::credentials::Keychain;
use crate::aws::kinesis::client::Client;
use crate::observe::counters::Counters;
use crate::observe::monitor::{self, Monitor, Patience};
use crate::observe::past::Past;
use crate::observe::report::{Outbox, Reporter};
use crate::observe::snapshot::About;
use crate::observe::systemd::Systemd;
use crate::platform::facts::Facts;
use crate::platform::machine;
use crate::platform::rewriter::Rewriter;
use crate::platform::stop::Stop;
use crate::platform::time::{Clock, SystemClock};
use crate::platform::tmpfs;
use crate::settings::{self, Config};
use crate::source::jetstream::Jetstream;
use crate::source::lines::Lines;
use crate::source::x::X;
use crate::source::{self, Feed, Source};
use crate::spool::{Options, Spool};
use crate::uplink::{DeadLetters, Target, Uplink};

/// How long delivery goes on after a signal.
const ENDING: Duration = Duration::from_secs(4);

/// How long a source may take to close its connection once all is delivered.
const SOURCE_CLOSES: Duration = Duration::from_millis(500);

/// How long opening the spool may take before it is reported. It takes well under a second, and a few for a large one on a slow card.
const CARD_OPENS: Duration = Duration::from_secs(15);

/// How long the card may take for the last posts. systemd allows 30 s in all (TimeoutStopSec in headwater.service).
const CARD_CLOSES: Duration = Duration::from_secs(20);

const NO_THREAD: &str = "no thread can be started";

/// Messages to the main thread.
enum Event {
    Signal,
    SourceEnded(anyhow::Result<()>),
    UplinkEnded,
}

/// Reads and delivers until the source ends or a signal comes.
///
/// # Errors
///
/// No thread can be started, another process uses the spool, the source failed, or the card does not take the last posts.
pub fn run(config: Config) -> anyhow::Result<ExitCode> {
    let about = about(&config);
    let mut source = source(config.source);
    if let Some(folder) = config.spool.card.parent() {
        // If the folder cannot be created, the spool runs from memory and reports why.
        let _ = fs::create_dir_all(folder);
    }
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let card = config.spool.card.clone();
    let spool = Arc::new(open(config.spool, clock.clone())?);
    let feed = Feed {
        spool: spool.clone(),
        clock: clock.clone(),
        stop: Arc::new(Stop::default()),
        counters: Arc::new(Counters::default()),
        state: Arc::new(Facts::open(
            tmpfs::file_beside(&card, "state"),
            Some(card.with_added_extension("state")),
        )),
        echo: source::echoes(config.quiet),
        max_record_bytes: config.max_record_bytes,
    };
    let abort = Arc::new(Stop::default());
    let reporter = config.reports.map(|settings| Reporter {
        outbox: Arc::new(Outbox::new(&settings)),
        every: settings.every,
        counters: feed.counters.clone(),
        spool: spool.clone(),
        clock: clock.clone(),
        disk: card.parent().map(Into::into),
        sensors: machine::SENSORS.into(),
        stop: feed.stop.clone(),
    });
    let uplink = Uplink {
        spool: spool.clone(),
        client: Client::new(&config.endpoint, &config.region, config.roots),
        keychain: Keychain::new(config.provider),
        dead_letters: DeadLetters::new(card.with_added_extension("dead")),
        clock,
        counters: feed.counters.clone(),
        facts: feed.state.clone(),
        outbox: reporter.as_ref().map(|reporter| reporter.outbox.clone()),
        target: Target {
            stream: config.stream,
            region: config.region,
            host: config.endpoint.authority().to_owned(),
        },
        ordered: config.ordered,
        flow: config.flow,
        stop: feed.stop.clone(),
        abort: abort.clone(),
    };

    let mut monitor = Monitor {
        about,
        counters: feed.counters.clone(),
        spool: spool.clone(),
        clock: feed.clock.clone(),
        status_file: tmpfs::file_beside(&card, "status"),
        metrics: config
            .metrics_file
            .map(Rewriter::start)
            .transpose()
            .context(NO_THREAD)?,
        systemd: Systemd::from_env(&|name| env::var(name).ok()),
        patience: Patience::from_env(&|name| env::var(name).ok()),
        past: Past::new(&spool.stats()),
    };

    let (tell, events) = sync_channel(8);
    watch_signals(tell.clone())?;
    // A failed send means that the main thread has already ended.
    start("source", {
        let (tell, feed) = (tell.clone(), feed.clone());
        move || drop(tell.send(Event::SourceEnded(source.run(&feed))))
    })?;
    start("uplink", move || {
        uplink.run();
        drop(tell.send(Event::UplinkEnded));
    })?;
    if let Some(reporter) = reporter {
        start("reporter", move || reporter.run())?;
    }
    start("committer", {
        let spool = spool.clone();
        move || spool.run_committer()
    })?;
    monitor.systemd.ready();

    let ended = until_the_end(&events, &feed, &abort, &mut monitor);
    monitor.systemd.stopping();
    spool.close();
    let saved = save(&spool, &feed, CARD_CLOSES.min(monitor.patience.card));
    monitor.end();
    let waiting = spool.stats().waiting_records;
    let counters = &feed.counters;
    log::info!(
        "read {}, delivered {}, {waiting} wait in the spool",
        counters.read.get(),
        counters.delivered.get()
    );
    ended.and(saved).map(|()| ExitCode::SUCCESS)
}

/// Opens the spool, and reports a card that hangs.
fn open(options: Options, clock: Arc<dyn Clock>) -> anyhow::Result<Spool> {
    let (opened, opening) = channel::<()>();
    let card = options.card.clone();
    start("patience", move || {
        if opening.recv_timeout(CARD_OPENS) == Err(RecvTimeoutError::Timeout) {
            log::error!(
                "the card with {} does not answer, and the program waits for it to start: 'dmesg' may say why",
                card.display()
            );
        }
    })?;
    let spool = Spool::open(options, clock)?;
    drop(opened);
    Ok(spool)
}

/// Copies everything that is only in RAM to the card, if the card answers in time.
fn save(spool: &Arc<Spool>, feed: &Feed, patience: Duration) -> anyhow::Result<()> {
    let (tell, saved) = sync_channel(1);
    start("save", {
        let (spool, state) = (spool.clone(), feed.state.clone());
        move || {
            spool.commit();
            spool.retire();
            state.save();
            // A failed send means that the wait has timed out.
            let _ = tell.send(());
        }
    })?;
    saved.recv_timeout(patience).map_err(|_| {
        anyhow!("the card does not answer: posts that wait in RAM are sent when the program starts again, but a power cut loses them")
    })
}

/// Handles messages until everything is delivered, or the time for it is over.
fn until_the_end(
    events: &Receiver<Event>,
    feed: &Feed,
    abort: &Stop,
    monitor: &mut Monitor,
) -> anyhow::Result<()> {
    let mut source_result = None;
    let mut deadline = None;
    loop {
        let left = deadline.map(|deadline: Duration| deadline.saturating_sub(feed.clock.elapsed()));
        match events.recv_timeout(left.unwrap_or(monitor::EVERY).min(monitor::EVERY)) {
            // The source got the same signal, but may still be closing its connection.
            Ok(Event::UplinkEnded) => {
                return source_result.unwrap_or_else(|| match events.recv_timeout(SOURCE_CLOSES) {
                    Ok(Event::SourceEnded(result)) => result,
                    _ => Ok(()),
                });
            }
            Ok(Event::SourceEnded(result)) => {
                source_result = Some(result);
                feed.counters.source.waits();
                feed.spool.close();
            }
            Ok(Event::Signal) if feed.stop.asked() => return Ok(()),
            Ok(Event::Signal) => {
                feed.stop.ask();
                feed.spool.close();
                deadline = Some(feed.clock.elapsed() + ENDING);
            }
            Err(RecvTimeoutError::Timeout) if left.is_some_and(|left| left.is_zero()) => {
                abort.ask();
                return source_result.unwrap_or(Ok(()));
            }
            Err(RecvTimeoutError::Timeout) => monitor.tick(),
            Err(RecvTimeoutError::Disconnected) => return source_result.unwrap_or(Ok(())),
        }
    }
}

/// Creates the configured source.
pub fn source(wanted: settings::Source) -> Box<dyn Source> {
    match wanted {
        settings::Source::X(settings) => Box::new(X::new(settings)),
        settings::Source::Jetstream(settings) => Box::new(Jetstream::new(settings)),
        settings::Source::Lines(settings) => Box::new(Lines::new(settings)),
    }
}

fn about(config: &Config) -> About {
    About {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        pid: std::process::id(),
        source: config.source.to_string(),
        stream: config.stream.clone(),
        region: config.region.clone(),
        host: config.endpoint.authority().to_owned(),
        credentials: config.provider.to_string(),
        spool: config.spool.card.clone(),
    }
}

fn start(name: &'static str, work: impl FnOnce() + Send + 'static) -> anyhow::Result<()> {
    thread::Builder::new()
        .name(name.to_owned())
        .spawn(work)
        .context(NO_THREAD)?;
    Ok(())
}

fn watch_signals(tell: SyncSender<Event>) -> anyhow::Result<()> {
    let mut signals = Signals::new([SIGTERM, SIGINT]).context("signals cannot be watched")?;
    start("signals", move || {
        for _ in signals.forever() {
            let _ = tell.send(Event::Signal);
        }
    })
}
