//! The demo: starts everything, lets posts flow, fails and restores the network, and counts everything at the end.

mod feed;
mod fleet;
pub mod interrupt;
pub mod options;
mod outage;
mod screen;
mod way;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use local::aws::Aws;
use local::binaries::Binaries;
use local::deploy::{self, Stack};
use local::ministack::{MiniStack, target_dir};
use local::producer;
use local::tally::{Sent, Tally, different_posts};
use testkit::pack;
use testkit::program::{Board, Program};

use feed::Feed;
use interrupt::Interrupt;
use options::Options;
use screen::Screen;
use way::{Network, Way};

const STACK: &str = "headwater";

/// Interval of new figures.
const REFRESH: Duration = Duration::from_millis(200);

/// Time without progress after which the demo gives up. It is longer than any pause of headwater between two attempts.
const STALL: Duration = Duration::from_secs(90);

/// How long headwater may take to end.
const END: Duration = Duration::from_secs(10);

/// Runs the demo. True if every post is stored exactly once, or counted as dropped.
pub fn run(options: &Options, interrupt: &Interrupt) -> anyhow::Result<bool> {
    if let Some(boards) = options.boards {
        return fleet::run(options, boards, interrupt);
    }
    let mut screen = Screen::new();
    let mut demo = Demo::start(options, interrupt, &mut screen)?;
    demo.follow(interrupt, &mut screen)?;
    demo.end(&mut screen)?;
    demo.count(&mut screen)
}

struct Demo<'a> {
    options: &'a Options,
    feed: Feed,
    way: Way,
    producer: Program,
    board: Board,
    cloud: Cloud,
}

/// A local AWS with the stack, and the programs.
struct Cloud {
    aws: Aws,
    stack: Stack,
    binaries: Binaries,
    ministack: MiniStack,
}

impl Cloud {
    fn start(
        parameters: &[(&str, String)],
        interrupt: &Interrupt,
        screen: &mut Screen,
    ) -> anyhow::Result<Self> {
        let ministack =
            screen.step("a local AWS: installing MiniStack on the first run", || {
                let ministack = MiniStack::start()?;
                let done = format!(
                    "a local AWS (MiniStack) at {}, which verifies signatures and permissions",
                    ministack.endpoint()
                );
                Ok((ministack, done))
            })?;
        interrupt.check()?;
        let binaries = screen.step("building headwater and the function", || {
            Ok((
                Binaries::build()?,
                "built headwater and the function".to_owned(),
            ))
        })?;
        interrupt.check()?;
        let aws = Aws::root(&ministack.endpoint());
        let stack = screen.step("deploying template.yaml", || {
            deploy::upload(&aws, &binaries.function)?;
            let stack = deploy::deploy_with(&aws, STACK, parameters)?;
            let done = format!(
                "deployed template.yaml: stream {}, table {}",
                stack.stream, stack.table
            );
            Ok((stack, done))
        })?;
        Ok(Self {
            aws,
            stack,
            binaries,
            ministack,
        })
    }

    /// The producer that is to run.
    fn program(&self, options: &Options) -> Vec<OsString> {
        let built = || vec![self.binaries.headwater.clone().into_os_string()];
        options.headwater.clone().unwrap_or_else(built)
    }

    /// Leaves what the programs said where it can be read.
    fn keep_log(&self, headwater: &str, screen: &mut Screen) {
        let log = format!(
            "headwater\n{headwater}\n\nMiniStack and the function\n{}",
            self.ministack.log()
        );
        let kept = target_dir().map(|target| target.join("demo.log"));
        if let Ok(path) = kept
            && fs::write(&path, log).is_ok()
        {
            screen.line(&format!(
                "what headwater and MiniStack said: {}",
                path.display()
            ));
        }
    }
}

/// One moment's figures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Figures {
    /// Records headwater took.
    read: u64,
    spooled: u64,
    spooled_bytes: u64,
    sent: u64,
    dropped: u64,
    stored: u64,
}

