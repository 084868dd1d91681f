//! One run: a stream with a door for each third of the fleet, the boards, and the outages.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use testkit::contenders::Contender;
use testkit::shards::Limits;
use testkit::stream::ledger::{Counts, Taken};
use testkit::stream::{Settings, Stream};

use crate::feeder::Feeder;
use crate::member::{Cost, Member, cost};

/// The stream's ports; a board has the one of its number, modulo this.
const DOORS: usize = 3;

/// How often a return is looked at.
const LOOK: Duration = Duration::from_millis(50);

/// How many times the least possible a return may last before it is given up.
const PATIENCE: u32 = 10;

/// What is done.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// How many boards there are.
    pub boards: usize,
    /// How many shards the stream has, each with Kinesis's limits.
    pub shards: usize,
    /// How long posts flow before each outage.
    pub steady: Duration,
    /// How long each outage lasts.
    pub outage: Duration,
    /// How long posts are written at least.
    pub least: Duration,
}

/// What came of it. Moments are counted from the stream's start.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What the stream saw.
    pub counts: Counts,
    /// Posts the boards were given.
    pub fed: u64,
    /// The returns, first that of all boards.
    pub returns: Vec<Return>,
    /// When the last board was started, and when the last post had arrived.
    pub span: (Duration, Duration),
    /// The most memory all boards had at one time, and all their processor time.
    pub fleet: Cost,
    /// The same of the stream and the feeder.
    pub stand_in: Cost,
}

/// The end of an outage.
#[derive(Clone, Debug)]
pub struct Return {
    /// When the outage began, and when it ended.
    pub outage: (Duration, Duration),
    /// Posts that waited at its end.
    pub backlog: u64,
    /// When each board of the outage had delivered all but its newest post, counted from the end of the outage; `None` if it never had.
    pub done: Vec<Option<Duration>>,
    /// The least time in which the shards can take what waited and what came meanwhile.
    pub least: Duration,
}

struct Fleet<'a> {
    plan: &'a Plan,
    stream: Stream,
    boards: Vec<Member>,
    feeder: Feeder,
    peak: u64,
}

/// Runs `contender` by `plan`.
///
/// # Errors
///
/// A program cannot be started, or ends.
pub fn run(plan: &Plan, contender: &Contender) -> anyhow::Result<Outcome> {
    let files = getrlimit(Resource::Nofile);
    let all = Rlimit {
        current: files.maximum,
        ..files
    };
    setrlimit(Resource::Nofile, all)?;
    // In RAM: on this machine the boards would share one disk, as no fleet does.
    let folder = tempfile::tempdir_in(Path::new("/dev/shm"))?;
    let stream = Stream::start(&Settings {
        shards: vec![Limits::default(); plan.shards],
        more_doors: DOORS - 1,
        ..Settings::default()
    })?;
    let authority = folder.path().join("authority.pem");
    fs::write(&authority, stream.authority())?;
    let mut boards = Vec::new();
    for number in 0..plan.boards {
        let url = format!("https://{}", stream.doors()[number % DOORS].address());
        boards.push(Member::start(
            number,
            contender,
            &url,
            &authority,
            folder.path(),
        )?);
    }
    let began = stream.now();
    let inputs = boards.iter_mut().map(Member::input);
    let feeder = Feeder::start(inputs.collect::<Result<_, _>>()?, contender);
    let mut fleet = Fleet {
        plan,
        stream,
        boards,
        feeder,
        peak: 0,
    };
    let returns = vec![fleet.outage(&[0, 1, 2])?, fleet.outage(&[0])?];
    thread::sleep((began + plan.least).saturating_sub(fleet.stream.now()));
    let used = fleet.cost()?;
    let Fleet {
        stream,
        boards,
        feeder,
        peak,
        ..
    } = fleet;
    let fed = feeder.end()?.into_iter().sum();
    let deadline = Instant::now() + plan.outage;
    while stream.counts().delivered < fed && Instant::now() < deadline {
        thread::sleep(LOOK);
    }
    let counts = stream.counts();
    let span = (began, counts.last());
    drop(boards);
    Ok(Outcome {
        counts,
        fed,
        returns,
        span,
        fleet: Cost {
            memory: peak,
            ..used
        },
        stand_in: cost(std::process::id())?,
    })
}

impl Fleet<'_> {
    /// Lets posts flow, takes the network from the boards behind these doors, and gives it back.
    fn outage(&mut self, doors: &[usize]) -> anyhow::Result<Return> {
        thread::sleep(self.plan.steady);
        self.cost()?;
        eprintln!(
            "{:.0?}: outage of {} of {DOORS}",
            self.stream.now(),
            doors.len()
        );
        let began = self.stream.now();
        for &door in doors {
            self.stream.doors()[door].shut();
        }
        thread::sleep(self.plan.outage);
        self.cost()?;
        let counts = self.stream.counts();
        let backlog = self.feeder.fed().iter().sum::<u64>() - counts.delivered;
        let ended = self.stream.now();
        for &door in doors {
            self.stream.doors()[door].reopen();
        }
        let least = least(self.plan, backlog);
        eprintln!("{ended:.0?}: the network is back, {backlog} posts wait, at least {least:.1?}");
        let concerned: Vec<_> = (0..self.plan.boards)
            .filter(|number| doors.contains(&(number % DOORS)))
            .collect();
        let done = self.watch(&concerned, ended, least)?;
        Ok(Return {
            outage: (began, ended),
            backlog,
            done,
            least,
        })
    }

    /// When each of these boards has nothing waiting but its newest post.
    fn watch(
        &mut self,
        boards: &[usize],
        since: Duration,
        least: Duration,
    ) -> anyhow::Result<Vec<Option<Duration>>> {
        let mut done = vec![None; boards.len()];
        let limit = since + self.plan.outage + least * PATIENCE;
        let mut looks = 0;
        while done.contains(&None) && self.stream.now() < limit {
            thread::sleep(LOOK);
            let (now, fed, taken) = (
                self.stream.now(),
                self.feeder.fed(),
                self.stream.counts().boards,
            );
            for (done, &board) in done
                .iter_mut()
                .zip(boards)
                .filter(|(done, _)| done.is_none())
            {
                if records(&taken, &self.boards[board].access_key) + 1 >= fed[board] {
                    *done = Some(now - since);
                }
            }
            looks += 1;
            if looks % 100 == 0 {
                self.cost()?;
            }
        }
        let ready = done.iter().flatten().count();
        eprintln!(
            "{:.0?}: {ready} of {} boards have caught up",
            self.stream.now(),
            boards.len()
        );
        Ok(done)
    }

    /// What all boards have cost so far.
    fn cost(&mut self) -> anyhow::Result<Cost> {
        let mut all = Cost::default();
        for board in &self.boards {
            let cost = board.cost()?;
            all.memory += cost.memory;
            all.cpu += cost.cpu;
        }
        self.peak = self.peak.max(all.memory);
        Ok(all)
    }
}

fn records(taken: &BTreeMap<String, Taken>, board: &str) -> u64 {
    taken.get(board).map_or(0, |taken| taken.records)
}

/// The least time in which a plan's shards can take `backlog` posts and those that come meanwhile: they have saved up a second's worth.
fn least(plan: &Plan, backlog: u64) -> Duration {
    let a_second = plan.shards as f64 * Limits::default().records;
    let spare = a_second - plan.boards as f64;
    Duration::from_secs_f64(((backlog as f64 - a_second) / spare).max(0.0))
}
