//! A board of the fleet: its program, its files, and what the kernel says it costs.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use anyhow::{Context, ensure};
use rustix::param::clock_ticks_per_second;
use rustix::pipe::fcntl_setpipe_size;
use testkit::contenders::{Contender, access_key};

/// Room for the posts of an outage, for a program that reads none meanwhile.
const PIPE_BYTES: usize = 1 << 20;

/// Killed when dropped.
#[derive(Debug)]
pub struct Member {
    /// By which the stream knows it.
    pub access_key: String,
    folder: PathBuf,
    child: Child,
}

/// What a program costs.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cost {
    /// Memory, in bytes; what processes share is divided among them.
    pub memory: u64,
    /// Processor time, in seconds.
    pub cpu: f64,
}

impl Member {
    /// Starts number `number`, that sends to `url` and trusts `authority`, with its files in `parent`.
    ///
    /// # Errors
    ///
    /// The program cannot be started.
    pub fn start(
        number: usize,
        contender: &Contender,
        url: &str,
        authority: &Path,
        parent: &Path,
    ) -> anyhow::Result<Self> {
        let folder = parent.join(number.to_string());
        fs::create_dir(&folder)?;
        let log = File::create(folder.join("log"))?;
        let mut command = contender.command(number, url, authority, &folder);
        command
            .env("HEADWATER_SPOOL_SIZE", "2MiB")
            .env_remove("HEADWATER_METRICS_FILE")
            .stdin(Stdio::piped())
            .stdout(log.try_clone()?)
            .stderr(log);
        let child = command
            .spawn()
            .with_context(|| format!("{command:?} cannot be started"))?;
        let input = child.stdin.as_ref().context("it has no standard input")?;
        fcntl_setpipe_size(input, PIPE_BYTES)?;
        Ok(Self {
            access_key: access_key(number),
            folder,
            child,
        })
    }

    /// Where its posts go; once.
    ///
    /// # Errors
    ///
    /// It was taken before.
    pub fn input(&mut self) -> anyhow::Result<impl std::io::Write + Send + use<>> {
        self.child.stdin.take().context("its input is taken")
    }

    /// What it has cost so far.
    ///
    /// # Errors
    ///
    /// It has ended.
    pub fn cost(&self) -> anyhow::Result<Cost> {
        cost(self.child.id()).with_context(|| {
            let log = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
            format!(
                "{}: {}",
                self.access_key,
                log.lines().last().unwrap_or("it said nothing")
            )
        })
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        // One that has ended is none to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What process `id` has cost so far, by proc(5).
///
/// # Errors
///
/// There is no such process.
pub fn cost(id: u32) -> anyhow::Result<Cost> {
    let memory = fs::read_to_string(format!("/proc/{id}/smaps_rollup"))?;
    let memory = memory.lines().find_map(|line| line.strip_prefix("Pss:"));
    let memory = memory.and_then(|line| line.trim().strip_suffix(" kB"));
    let memory = memory
        .context("it has no memory any more")?
        .parse::<u64>()?
        << 10;
    let stat = fs::read_to_string(format!("/proc/{id}/stat"))?;
    // Behind the name, which may hold blanks and brackets: utime and stime are the 14th and 15th of the whole line.
    let (_, fields) = stat.rsplit_once(')').context("no line of stat")?;
    let fields: Vec<_> = fields.split_whitespace().collect();
    ensure!(fields.len() > 12, "a short line of stat");
    let ticks = fields[11].parse::<u64>()? + fields[12].parse::<u64>()?;
    Ok(Cost {
        memory,
        cpu: ticks as f64 / clock_ticks_per_second() as f64,
    })
}
