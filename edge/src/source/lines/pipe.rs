//! Input that cannot be read twice: standard input, named pipes, serial ports.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use log::{info, warn};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;

use crate::source::lines::Maker;
use crate::source::lines::id::Run;
use crate::source::split::{LineSplitter, Next};
use crate::source::{Feed, SLICE};

/// How long to wait before a device that failed is opened again.
const AGAIN: Duration = Duration::from_secs(1);

/// Reads standard input to its end.
///
/// # Errors
/// If it cannot be read, or the system gives no random numbers.
pub fn read_stdin(maker: &mut Maker<'_>) -> anyhow::Result<()> {
    let stdin = io::stdin().as_fd().try_clone_to_owned();
    let stdin = File::from(stdin.context("standard input cannot be read")?);
    let mut lines = LineSplitter::new(maker.feed.max_record_bytes);
    let mut run = Run::new()?;
    let mut is_first = true;
    let mut patient = Patient {
        file: stdin,
        feed: maker.feed,
    };
    read_to_end(&mut patient, &mut lines, &mut run, &mut is_first, maker)
        .context("standard input cannot be read")?;
    if !maker.feed.stop.asked() {
        info!("the input has ended");
        // A last line may lack its newline.
        if let Some(rest) = lines.rest() {
            // An error means that the program is ending, and this was the last line.
            let id = run.next(maker.feed.clock.wall());
            let _ = maker.put(&rest, id, b"", is_first);
            maker.feed.flush();
        }
    }
    Ok(())
}

/// Reads a pipe or a device until the program ends: writers of a pipe come and go, a serial port is unplugged and plugged in again.
///
/// # Errors
/// If the system gives no random numbers.
pub fn read_device(path: &Path, maker: &mut Maker<'_>) -> anyhow::Result<()> {
    // NONBLOCK: opening a pipe must not wait for a writer. NOCTTY: a terminal must not become the controlling terminal.
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    let mut lines = LineSplitter::new(maker.feed.max_record_bytes);
    let mut run = Run::new()?;
    let mut is_first = true;
    loop {
        let opened = OpenOptions::new()
            .read(true)
            .custom_flags(flags.bits().cast_signed())
            .open(path);
        let read = opened.and_then(|file| {
            let mut patient = Patient {
                file,
                feed: maker.feed,
            };
            loop {
                read_to_end(&mut patient, &mut lines, &mut run, &mut is_first, maker)?;
                if maker.feed.sleep(SLICE).is_err() {
                    return Ok(());
                }
            }
        });
        match read {
            Ok(()) => return Ok(()),
            Err(error) => warn!("{} cannot be read: {error}; trying again", path.display()),
        }
        if maker.feed.sleep(AGAIN).is_err() {
            return Ok(());
        }
    }
}

/// Passes complete lines on until there is nothing more to read, or the program is ending.
fn read_to_end(
    patient: &mut Patient<'_>,
    lines: &mut LineSplitter,
    run: &mut Run,
    is_first: &mut bool,
    maker: &mut Maker<'_>,
) -> io::Result<()> {
    let mut patient = Flushed {
        reader: patient,
        feed: maker.feed,
    };
    loop {
        match lines.next(&mut patient) {
            Ok(Next::End) => return Ok(()),
            Ok(next) => {
                let id = run.next(maker.feed.clock.wall());
                let is_first = std::mem::take(is_first);
                if maker.put(&next, id, b"", is_first).is_err() {
                    return Ok(());
                }
            }
            Err(_) if maker.feed.stop.asked() => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}

/// A file whose waits are cut into slices, so that the program's end is noticed.
struct Patient<'a> {
    file: File,
    feed: &'a Feed,
}

impl Read for Patient<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let slice = Timespec {
            tv_sec: 0,
            tv_nsec: SLICE.subsec_nanos().into(),
        };
        loop {
            self.feed.alive();
            if self.feed.stop.asked() {
                return Err(io::Error::other("the program is ending"));
            }
            let mut waits = [PollFd::new(&self.file, PollFlags::IN)];
            match poll(&mut waits, Some(&slice)) {
                Ok(0) | Err(rustix::io::Errno::INTR) => {}
                Ok(_) => match self.file.read(buffer) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    result => return result,
                },
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// A reader that flushes the feed before each read.
struct Flushed<'a, R> {
    reader: R,
    feed: &'a Feed,
}

impl<R: Read> Read for Flushed<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.feed.flush();
        self.reader.read(buffer)
    }
}