impl<'a> Demo<'a> {
    fn start(
        options: &'a Options,
        interrupt: &Interrupt,
        screen: &mut Screen,
    ) -> anyhow::Result<Self> {
        let parameters = options.network.as_ref().map(Network::parameters);
        let cloud = Cloud::start(&parameters.unwrap_or_default(), interrupt, screen)?;
        let Cloud {
            aws,
            stack,
            ministack,
            ..
        } = &cloud;
        let key = stack.producer_key(aws)?;
        let mut way = Way::to(ministack.address(), aws.with(key.clone()), options)?;
        if let Some(network) = &options.network {
            screen.tick(&network.to_string());
        }
        let mut board = producer::board(&cloud.program(options))?;
        producer::puts_to(&mut board, stack, &way.endpoint(), &key);
        if let Some(size) = &options.spool_size {
            board.argument("--spool-size").argument(size);
        }
        if options.pack {
            board.argument("--pack");
        }
        if let Some(wire) = &options.wire {
            board.argument("--wire").argument(wire);
        }
        let (feed, said) = Feed::start(options, &mut board, &mut way.outage)?;
        screen.tick(&said);
        board.argument("--").argument(&options.keyword);
        let mut producer = board.start(&[])?;
        feed.attach(options, &mut producer)?;
        screen.tick(&format!("headwater {}", options.keyword));
        Ok(Self {
            options,
            feed,
            way,
            producer,
            board,
            cloud,
        })
    }

    /// Shows progress until all posts are stored or dropped, or there is no progress any more.
    fn follow(&mut self, interrupt: &Interrupt, screen: &mut Screen) -> anyhow::Result<()> {
        let (mut last, mut moved) = (Figures::default(), Instant::now());
        let mut most_spooled = 0;
        loop {
            interrupt.check()?;
            let figures = self.figures()?;
            most_spooled = most_spooled.max(figures.spooled);
            screen.progress(&format!("{figures}{}", self.way.outage));
            self.way.outage.advance(figures.read, screen)?;
            // Nothing may move while the network is down.
            if !self.way.outage.is_over() || figures != last {
                (last, moved) = (figures, Instant::now());
            }
            if let Some(status) = self.producer.wait(Duration::ZERO)? {
                ensure!(
                    status.success(),
                    "headwater ended with {status}: {}",
                    self.last_words()
                );
                break;
            }
            if self.way.outage.is_over() && self.has_all(&figures) {
                break;
            }
            if moved.elapsed() > STALL {
                screen.cross(&format!(
                    "nothing moves for {} s; headwater said last: {}",
                    STALL.as_secs(),
                    self.last_words()
                ));
                break;
            }
            thread::sleep(REFRESH);
        }
        screen.tick(&format!(
            "{last}, at most {most_spooled} in the spool at once"
        ));
        Ok(())
    }

    /// Ends headwater as systemd would, if it has not ended by itself.
    fn end(&mut self, screen: &mut Screen) -> anyhow::Result<()> {
        let status = match self.producer.wait(Duration::ZERO)? {
            Some(status) => status,
            None => self.producer.stop(END)?.with_context(|| {
                format!(
                    "headwater does not end within {} s of SIGTERM",
                    END.as_secs()
                )
            })?,
        };
        ensure!(
            status.success(),
            "headwater ended with {status}: {}",
            self.last_words()
        );
        screen.tick(&format!("headwater has ended: {}", self.last_words()));
        Ok(())
    }

