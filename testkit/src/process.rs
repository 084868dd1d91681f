//! Child processes and files that never outlive their parent, even if that is killed with SIGKILL.
//!
//! Each has a leash: a shell that reads from a pipe whose other end only this process holds. When this process ends, the kernel closes that end,
//! and the shell cleans up. A child leads its own process group, so that its children are killed, too.

use std::ffi::OsStr;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tempfile::TempDir;

/// Killed with its whole group when dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    leash: Child,
}

impl Process {
    /// Starts `command` in a process group of its own.
    ///
    /// # Errors
    /// If the program, or the process that ends it with this one, cannot be started.
    pub fn spawn(command: &mut Command) -> anyhow::Result<Self> {
        let program = command.get_program().to_owned();
        let mut child = command
            .process_group(0)
            .spawn()
            .with_context(|| format!("{} cannot be started", program.display()))?;
        let group = child.id().to_string();
        match leash(r#"kill -s KILL -- "-$1""#, group.as_ref()) {
            Ok(leash) => Ok(Self { child, leash }),
            Err(error) => {
                let _ = child.kill();
                let _ = child.wait();
                Err(error)
            }
        }
    }

    /// The process, for its pipes.
    pub fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Its id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends the process a signal, such as SIGTERM to ask it to end.
    pub fn signal(&self, signal: Signal) {
        // A process that has already ended needs no signal.
        let _ = kill_process(self.pid(), signal);
    }

    /// Ends the process and its group at once, with SIGKILL, and waits until it is gone.
    pub fn kill(&mut self) {
        let _ = kill_process_group(self.pid(), Signal::KILL);
        let _ = self.child.wait();
    }

    /// The exit status, if the process ends within `at_most`.
    ///
    /// # Errors
    /// If the system cannot say whether the process has ended.
    pub fn wait(&mut self, at_most: Duration) -> anyhow::Result<Option<ExitStatus>> {
        let deadline = Instant::now() + at_most;
        loop {
            let ended = self.child.try_wait().context("the child is out of reach")?;
            if ended.is_some() || Instant::now() >= deadline {
                return Ok(ended);
            }
            thread::sleep(Duration::from_millis(10));
        }
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        let_go(&mut self.leash);
    }
}

/// A temporary folder. It is removed when this process ends, in whatever way.
#[derive(Debug)]
pub struct Scratch {
    leash: Child,
    folder: TempDir,
}

impl Scratch {
    /// Creates an empty folder in `parent`.
    ///
    /// # Errors
    /// If the folder, or the process that removes it, cannot be made.
    pub fn new_in(parent: &Path) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("headwater-scratch-")
            .tempdir_in(parent)
            .with_context(|| format!("{} takes no files", parent.display()))?;
        // After a moment, so that the processes which use it have ended.
        let leash = leash(r#"sleep 1; rm -rf -- "$1""#, folder.path().as_os_str())?;
        Ok(Self { leash, folder })
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let_go(&mut self.leash);
    }
}

/// Starts a shell that runs `script` with `argument` as `$1` when this process has ended.
fn leash(script: &str, argument: &OsStr) -> anyhow::Result<Child> {
    Command::new("/bin/sh")
        .args(["-c", &format!("read -r done || {{ {script}; }}"), "leash"])
        .arg(argument)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // In its own process group, because the terminal's Ctrl-C would end it before its work.
        .process_group(0)
        .spawn()
        .context("/bin/sh cannot be started")
}

/// Ends a leash without its script.
fn let_go(leash: &mut Child) {
    if let Some(mut pipe) = leash.stdin.take() {
        let _ = pipe.write_all(b"done\n");
    }
    let _ = leash.wait();
}
