//! `credential_process`: runs a program that prints credentials as JSON, as the AWS SDKs and CLI define it.
//!
//! The program is not trusted: its output and its time are bounded, its process group is killed at the end, and only the first line of its standard
//! error is shown, without anything that looks like a secret.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use aws_credential_types::Credentials;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::ioctl_fionbio;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use serde::Deserialize;

use crate::aws::credentials::Parts;
use crate::observe::journal;

/// The longest part of the program's standard error that is shown, in characters.
const COMPLAINT_CHARS: usize = 200;

/// A run of this many mixed letters and digits may be a key.
const KEY_CHARS: usize = 16;

/// Interval at which the program's end is checked. It can end without closing its output, if a child process holds that open.
const LOOK_EVERY: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 50_000_000,
};

/// The limits of the program.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of its standard output, and of its standard error.
    pub output_bytes: usize,
    /// Time from its start to its end.
    pub time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            output_bytes: 64 << 10,
            time: Duration::from_secs(60),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Document {
    access_key_id: String,
    secret_access_key: String,
    session_token: Option<String>,
    expiration: Option<String>,
}

/// Runs `command` in a shell, within `limits`, and parses its output.
///
/// # Errors
///
/// It cannot be started, exceeds a limit, fails, or prints no credentials. No error contains a secret.
pub fn fetch(command: &str, limits: Limits) -> anyhow::Result<Credentials> {
    let mut child = Command::new("sh")
        .args(["-c", command])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .context("credential_process could not be started")?;
    let followed = follow(&mut child, limits);
    // Before wait(), its process id, and so its group's, cannot be reused.
    let _ = kill_process_group(Pid::from_child(&child), Signal::KILL);
    let status = child
        .wait()
        .context("credential_process could not be waited for")?;
    let (output, errors) = followed?;
    if !status.success() {
        if let Ok(document) = serde_json::from_slice::<Document>(&output) {
            journal::hide(&document.secret_access_key);
            journal::hide(&document.session_token.unwrap_or_default());
        }
        bail!(
            "credential_process failed ({status}): {}",
            complaint(&errors)
        );
    }
    parse(&output)
        .context("credential_process printed no credentials: run it by hand to see what it prints")
}

/// Reads the standard output and standard error of `child` until it ends or exceeds a limit.
fn follow(child: &mut Child, limits: Limits) -> anyhow::Result<(Vec<u8>, Vec<u8>)> {
    const LOST: &str = "the output of credential_process cannot be read";
    let deadline = Instant::now() + limits.time;
    let pid = Pid::from_child(child);
    let mut output = Pipe::new(child.stdout.take().map(OwnedFd::from)).context(LOST)?;
    let mut errors = Pipe::new(child.stderr.take().map(OwnedFd::from)).context(LOST)?;
    loop {
        // Checked first, so that everything it printed before its end is read below.
        let ended = has_ended(pid);
        output.drain(limits.output_bytes).context(LOST)?;
        errors.drain(limits.output_bytes).context(LOST)?;
        if output.total > limits.output_bytes {
            bail!(
                "credential_process printed more than {} bytes and was ended; credentials take one or two thousand: run it by hand to see what it prints",
                limits.output_bytes
            );
        }
        if ended {
            return Ok((output.bytes, errors.bytes));
        }
        if Instant::now() >= deadline {
            bail!(
                "credential_process did not end within {:?} and was killed: run it by hand to see what it waits for",
                limits.time
            );
        }
        let mut open: heapless::Vec<PollFd<'_>, 2> = [&output, &errors]
            .into_iter()
            .filter_map(|pipe| Some(PollFd::new(pipe.stream.as_ref()?, PollFlags::IN)))
            .collect();
        // After an interrupt, everything is checked again.
        let _ = poll(&mut open, Some(&LOOK_EVERY));
    }
}

/// Whether the process has ended. It is not reaped, so its process id stays reserved.
fn has_ended(pid: Pid) -> bool {
    let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    !matches!(waitid(WaitId::Pid(pid), look), Ok(None))
}

/// The reading end of a pipe, and the first bytes that came through it.
struct Pipe {
    /// `None` once the other end is closed.
    stream: Option<File>,
    bytes: Vec<u8>,
    /// Number of bytes that came in all.
    total: usize,
}

impl Pipe {
    fn new(stream: Option<OwnedFd>) -> io::Result<Self> {
        if let Some(stream) = &stream {
            ioctl_fionbio(stream, true)?;
        }
        Ok(Self {
            stream: stream.map(File::from),
            bytes: Vec::new(),
            total: 0,
        })
    }

    /// Reads what is available, little more than `most` bytes at a time, and keeps the first `most` bytes in all.
    fn drain(&mut self, most: usize) -> io::Result<()> {
        let mut chunk = [0; 4096];
        let until = self.total + most;
        while let Some(stream) = &mut self.stream
            && self.total <= until
        {
            match stream.read(&mut chunk) {
                Ok(0) => self.stream = None,
                Ok(len) => {
                    let room = most - self.bytes.len();
                    self.bytes.extend_from_slice(&chunk[..len.min(room)]);
                    self.total += len;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// The first line of a program's standard error, without secrets, and how much more there was.
fn complaint(errors: &[u8]) -> String {
    let text = String::from_utf8_lossy(errors);
    let text = text.trim();
    let first = text.lines().next().unwrap_or("it printed no reason");
    let line = journal::clean(&without_keys(first));
    let shown: String = line.chars().take(COMPLAINT_CHARS).collect();
    match text.len() > first.len() {
        true => format!(
            "{shown} (the first line of {} bytes on its standard error)",
            errors.len()
        ),
        false => shown,
    }
}

/// `line` without words that may be unknown keys, which a program that traces its commands (`set -x`) prints, too.
fn without_keys(line: &str) -> String {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "+/_-".contains(c);
    let may_be_key = |word: &str| {
        let has = |kind: fn(&u8) -> bool| word.as_bytes().iter().any(kind);
        let letters = has(u8::is_ascii_alphabetic) && has(u8::is_ascii_digit);
        let mixed = has(u8::is_ascii_lowercase) && has(u8::is_ascii_uppercase);
        word.len() >= KEY_CHARS && letters && (mixed || !word.contains('/'))
    };
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(start) = rest.find(is_part) {
        let (between, from) = rest.split_at(start);
        let end = from.find(|c| !is_part(c)).unwrap_or(from.len());
        let (word, after) = from.split_at(end);
        out.push_str(between);
        out.push_str(if may_be_key(word) { "[secret]" } else { word });
        rest = after;
    }
    out + rest
}

fn parse(json: &[u8]) -> anyhow::Result<Credentials> {
    // The parser's error could quote a secret.
    let document: Document = serde_json::from_slice(json)
        .ok()
        .context("the output is not the JSON that it should print")?;
    let Document {
        access_key_id,
        secret_access_key,
        session_token,
        expiration,
    } = document;
    Parts {
        access_key_id,
        secret_access_key,
        session_token,
        expiration,
    }
    .into_credentials("credential_process")
}

#[cfg(test)]
mod tests;