    /// Shows the final count.
    fn count(&mut self, screen: &mut Screen) -> anyhow::Result<bool> {
        let metrics = self.board.metrics();
        let counted = |name: &str| metrics.get(name).copied().unwrap_or_default();
        let dropped = dropped(&metrics);
        let (sent, unseen) = match self.feed.sent() {
            Some(sent) => (sent, 0),
            None => (self.believe_producer()?, dropped),
        };
        let again = sent.len() - different(&sent);
        if again > 0 {
            screen.tick(&format!(
                "the source itself sent {again} posts again, as sources do: each is one row"
            ));
        }
        self.await_function()?;
        let items = self.cloud.aws.all_items(&self.cloud.stack.table)?;
        let tally = Tally::take(&self.cloud.aws, &self.cloud.stack, &sent, dropped as usize)?;
        screen.rows(&items, 6);
        let records = self.cloud.aws.all_records(&self.cloud.stack.stream)?;
        let (packs, plain): (Vec<_>, Vec<_>) =
            records.iter().partition(|record| pack::is_pack(record));
        if !packs.is_empty() {
            let bytes: usize = packs.iter().map(|pack| pack.len()).sum();
            screen.tick(&format!(
                "the stream has {} packs, of {bytes} bytes, and {} plain records",
                packs.len(),
                plain.len()
            ));
        }
        let arrived = self.cloud.aws.all_posts(&self.cloud.stack.stream)?.len() as u64;
        let taken = counted("headwater_read_total") - dropped;
        if let Some(cost) = self.way.cost(taken, arrived, records.len()) {
            screen.tick(&cost);
        }
        let mut fine = match self.way.cuts() {
            true => tally.is_complete(),
            false => tally.adds_up(),
        };
        for oddity in tally.oddities.iter().take(5) {
            screen.cross(&format!("this does not fit: {oddity}"));
        }
        let late = counted("headwater_late_total");
        if late > 0 {
            screen.tick(&format!(
                "{late} of them were fetched from X's search, for what the stream missed"
            ));
        }
        let read = counted("headwater_read_total");
        let sent_in_all = sent.len() as u64 + unseen;
        let least = if self.feed.may_break_off() {
            tally.read as u64
        } else {
            sent_in_all
        };
        if !(least..=sent_in_all).contains(&read) {
            screen.cross(&format!(
                "headwater counted {read} records read; the source sent {sent_in_all}"
            ));
            fine = false;
        }
        if !fine {
            self.cloud
                .keep_log(&self.producer.said().join("\n"), screen);
        }
        if tally.dropped > 0 && fine {
            let Tally {
                read,
                stored,
                dropped,
                ..
            } = tally;
            screen.line(&format!("the spool was too small for the outage, and counted what it dropped: {stored} stored + {dropped} dropped = {read} read"));
        }
        screen.line(&tally.to_string());
        Ok(fine)
    }
}
impl Demo<'_> {
    fn figures(&self) -> anyhow::Result<Figures> {
        let metrics = self.board.metrics();
        let figure = |name: &str| metrics.get(name).copied().unwrap_or_default();
        Ok(Figures {
            read: figure("headwater_read_total"),
            spooled: figure("headwater_spool_waiting_records"),
            spooled_bytes: figure("headwater_spool_waiting_bytes"),
            sent: figure("headwater_delivered_total"),
            dropped: dropped(&metrics),
            stored: self.cloud.aws.count_items(&self.cloud.stack.table)?,
        })
    }

    /// Whether the source has ended, and the table has everything that was not dropped.
    fn has_all(&self, figures: &Figures) -> bool {
        let settled = figures.spooled == 0 && figures.sent + figures.dropped >= figures.read;
        match self.feed.sent() {
            None => settled && figures.read >= self.options.posts as u64,
            Some(sent) => {
                let posts = different(&sent);
                settled
                    && posts >= self.options.posts
                    && (self.feed.may_break_off() || figures.read >= sent.len() as u64)
                    && figures.stored + figures.dropped >= posts as u64
            }
        }
    }

    /// What Bluesky sent, only the producer knows: it is what arrived, and the producer's own count must agree.
    fn believe_producer(&self) -> anyhow::Result<Vec<Sent>> {
        let posts = self.cloud.aws.all_posts(&self.cloud.stack.stream)?;
        posts
            .iter()
            .map(|post| Sent::from_jetstream(post))
            .collect()
    }

    /// Waits until the function has stored what the stream has.
    fn await_function(&self) -> anyhow::Result<()> {
        let expected = different_posts(&self.cloud.aws.all_posts(&self.cloud.stack.stream)?) as u64;
        let (mut last, mut moved) = (0, Instant::now());
        while moved.elapsed() < STALL / 3 {
            let stored = self.cloud.aws.count_items(&self.cloud.stack.table)?;
            if stored >= expected {
                break;
            }
            if stored != last {
                (last, moved) = (stored, Instant::now());
            }
            thread::sleep(REFRESH);
        }
        Ok(())
    }

    fn last_words(&self) -> String {
        self.producer
            .said()
            .pop()
            .unwrap_or_else(|| "it said nothing".to_owned())
    }
}

/// Records the full spool dropped that did not arrive after all.
fn dropped(metrics: &BTreeMap<String, u64>) -> u64 {
    let counted = |name: &str| metrics.get(name).copied().unwrap_or_default();
    counted("headwater_spool_dropped_total") - counted("headwater_spool_drops_taken_back_total")
}

fn different(sent: &[Sent]) -> usize {
    sent.iter()
        .map(|sent| sent.id.as_str())
        .collect::<BTreeSet<_>>()
        .len()
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            read,
            spooled,
            spooled_bytes,
            sent,
            dropped,
            stored,
        } = self;
        write!(
            f,
            "read {read}  spooled {spooled} ({} KiB)  sent {sent}  stored {stored}",
            spooled_bytes.div_ceil(1024)
        )?;
        if *dropped > 0 {
            write!(f, "  dropped {dropped}")?;
        }
        Ok(())
    }
}
