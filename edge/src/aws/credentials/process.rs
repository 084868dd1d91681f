//! `credential_process`: a program of the user's that prints credentials as JSON, as the AWS SDKs and CLI define it.
//!
//! It is a stranger: its output and its time are bounded, whatever it started ends with it, and of what it complains only the first line is
//! repeated, without anything that looks like a secret.

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

/// The longest part of the program's complaint that is worth repeating.
const COMPLAINT_CHARS: usize = 200;

/// A run of this many letters and digits, mixed, may be a key.
const KEY_CHARS: usize = 16;

/// The program's end is looked for this often: it may end without closing its output, which a process it left behind holds.
const LOOK_EVERY: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 50_000_000,
};

/// What the program may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of its output, and of what it complains.
    pub output_bytes: usize,
    /// From its start to its end.
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

/// Runs `command` in a shell, within `limits`, and reads what it prints.
///
/// # Errors
///
/// It cannot be started, takes longer or prints more than it may, fails, or prints no credentials. No error holds a secret.
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
    // Before it is waited for, its number, and so its group's, is still its own.
    let _ = kill_process_group(Pid::from_child(&child), Signal::KILL);
    let status = child.wait().context("credential_process was lost")?;
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
    parse(&output).context("credential_process printed no credentials: run it by hand and look")
}

/// Reads what `child` prints, and complains, until it ends or breaks a limit.
fn follow(child: &mut Child, limits: Limits) -> anyhow::Result<(Vec<u8>, Vec<u8>)> {
    const LOST: &str = "the output of credential_process cannot be read";
    let deadline = Instant::now() + limits.time;
    let pid = Pid::from_child(child);
    let mut output = Pipe::new(child.stdout.take().map(OwnedFd::from)).context(LOST)?;
    let mut errors = Pipe::new(child.stderr.take().map(OwnedFd::from)).context(LOST)?;
    loop {
        // Asked for first: what it printed before its end is then read below.
        let ended = has_ended(pid);
        output.drain(limits.output_bytes).context(LOST)?;
        errors.drain(limits.output_bytes).context(LOST)?;
        if output.total > limits.output_bytes {
            bail!(
                "credential_process printed more than {} bytes and was ended; credentials take one or two thousand: run it by hand and look",
                limits.output_bytes
            );
        }
        if ended {
            return Ok((output.bytes, errors.bytes));
        }
        if Instant::now() >= deadline {
            bail!(
                "credential_process had not ended after {:?} and was ended: run it by hand and look what it waits for",
                limits.time
            );
        }
        let mut open: heapless::Vec<PollFd<'_>, 2> = [&output, &errors]
            .into_iter()
            .filter_map(|pipe| Some(PollFd::new(pipe.stream.as_ref()?, PollFlags::IN)))
            .collect();
        // Interrupted or not, all is looked at again.
        let _ = poll(&mut open, Some(&LOOK_EVERY));
    }
}

/// Whether the process has ended; it is not waited for, and its number stays its own.
fn has_ended(pid: Pid) -> bool {
    let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    !matches!(waitid(WaitId::Pid(pid), look), Ok(None))
}

/// Our end of a pipe, and the beginning of what came through it.
struct Pipe {
    /// `None` once it is closed at the other end.
    stream: Option<File>,
    bytes: Vec<u8>,
    /// How many came in all.
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

    /// Reads what there is, little more than `most` bytes at a time, and keeps the first `most` of all.
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

/// The first line of what a program complained of, without secrets, and how much more there was.
fn complaint(errors: &[u8]) -> String {
    let text = String::from_utf8_lossy(errors);
    let text = text.trim();
    let first = text.lines().next().unwrap_or("it says nothing of why");
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

/// `line` without the words that may be keys nobody told us of: a program that traces what it does prints them too.
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
    // The parser's own words could quote a secret.
    let document: Document = serde_json::from_slice(json)
        .ok()
        .context("that is not the JSON it should print")?;
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
