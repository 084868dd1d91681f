//! One run: a stream, a link for each board, and its program.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use testkit::link::Link;
use testkit::stream::ledger::Counts;
use testkit::stream::{Carried, Settings, Stream};

use crate::cases::Case;
use testkit::contenders::{Contender, posts_read};

/// How often the run is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// What came of a run.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What the stream saw. Its times are counted from the start of the programs.
    pub counts: Counts,
    /// The TLS connections.
    pub carried: Vec<Carried>,
    /// What crossed the links, both ways.
    pub bytes: u64,
    /// Of these, what was sent after the second post was given.
    pub later_bytes: u64,
    /// How long it took: until all programs had ended, or to the limit.
    pub took: Duration,
    /// Whether all programs ended by themselves, in time, and said it went well.
    pub ended: bool,
}

/// A board, its program and its link.
struct Member {
    number: usize,
    link: Link,
    folder: PathBuf,
    child: Child,
}

impl Drop for Member {
    fn drop(&mut self) {
        // One that has ended is none to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs `contender` in `case`.
pub fn run(case: &Case, contender: &Contender) -> anyhow::Result<Outcome> {
    // A spool on a disk, as on a board.
    let folder = tempfile::tempdir_in(Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"))?;
    let stream = Stream::start(&Settings {
        shards: case.shards.clone(),
        ..Settings::default()
    })?;
    let authority = folder.path().join("authority.pem");
    fs::write(&authority, stream.authority())?;
    let begun = stream.now();
    let mut boards = Vec::new();
    for number in 0..case.boards {
        let folder = folder.path().join(format!("board-{number}"));
        fs::create_dir(&folder)?;
        let link = Link::to(stream.address(), case.link.clone(), number as u64)?;
        let posts = contender.posts(number * case.posts, case.posts);
        let input = folder.join("posts");
        fs::write(&input, &posts)?;
        let stdin = match case.pace {
            None => File::open(&input)?.into(),
            Some(_) => Stdio::piped(),
        };
        let child = start(contender, number, &link, &authority, &folder, stdin)?;
        boards.push(Member {
            number,
            link,
            folder,
            child,
        });
    }
    let started = Instant::now();
    let mut later = 0;
    if let Some(pace) = case.pace {
        for board in &mut boards {
            later += feed(board, pace)?;
        }
    }
    let mut to_kill = case.kill;
    let mut ended = false;
    while !ended && started.elapsed() < case.limit {
        thread::sleep(LOOK);
        if to_kill && is_halfway(case, &stream, &boards, started.elapsed()) {
            for board in &mut boards {
                board.child.kill()?;
                board.child.wait()?;
                // All it had read is in its spool; there is no more.
                board.child = start(
                    contender,
                    board.number,
                    &board.link,
                    &authority,
                    &board.folder,
                    Stdio::null(),
                )?;
            }
            to_kill = false;
        }
        ended = true;
        for board in &mut boards {
            ended &= match board.child.try_wait()? {
                None => false,
                Some(status) => {
                    ensure!(
                        status.success(),
                        "it ended with {status}: {}",
                        last_words(&board.folder)
                    );
                    true
                }
            };
        }
    }
    ensure!(!to_kill, "the run never came to its middle");
    let took = started.elapsed();
    let (counts, carried) = (since(stream.counts(), begun), stream.carried());
    let bytes = boards.iter().map(|board| board.link.bytes()).sum();
    Ok(Outcome {
        counts,
        carried,
        bytes,
        later_bytes: bytes.saturating_sub(later),
        took,
        ended,
    })
}

fn start(
    contender: &Contender,
    board: usize,
    link: &Link,
    authority: &Path,
    folder: &Path,
    stdin: Stdio,
) -> anyhow::Result<Child> {
    let url = format!("https://{}", link.address());
    let log = File::options()
        .create(true)
        .append(true)
        .open(folder.join("log"))?;
    let mut command = contender.command(board, &url, authority, folder);
    command.stdin(stdin).stdout(log.try_clone()?).stderr(log);
    command
        .spawn()
        .with_context(|| format!("{command:?} cannot be started"))
}

/// Gives a board its posts one by one: how many bytes had crossed before the second.
fn feed(board: &mut Member, pace: Duration) -> anyhow::Result<u64> {
    let posts = fs::read_to_string(board.folder.join("posts"))?;
    let mut pipe = board
        .child
        .stdin
        .take()
        .context("it has no standard input")?;
    let mut before = 0;
    for (index, line) in posts.lines().enumerate() {
        if index > 0 {
            thread::sleep(pace);
        }
        if index == 1 {
            before = board.link.bytes();
        }
        writeln!(pipe, "{line}")?;
    }
    Ok(before)
}

/// Whether every post is in a spool, and three eighths of them are delivered: half of what three of four shards get.
fn is_halfway(case: &Case, stream: &Stream, boards: &[Member], passed: Duration) -> bool {
    let read: u64 = boards.iter().map(|board| posts_read(&board.folder)).sum();
    let delivered = stream.counts().delivered;
    // Where it takes too long, what was delivered by then is the first half.
    let enough =
        delivered * 8 >= case.all_posts() * 3 || (passed > case.limit / 4 && delivered > 0);
    read == case.all_posts() && enough
}

fn since(mut counts: Counts, begun: Duration) -> Counts {
    let taken = counts.shards.iter_mut().chain(counts.boards.values_mut());
    for taken in taken {
        taken.first = taken.first.saturating_sub(begun);
        taken.last = taken.last.saturating_sub(begun);
    }
    counts
}

fn last_words(folder: &Path) -> String {
    let log = fs::read_to_string(folder.join("log")).unwrap_or_default();
    log.lines().last().unwrap_or("it said nothing").to_owned()
}
