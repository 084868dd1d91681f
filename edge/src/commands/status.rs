//! `headwater status`: finds what the running programs write about themselves, and shows it.

use std::io::{IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use std::{io, thread};

use crate::observe::screen::{self, Paint};
use crate::observe::snapshot::Snapshot;
use crate::platform::file::{open_to_look, read_bounded};
use crate::platform::tmpfs;
use crate::settings::StatusOptions;

/// How often the screen is drawn anew.
const EVERY: Duration = Duration::from_secs(1);

/// A snapshot takes a few KiB.
const MAX_BYTES: u64 = 256 << 10;

/// A screen that begins in the upper left corner, and what was there is gone.
const CLEAR: &str = "\x1b[H\x1b[J";

/// Shows the running programs. [`ExitCode::FAILURE`] if there is none.
pub fn show(options: &StatusOptions) -> io::Result<ExitCode> {
    let mut out = io::stdout().lock();
    let is_terminal = out.is_terminal();
    let paint = Paint::new(is_terminal);
    loop {
        let found = find(options.spool.as_deref());
        let (text, code) = render(&found, options.json, paint)?;
        if options.watch && is_terminal && !options.json {
            out.write_all(CLEAR.as_bytes())?;
        }
        out.write_all(text.as_bytes())?;
        out.flush()?;
        if !options.watch {
            return Ok(code);
        }
        thread::sleep(EVERY);
    }
}

/// The newest snapshots that can be read here, running ones first.
pub fn find(spool: Option<&Path>) -> Vec<Snapshot> {
    let mut found: Vec<Snapshot> = tmpfs::files("status", spool)
        .filter_map(|path| read(&path))
        .collect();
    found.sort_by_key(|snapshot| (!snapshot.is_running(), snapshot.age()));
    found
}

/// What a program wrote about itself, as it may be shown: root looks at the files of every user.
fn read(path: &Path) -> Option<Snapshot> {
    let bytes = read_bounded(open_to_look(path).ok()?, MAX_BYTES).ok()?;
    let snapshot: Snapshot = serde_json::from_slice(&bytes).ok()?;
    Some(snapshot.neutral())
}

fn render(found: &[Snapshot], json: bool, paint: Paint) -> io::Result<(String, ExitCode)> {
    let running: Vec<_> = found
        .iter()
        .filter(|snapshot| snapshot.is_running())
        .collect();
    let mut text = String::new();
    if json {
        for snapshot in &running {
            text.push_str(&serde_json::to_string(snapshot)?);
            text.push('\n');
        }
    } else if running.is_empty() {
        text.push_str(&none_running(found.first()));
    } else {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let screens = running
            .iter()
            .map(|snapshot| screen::of(snapshot, now.as_secs(), paint));
        text = screens.collect::<Vec<_>>().join("\n");
    }
    let code = if running.is_empty() {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    };
    Ok((text, code))
}

/// One line, with what the last one that ran left behind.
fn none_running(last: Option<&Snapshot>) -> String {
    match last {
        None => "headwater is not running (or its status belongs to another user: try with sudo)\n"
            .to_owned(),
        Some(last) => {
            let ago = screen::duration(last.age().as_secs());
            let how = if last.ended {
                "ended"
            } else {
                "was last heard of"
            };
            let waiting = last.waiting_records;
            format!(
                "headwater is not running: it {how} {ago} ago, and {waiting} posts waited in its spool\n"
            )
        }
    }
}
