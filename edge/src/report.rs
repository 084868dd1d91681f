//! What the program says on standard error: one line an event, with journald's priority in front where systemd listens.

use std::io::Write;
use std::sync::{Mutex, PoisonError};
use std::{panic, process};

use log::{Level, LevelFilter, Log, Metadata, Record};

/// Sends the program's own log lines to standard error. Those of libraries stay unsaid: they may quote a
/// request with its headers. A panic in any thread is said in one line too, and ends the process.
pub fn start() {
    let reporter = Reporter {
        journal: std::env::var_os("JOURNAL_STREAM").is_some(),
        last: Mutex::default(),
    };
    if log::set_boxed_logger(Box::new(reporter)).is_ok() {
        log::set_max_level(LevelFilter::Info);
    }
    panic::set_hook(Box::new(|fault| {
        let place = fault
            .location()
            .map_or_else(String::new, |place| format!(" at {place}"));
        let what = fault.payload_as_str().unwrap_or_default();
        log::error!(
            "a fault of this program{place} ({what}): please report it; every post that was read is kept"
        );
        // A thread that is gone would leave the others waiting for it.
        process::exit(1);
    }));
}

#[derive(Debug)]
struct Reporter {
    journal: bool,
    /// The line said last, and how often it was to be said again since.
    last: Mutex<(String, u32)>,
}

impl Log for Reporter {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let target = metadata.target();
        target == "headwater" || target.starts_with("headwater::")
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let line = record.args().to_string().replace('\n', " ");
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.0 == line {
            last.1 += 1;
            return;
        }
        let repeated = std::mem::replace(&mut *last, (line.clone(), 0)).1;
        let mut out = std::io::stderr().lock();
        let priority = self.priority(record.level());
        if repeated > 0 {
            let _ = writeln!(
                out,
                "{}headwater: (that happened {repeated} more times)",
                self.priority(Level::Info)
            );
        }
        // Nobody is left to tell that telling failed.
        let _ = writeln!(out, "{priority}headwater: {line}");
    }

    fn flush(&self) {}
}

impl Reporter {
    fn priority(&self, level: Level) -> &'static str {
        match level {
            _ if !self.journal => "",
            Level::Error => "<3>",
            Level::Warn => "<4>",
            Level::Info => "<6>",
            Level::Debug | Level::Trace => "<7>",
        }
    }
}
