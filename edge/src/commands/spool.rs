//! `headwater spool stat|verify|peek|export FILE`: looks into a spool, also while it is in use.
//!
//! It is opened as a run opens it, but on read-only media and without the lock. So it shows what a run would find, and an acknowledgement only
//! changes a number in memory.

use std::ffi::OsString;
use std::io::{self, BufWriter, Write};
use std::ops::{ControlFlow, Range};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::UNIX_EPOCH;

use anyhow::{Context, bail};
use lexopt::prelude::*;
use serde_json::{Value, json};

use crate::observe::screen::{bytes, duration};
use crate::platform::text::neutral;
use crate::platform::time::{Clock, Rfc3339, SystemClock};
use crate::platform::tmpfs;
use crate::spool::format::block::{BLOCK, Block, Vblk};
use crate::spool::format::superblock::{Super, SuperKind};
use crate::spool::media::ring::{NotARing, Ring};
use crate::spool::media::storage::{LookSlot, Slot, user_of};
use crate::spool::walk::Stored;
use crate::spool::{Spool, Stats};

/// The usage text.
pub const USAGE: &str = "\
headwater spool stat FILE     how full it is, what waits, what was lost  [--json]
headwater spool verify FILE   checks every block and names what is wrong; exits 1 if anything is  [--json]
headwater spool peek FILE     shows the oldest posts that wait  [--count N]
headwater spool export FILE   writes all that wait as NDJSON
";

/// Width of the fill bar, in characters.
const BAR: u64 = 32;
/// Number of posts that `peek` shows by default.
const PEEK: u64 = 10;

enum Verb {
    Stat,
    Verify,
    Peek,
    Export,
}

struct Asked {
    verb: Verb,
    file: PathBuf,
    json: bool,
    count: u64,
}

