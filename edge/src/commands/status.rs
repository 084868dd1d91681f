//! `headwater status`: finds the snapshots that running programs write, and shows them.

use std::io::{IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};
use std::{io, thread};

use crate::observe::screen::{self, Paint};
use crate::observe::snapshot::Snapshot;
use crate::platform::file::{open_to_look, read_bounded};
use crate::platform::time::since_1970;
use crate::platform::tmpfs;
use crate::settings::StatusOptions;

/// Interval at which the screen is redrawn.
const EVERY: Duration = Duration::from_secs(1);

/// The largest snapshot that is read. One takes a few KiB.
const MAX_BYTES: u64 = 256 << 10;

/// Control sequence that clears the terminal: cursor to the upper left, erase below.
const CLEAR: &str = "\x1b[H\x1b[J";

/// Shows the running programs. [`ExitCode::FAILURE`] if there is none.
///
/// # Errors
///
/// Standard output cannot be written to.
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

/// The snapshots that this user may read: running programs first, then the newest.
pub fn find(spool: Option<&Path>) -> Vec<Snapshot> {
    let mut found: Vec<Snapshot> = tmpfs::files("status", spool)
        .filter_map(|path| read(&path))
        .collect();
    found.sort_by_key(|snapshot| (!snapshot.is_running(), snapshot.age()));
    found
}

/// Reads a snapshot, without control characters: for root it may be any user's file.
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
        let now = since_1970(SystemTime::now());
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

/// One line that says so, with what the last run left in its spool.
fn none_running(last: Option<&Snapshot>) -> String {
    match last {
        None => "headwater is not running (or it runs as another user: try with sudo)\n".to_owned(),
        Some(last) => {
            let ago = screen::duration(last.age().as_secs());
            let how = if last.ended { "ended" } else { "was last seen" };
            let waiting = last.waiting_records;
            format!(
                "headwater is not running: it {how} {ago} ago, and {waiting} posts waited in its spool\n"
            )
        }
    }
}
