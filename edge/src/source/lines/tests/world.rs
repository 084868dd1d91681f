//! A log, what happens to it, and the program that reads it.

mod log;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::Write;
use std::ops::ControlFlow;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use crate::observe::counters::Counters;
use crate::platform::facts::Facts;
use crate::platform::stop::Stop;
use crate::platform::time::{Clock, SystemClock, TestClock};
use crate::post::record::MAX_RECORD_BYTES;
use crate::source::Feed;
use crate::source::lines::follow::Follower;
use crate::source::lines::{Input, Maker, Settings};
use crate::spool::{Options, Spool, WhenFull};

/// Numbers that a seed determines (splitmix64).
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ mixed >> 31) % end
    }

    pub fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[usize::try_from(self.below(all.len() as u64)).unwrap()]
    }
}

/// How rotation names files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// `log`, `log.1`, `log.2`.
    Numbered,
    /// `log`, `log-20260101`, `log-20260102`.
    Dated,
    /// `log` is a link to the newest of `app-1.log`, `app-2.log`.
    Link,
}

/// The clock of tests, whose each look at it may be the program's last. A pause lets no time go by: only the world does.
#[derive(Debug, Default)]
struct LastLook {
    clock: TestClock,
    /// After how many looks the program is killed; 0 if it is not.
    killed_in: AtomicU64,
    stop: Mutex<Arc<Stop>>,
}

impl LastLook {
    fn look(&self) -> &TestClock {
        let left = self.killed_in.load(Ordering::Relaxed);
        if left > 0 {
            self.killed_in.store(left - 1, Ordering::Relaxed);
            if left == 1 {
                self.stop.lock().unwrap().ask();
            }
        }
        &self.clock
    }
}

impl Clock for LastLook {
    fn wall(&self) -> SystemTime {
        self.look().wall()
    }

    fn elapsed(&self) -> Duration {
        self.look().elapsed()
    }

    fn sleep(&self, _: Duration, stop: &Stop) -> bool {
        stop.asked()
    }
}

/// A spool in memory: nobody commits.
pub fn spool(folder: &Path) -> Arc<Spool> {
    let options = Options {
        card: folder.join("spool"),
        stage: None,
        size_bytes: 32 << 20,
        when_full: WhenFull::Block,
        durable_within: Duration::from_secs(1),
    };
    Arc::new(Spool::open(options, Arc::new(SystemClock::default())).unwrap())
}

pub struct World {
    folder: PathBuf,
    layout: Layout,
    clock: Arc<LastLook>,
    feed: Feed,
    settings: Settings,
    program: Option<Follower>,
    /// The next line's number.
    next: u64,
    /// What stands at the end of the log without a newline.
    begun: bool,
    rotations: u64,
    was_killed: bool,
    /// The lines that were in files that went, with their newlines, by how they went.
    gone: BTreeMap<&'static str, BTreeSet<String>>,
    story: Vec<String>,
}

impl World {
    /// A log with one line, which is read.
    pub fn new(folder: &Path, layout: Layout, spool: &Arc<Spool>) -> Self {
        fs::create_dir_all(folder.join("logs")).unwrap();
        fs::create_dir_all(folder.join("away")).unwrap();
        let clock = Arc::new(LastLook::default());
        let mut world = Self {
            feed: Feed {
                spool: spool.clone(),
                clock: clock.clone(),
                stop: Arc::default(),
                counters: Arc::new(Counters::default()),
                state: Arc::new(Facts::open(None, None)),
                echo: false,
                max_record_bytes: MAX_RECORD_BYTES,
            },
            settings: Settings {
                input: Input::Stdin,
                filter: None,
                partition_key: None,
                host: "board-7".to_owned(),
            },
            folder: folder.to_owned(),
            layout,
            clock,
            program: None,
            next: 0,
            begun: false,
            rotations: 0,
            was_killed: false,
            gone: BTreeMap::new(),
            story: Vec::new(),
        };
        world.make_anew();
        world.append(1, false);
        world.start();
        world.rounds(1);
        world
    }

    /// One thing that happens.
    pub fn step(&mut self, random: &mut Random) {
        self.clock.clock.advance(Duration::from_secs(1));
        match random.below(13) {
            0..=2 => self.append(1 + random.below(3), random.below(4) == 0),
            3..=4 => self.rotate(random.below(4) > 0),
            5 => self.copy_and_truncate(),
            6 => self.remove_one(random, "compressed"),
            7 if random.below(3) == 0 => self.remove_one(random, "deleted"),
            8 => self.copy_away_and_back(),
            9 => self.stop(),
            10 => self.kill_after(1 + random.below(30)),
            11 => self.start(),
            _ => self.rounds(1 + random.below(8)),
        }
    }

    /// The program runs, the log is there, and all is read.
    pub fn finish(&mut self) {
        self.clock.clock.advance(Duration::from_secs(1));
        self.start();
        self.append(1, false);
        // Each file's end is looked at some times before it is left.
        let patience = 8 * (self.files().len() + 1);
        let mut before = 0;
        for _ in 0..patience {
            let now = self.feed.counters.read.get();
            if now != before && self.unread().is_empty() {
                break;
            }
            before = now;
            self.rounds(1);
        }
        // What would be read twice, now is.
        self.rounds(8);
    }