/// Runs the command with the `args` after the word `spool`.
///
/// # Errors
///
/// The file cannot be read, or is not a spool.
pub fn run(args: &[OsString]) -> anyhow::Result<ExitCode> {
    let asked = match parse(args) {
        Ok(asked) => asked,
        Err(wrong) => {
            eprint!("headwater spool: {wrong}\n\n{USAGE}");
            return Ok(ExitCode::from(2));
        }
    };
    let mut out = BufWriter::new(io::stdout().lock());
    match answer(&asked, &mut out).and_then(|code| Ok(out.flush().map(|()| code)?)) {
        // The reader has closed the pipe, as `| head` does.
        Err(error) if is_broken_pipe(&error) => Ok(ExitCode::SUCCESS),
        done => done,
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let error = error.downcast_ref::<io::Error>();
    error.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

fn parse(args: &[OsString]) -> Result<Asked, lexopt::Error> {
    let mut parser = lexopt::Parser::from_args(args);
    let (mut verb, mut file, mut json, mut count) = (None, None, false, PEEK);
    while let Some(arg) = parser.next()? {
        match arg {
            Long("json") => json = true,
            Long("count") => count = parser.value()?.parse()?,
            Value(word) if verb.is_none() => {
                verb = Some(match word.to_str() {
                    Some("stat") => Verb::Stat,
                    Some("verify") => Verb::Verify,
                    Some("peek") => Verb::Peek,
                    Some("export") => Verb::Export,
                    _ => return Err(Value(word).unexpected()),
                });
            }
            Value(path) if file.is_none() => file = Some(path.into()),
            arg => return Err(arg.unexpected()),
        }
    }
    match (verb, file) {
        (Some(verb), Some(file)) => Ok(Asked {
            verb,
            file,
            json,
            count,
        }),
        (None, _) => Err("stat, verify, peek or export?".into()),
        (_, None) => Err("which FILE?".into()),
    }
}

fn answer(asked: &Asked, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let look = Look::open(&asked.file)?;
    match asked.verb {
        Verb::Stat if asked.json => writeln!(out, "{}", look.stat_json())?,
        Verb::Stat => look.stat(out)?,
        Verb::Verify => return look.verify(out, asked.json),
        Verb::Peek => look.peek(out, asked.count)?,
        Verb::Export => look.export(out)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// A spool opened for reading.
struct Look {
    file: PathBuf,
    ring: Ring,
    stage: Option<PathBuf>,
    /// Process id of the program that uses it.
    user: Option<u32>,
    spool: Spool,
    clock: SystemClock,
}

impl Look {
    fn open(file: &Path) -> anyhow::Result<Self> {
        let name = file.display();
        let user = user_of(file).with_context(|| format!("{name} cannot be read"))?;
        let slot = LookSlot(file.to_owned());
        let Ok(storage) = slot.open() else {
            bail!("{name} cannot be read");
        };
        let ring = match Ring::open(storage) {
            Ok(ring) => ring,
            Err(NotARing::Newer(major)) => {
                bail!(
                    "{name} was made by a newer headwater (format {major}): look at it with that version"
                )
            }
            Err(NotARing::Nothing) => bail!("{name} is not a spool, or it is damaged completely"),
            Err(NotARing::Unreadable(error)) => bail!("{name} cannot be read: {error}"),
        };
        let stage = tmpfs::files("stage", Some(file)).next();
        let spool = Spool::look(file, stage.as_deref(), &ring)?;
        Ok(Self {
            file: file.to_owned(),
            ring,
            stage,
            user,
            spool,
            clock: SystemClock::default(),
        })
    }

    fn stats(&self) -> Stats {
        // The oldest record's time is known only after it was peeked at.
        self.spool.show(|_| ControlFlow::Break(()));
        self.spool.stats()
    }

    /// Share of the card's blocks that waiting records take, in percent.
    fn percent_full(&self, stats: &Stats) -> u64 {
        (stats.waiting_bytes * 100)
            .div_ceil(stats.capacity_bytes.max(1))
            .min(100)
    }

    fn stat(&self, out: &mut impl Write) -> io::Result<()> {
        let stats = self.stats();
        let percent = self.percent_full(&stats);
        let filled = (percent * BAR).div_ceil(100) as usize;
        let bar = format!(
            "{}{}",
            "#".repeat(filled),
            ".".repeat(BAR as usize - filled)
        );
        let used = match self.user {
            Some(pid) => format!("in use by process {pid}"),
            None => "not in use".to_owned(),
        };
        writeln!(out, "{}, {used}", self.file.display())?;
        writeln!(out, "[{bar}] {percent}% of {}", bytes(stats.capacity_bytes))?;
        writeln!(out, "waiting    {}", self.waiting(&stats))?;
        writeln!(out, "delivered  {}", stats.delivered)?;
        writeln!(out, "dropped    {} from a full spool", stats.dropped)?;
        writeln!(
            out,
            "lost       {} by a damaged card, {} by a power cut before their deadline",
            stats.media_lost, stats.unsynced_lost
        )?;
        let stage = self.stage.as_ref().map(|path| path.display().to_string());
        writeln!(out, "stage      {}", stage.as_deref().unwrap_or("none"))
    }

    fn waiting(&self, stats: &Stats) -> String {
        let Some(oldest) = stats.oldest else {
            return format!("{}", stats.waiting_records);
        };
        let age = self.clock.wall().duration_since(oldest).unwrap_or_default();
        format!(
            "{}, {} in blocks, the oldest for {}",
            stats.waiting_records,
            bytes(stats.waiting_bytes),
            duration(age.as_secs())
        )
    }

    fn stat_json(&self) -> Value {
        let stats = self.stats();
        let oldest = stats
            .oldest
            .and_then(|at| at.duration_since(UNIX_EPOCH).ok());
        json!({
            "file": self.file,
            "used_by_pid": self.user,
            "capacity_bytes": stats.capacity_bytes,
            "full_percent": self.percent_full(&stats),
            "waiting_records": stats.waiting_records,
            "waiting_bytes": stats.waiting_bytes,
            "oldest": oldest.map(|at| time(at.as_secs())),
            "appended": stats.appended,
            "delivered": stats.delivered,
            "dropped": stats.dropped,
            "media_lost": stats.media_lost,
            "unsynced_lost": stats.unsynced_lost,
            "stage": self.stage,
        })
    }

    fn peek(&self, out: &mut impl Write, count: u64) -> io::Result<()> {
        let mut left = count;
        self.each(|found| {
            if left == 0 {
                return Ok(ControlFlow::Break(()));
            }
            left -= 1;
            let data = String::from_utf8_lossy(found.record.data);
            let when = time(found.when.into());
            // A post can contain terminal control characters.
            let (key, data) = (neutral(found.record.partition_key), neutral(&data));
            writeln!(out, "{} {when} {key} {data}", found.seq)?;
            Ok(ControlFlow::Continue(()))
        })
    }

    fn export(&self, out: &mut impl Write) -> io::Result<()> {
        self.each(|found| {
            let mut line = json!({
                "seq": found.seq,
                "read_at": time(found.when.into()),
                "partition_key": found.record.partition_key,
            });
            let (name, data) = match std::str::from_utf8(found.record.data) {
                Ok(text) => ("data", text.to_owned()),
                Err(_) => ("data_base64", base64(found.record.data)),
            };
            line[name] = data.into();
            writeln!(out, "{line}")?;
            Ok(ControlFlow::Continue(()))
        })
    }

    /// Calls `visit` with every waiting record.
    fn each(
        &self,
        mut visit: impl FnMut(Stored<'_>) -> io::Result<ControlFlow<()>>,
    ) -> io::Result<()> {
        let mut ended = Ok(ControlFlow::Continue(()));
        loop {
            let mut next = None;
            self.spool.show(|found| {
                next = Some(found.seq + 1);
                ended = visit(found);
                match ended {
                    Ok(flow) => flow,
                    Err(_) => ControlFlow::Break(()),
                }
            });
            match (&ended, next) {
                (Ok(ControlFlow::Continue(())), Some(next)) => self.spool.ack(next),
                _ => return ended.map(|_| ()),
            }
        }
    }

    fn verify(&self, out: &mut impl Write, as_json: bool) -> anyhow::Result<ExitCode> {
        let mut faults = Vec::new();
        let mut whole = 0_u64;
        let Range {
            start: oldest,
            end: tail,
        } = self.spool.card_span();
        for (end, name) in [(0, "first"), (self.ring.blocks() + 1, "last")] {
            if let Some(what) = superblock_fault(&self.ring, end) {
                faults.push(Fault {
                    block: format!("the {name} superblock"),
                    what,
                    needed: false,
                });
            }
        }
        for vblk in tail.saturating_sub(self.ring.blocks())..tail {
            match block_fault(&self.ring, vblk) {
                None => whole += 1,
                Some(what) => faults.push(Fault {
                    block: format!("block {vblk}"),
                    what,
                    needed: vblk >= oldest,
                }),
            }
        }
        let before = self.spool.stats();
        let mut readable = 0_u64;
        self.each(|_| {
            readable += 1;
            Ok(ControlFlow::Continue(()))
        })?;
        let after = self.spool.stats();
        let lost =
            (after.media_lost + after.unsynced_lost) - (before.media_lost + before.unsynced_lost);
        if as_json {
            let faults: Vec<_> = faults.iter().map(Fault::json).collect();
            let report = json!({ "whole_blocks": whole, "faults": faults, "readable_records": readable, "lost_records": lost });
            writeln!(out, "{report}")?;
        } else {
            for fault in &faults {
                let meaning = if fault.needed {
                    ""
                } else {
                    "; nothing that waits is in it"
                };
                writeln!(out, "{} {}{meaning}", fault.block, fault.what)?;
            }
            let verdict = if faults.is_empty() && lost == 0 {
                "ok: "
            } else {
                ""
            };
            writeln!(
                out,
                "{verdict}{whole} blocks whole, {} not; {readable} records can be read, {lost} cannot",
                faults.len()
            )?;
        }
        Ok(match faults.is_empty() && lost == 0 {
            true => ExitCode::SUCCESS,
            false => ExitCode::FAILURE,
        })
    }
}

/// A problem found in the file.
struct Fault {
    block: String,
    what: &'static str,
    /// Whether waiting records may be affected.
    needed: bool,
}

impl Fault {
    fn json(&self) -> Value {
        json!({ "block": self.block, "what": self.what, "needed": self.needed })
    }
}

fn superblock_fault(ring: &Ring, place: u64) -> Option<&'static str> {
    let mut bytes = [0; BLOCK];
    match ring.read_raw(place, &mut bytes) {
        Err(_) => Some("cannot be read"),
        Ok(()) => match Super::decode(&bytes) {
            SuperKind::Good(spec) if spec == ring.spec() => None,
            SuperKind::Good(_) => Some("belongs to another file"),
            SuperKind::Newer(_) | SuperKind::Bad => Some("is damaged; the other one serves"),
        },
    }
}

fn block_fault(ring: &Ring, vblk: Vblk) -> Option<&'static str> {
    let mut bytes = [0; BLOCK];
    let look = |bytes: &mut [u8; BLOCK]| match ring.read(vblk, bytes) {
        Err(_) => Some("cannot be read"),
        Ok(_) if ring.live(vblk, bytes).is_some() => None,
        Ok(_) => Some(match Block::decode(bytes) {
            None if bytes.iter().all(|byte| *byte == 0) => "is empty, though it was written",
            None => "is damaged: its checksum does not agree",
            Some(block) if block.header.salt != ring.spec().salt => "belongs to another file",
            Some(block) if block.header.vblk % ring.blocks() != vblk % ring.blocks() => {
                "holds a block of another place: it was written to the wrong one"
            }
            Some(_) => "was never written in this lap",
        }),
    };
    // A running program may have been writing it.
    look(&mut bytes).and_then(|_| look(&mut bytes))
}

fn time(unix_seconds: u64) -> String {
    Rfc3339(unix_seconds * 1000).to_string()
}

fn base64(bytes: &[u8]) -> String {
    base64_simd::STANDARD.encode_to_string(bytes)
}