    /// The lines that are in some file, and not stored.
    fn unread(&self) -> BTreeSet<String> {
        let stored: BTreeSet<String> = self.stored().0.into_iter().collect();
        let files = self.files();
        let here = files.iter().flat_map(|path| lines_of(path));
        let here = here.map(|line| line.trim_end().to_owned());
        here.filter(|line| !stored.contains(line)).collect()
    }

    /// What is wrong; adds to the sums of what happened.
    pub fn verdict(&self, sums: &mut BTreeMap<&'static str, u64>) -> Option<String> {
        let (stored, ids) = self.stored();
        let ids: BTreeSet<String> = ids.into_iter().collect();
        let once: BTreeSet<String> = stored.iter().cloned().collect();
        if once.len() < stored.len() || ids.len() < stored.len() {
            return Some(format!("twice: {stored:?}"));
        }
        let unread = self.unread();
        if !unread.is_empty() {
            return Some(format!("not stored, though it is there: {unread:?}"));
        }
        let lost = |how: &str| -> Vec<String> {
            let of = self.gone.get(how).into_iter().flatten();
            of.filter(|line| !once.contains(line.trim_end()))
                .cloned()
                .collect()
        };
        let (compressed, deleted) = (lost("compressed"), lost("deleted"));
        let unseen = lost("never seen");
        let bytes = |lines: &[String]| lines.iter().map(|line| line.len() as u64).sum::<u64>();
        let (gaps, known) = (
            self.feed.counters.gaps.get(),
            self.feed.counters.gap_bytes.get(),
        );
        // Of a file that is gone, and one that is compressed, nobody knows whether they are the same.
        let is_known = self.gone.keys().all(|how| *how == "compressed");
        if is_known && known < bytes(&compressed) {
            return Some(format!(
                "{known} bytes counted, compressed unread: {compressed:?}"
            ));
        }
        if gaps == 0 && !deleted.is_empty() {
            return Some(format!("nothing counted of what was deleted: {deleted:?}"));
        }
        // A program killed after it counted a gap, and before it went on behind it, has its successor count it, too.
        if !self.was_killed && known > bytes(&compressed) + bytes(&deleted) + bytes(&unseen) {
            return Some(format!(
                "{known} bytes counted, but {compressed:?} {deleted:?} are missed"
            ));
        }
        for (name, sum) in [
            ("stored", stored.len() as u64),
            ("rotations", self.rotations),
            ("compressed unread", compressed.len() as u64),
            ("deleted unread", deleted.len() as u64),
            ("gaps", gaps),
        ] {
            *sums.entry(name).or_default() += sum;
        }
        None
    }

    /// The lines in the spool, and their ids.
    fn stored(&self) -> (Vec<String>, Vec<String>) {
        let mut all = (Vec::new(), Vec::new());
        self.feed.spool.peek(|_, record| {
            let envelope: serde_json::Value = serde_json::from_slice(record.data).unwrap();
            let text = |name: &str| envelope[name].as_str().unwrap().to_owned();
            all.0.push(text("line"));
            all.1.push(text("id"));
            ControlFlow::Continue(())
        });
        all
    }

    pub fn story(&self) -> String {
        format!("{:?}\n  {}", self.layout, self.story.join("\n  "))
    }

    /// Takes the records out of the spool and the files from the disk.
    pub fn remove(self) {
        let mut newest = None;
        self.feed.spool.peek(|seq, _| {
            newest = Some(seq);
            ControlFlow::Continue(())
        });
        if let Some(newest) = newest {
            self.feed.spool.ack(newest + 1);
        }
        fs::remove_dir_all(&self.folder).unwrap();
    }

    fn note(&mut self, what: impl Into<String>) {
        self.story.push(what.into());
    }

    fn start(&mut self) {
        if self.program.is_none() {
            let stop = Arc::new(Stop::default());
            *self.clock.stop.lock().unwrap() = stop.clone();
            self.clock.killed_in.store(0, Ordering::Relaxed);
            self.feed.stop = stop;
            self.feed.state = Arc::new(Facts::open(Some(self.folder.join("state")), None));
            let maker = Maker::new(&self.settings, &self.feed);
            self.program = Some(Follower::new(&[self.log()], &maker));
            self.note("start");
        }
    }

    fn stop(&mut self) {
        if self.program.take().is_some() {
            self.note("stop");
        }
    }

    fn kill_after(&mut self, looks: u64) {
        if self.program.is_some() {
            self.clock.killed_in.store(looks, Ordering::Relaxed);
            self.rounds(3);
            self.program = None;
            self.was_killed = true;
            self.note(format!("kill -9 after {looks} looks at the clock"));
        }
    }

    fn rounds(&mut self, count: u64) {
        let Some(program) = &mut self.program else {
            return;
        };
        let mut maker = Maker::new(&self.settings, &self.feed);
        let mut done = 0;
        while done < count {
            match program.round(&mut maker) {
                Ok(true) => {}
                Ok(false) => done += 1,
                Err(_) => break,
            }
        }
        self.note(format!(
            "{count} looks, {} read",
            self.feed.counters.read.get()
        ));
    }
}

/// The lines of a file with their newlines; that of a rotated one may lack it.
fn lines_of(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap();
    let is_log = path.ends_with("log");
    let whole = text
        .split_inclusive('\n')
        .filter(|line| !is_log || line.ends_with('\n'));
    whole.map(str::to_owned).collect()
}
