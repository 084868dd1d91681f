//! The screen of `headwater status`: a snapshot as text for a person.

use std::fmt::Write;

use crate::observe::snapshot::{Snapshot, Trouble};
use crate::platform::time::Rfc3339;

/// Colours for a terminal, or none.
#[derive(Clone, Copy, Debug)]
pub struct Paint {
    on: bool,
}

impl Paint {
    /// Colours if `on`.
    pub fn new(on: bool) -> Self {
        Self { on }
    }

    /// Marks something good.
    pub fn green(self, text: &str) -> String {
        self.paint("32", text)
    }

    /// Marks something to look at.
    pub fn yellow(self, text: &str) -> String {
        self.paint("33", text)
    }

    /// Marks something to repair.
    pub fn red(self, text: &str) -> String {
        self.paint("31", text)
    }

    fn paint(self, color: &str, text: &str) -> String {
        if self.on {
            format!("\x1b[{color}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}

/// Width of the backlog's bar, in characters.
const BAR_CELLS: u64 = 20;

/// The whole screen. `now_s` is in seconds since 1970.
pub fn of(snapshot: &Snapshot, wall_s: u64, paint: Paint) -> String {
    let about = &snapshot.about;
    let mut text = format!(
        "headwater {}, running for {} (process {})\n",
        about.version,
        duration(snapshot.uptime_s),
        about.pid
    );
    let to = format!(
        "stream {} in {}, {}",
        about.stream, about.region, about.host
    );
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(text, "  {name:<13}{value}");
    };
    line("from", &about.source);
    line("to", &to);
    line(
        "read",
        &format!(
            "{}{}",
            flow(snapshot.read, snapshot.read_per_s, snapshot.last_read_age_s),
            lag(snapshot, paint)
        ),
    );
    if let Some(gaps) = gaps(snapshot, paint) {
        line("gaps", &gaps);
    }
    let delivered = flow(
        snapshot.delivered,
        snapshot.delivered_per_s,
        snapshot.last_delivered_age_s,
    );
    line("acknowledged", &delivered);
    line("sent", &sent(snapshot, paint));
    line("backlog", &backlog(snapshot, paint));
    line("lost", &lost(snapshot, paint));
    line("clock", &clock(snapshot, paint));
    line("credentials", &credentials(snapshot, wall_s, paint));
    let syncs = snapshot.syncs;
    line(
        "to flash",
        &format!(
            "{} in {syncs} syncs since the start",
            bytes(snapshot.flash_bytes)
        ),
    );
    if snapshot.troubles.is_empty() {
        line("trouble", &paint.green("none"));
    }
    for trouble in &snapshot.troubles {
        line("trouble", &paint.red(&in_words(trouble)));
    }
    text
}

fn flow(total: u64, per_s: f64, last_age_s: Option<f64>) -> String {
    let last = match last_age_s {
        None => "none yet".to_owned(),
        Some(age) if age < 60.0 => format!("last {age:.0} s ago"),
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a positive number of seconds"
        )]
        Some(age) => format!("last {} ago", duration(age as u64)),
    };
    format!("{} posts, {per_s:.1}/s, {last}", grouped(total))
}

/// A source that lags by more than this many seconds is shown as late.
const LATE_S: f64 = 60.0;

/// How far the source lags, if it is late.
fn lag(snapshot: &Snapshot, paint: Paint) -> String {
    let lag_s = snapshot.source_lag_s.filter(|lag_s| *lag_s >= LATE_S);
    lag_s.map_or_else(String::new, |lag_s| {
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a positive number of seconds"
        )]
        let lag = paint.yellow(&format!(
            "the source lags {} behind",
            duration(lag_s as u64)
        ));
        format!("; {lag}")
    })
}

/// The gaps in the source's stream. `None` if there are none.
fn gaps(snapshot: &Snapshot, paint: Paint) -> Option<String> {
    let Snapshot {
        late,
        open_gaps,
        missed_gaps,
        missed_s,
        ..
    } = *snapshot;
    if late + open_gaps + missed_gaps == 0 {
        return None;
    }
    let mut text = format!("{} posts fetched later", grouped(late));
    if open_gaps > 0 {
        let open = paint.yellow(&format!("{open_gaps} being filled"));
        let _ = write!(text, ", {open}");
    }
    if missed_gaps > 0 {
        let mut missed = format!("{missed_gaps} missed, {} in all", duration(missed_s));
        if let (Some(from_s), Some(until_s)) = (snapshot.missed_from_s, snapshot.missed_until_s) {
            let (from, until) = (Rfc3339(from_s * 1000), Rfc3339(until_s * 1000));
            let _ = write!(missed, ", the last from {from} to {until}");
        }
        let _ = write!(text, "; {}", paint.red(&missed));
    }
    Some(text)
}

fn sent(snapshot: &Snapshot, paint: Paint) -> String {
    let Snapshot {
        bytes_sent,
        bytes_sent_today,
        throttled,
        sent_again,
        lanes,
        ..
    } = *snapshot;
    let mut text = format!("{}, {} today", bytes(bytes_sent), bytes(bytes_sent_today));
    if let Some(each) = snapshot.bytes_a_post() {
        let _ = write!(text, ", {} a post", bytes(each));
    }
    if sent_again > 0 {
        let _ = write!(
            text,
            ", {} posts again after the network broke",
            grouped(sent_again)
        );
    }
    if throttled > 0 {
        let _ = write!(text, ", {} throttled", grouped(throttled));
    }
    if lanes > 0 {
        let share = paint.yellow("a part of the stream is throttled now");
        let _ = write!(text, "; {share}");
    }
    text
}

fn backlog(snapshot: &Snapshot, paint: Paint) -> String {
    let Snapshot {
        waiting_records,
        waiting_bytes,
        capacity_bytes,
        ..
    } = *snapshot;
    let filled = waiting_bytes
        .saturating_mul(BAR_CELLS)
        .checked_div(capacity_bytes)
        .unwrap_or_default()
        .min(BAR_CELLS);
    let cells = |cell: &str, count: u64| cell.repeat(usize::try_from(count).unwrap_or_default());
    let bar = format!("{}{}", cells("#", filled), cells(".", BAR_CELLS - filled));
    let bar = match filled {
        0..10 => paint.green(&bar),
        10..18 => paint.yellow(&bar),
        _ => paint.red(&bar),
    };
    let mut text = format!(
        "[{bar}] {} posts, {} of {}",
        grouped(waiting_records),
        bytes(waiting_bytes),
        bytes(capacity_bytes)
    );
    if waiting_records > 0 {
        if let Some(age) = snapshot.oldest_age_s {
            let _ = write!(text, ", the oldest {} old", duration(age));
        }
        let _ = match snapshot.drained_in_s() {
            Some(seconds) => write!(text, ", drained in {}", duration(seconds)),
            None => write!(text, ", not shrinking"),
        };
    }
    text
}

fn lost(snapshot: &Snapshot, paint: Paint) -> String {
    let Snapshot {
        dropped,
        media_lost,
        unsynced_lost,
        impossible,
        unusable,
        gaps,
        gap_bytes,
        ..
    } = *snapshot;
    let total = match snapshot.lost() {
        0 => paint.green("none"),
        lost => paint.red(&format!(
            "{} ({dropped} dropped from a full spool, {unsynced_lost} by a power cut, {media_lost} by a damaged card)",
            grouped(lost)
        )),
    };
    let aside = match impossible {
        0 => String::new(),
        impossible => paint.yellow(&format!(
            "; {impossible} that Kinesis can never take set aside"
        )),
    };
    let unusable = match unusable {
        0 => String::new(),
        unusable => paint.yellow(&format!("; {unusable} inputs not usable")),
    };
    let missed = match (gaps, gap_bytes) {
        (0, _) => String::new(),
        (gaps, 0) => paint.red(&format!("; {gaps} gaps in what was read")),
        (gaps, known) => paint.red(&format!(
            "; {gaps} gaps in what was read, {} and more",
            bytes(known)
        )),
    };
    format!("{total}{aside}{unusable}{missed}")
}

fn clock(snapshot: &Snapshot, paint: Paint) -> String {
    match snapshot.clock_offset_s {
        0 => paint.green("right"),
        offset => {
            let side = if offset > 0 { "behind" } else { "ahead of" };
            let by = duration(offset.unsigned_abs());
            paint.yellow(&format!(
                "{by} {side} the server's; posts are signed with the server's time"
            ))
        }
    }
}

fn credentials(snapshot: &Snapshot, wall_s: u64, paint: Paint) -> String {
    let from = &snapshot.about.credentials;
    let now = wall_s.saturating_add_signed(snapshot.clock_offset_s);
    match snapshot.credentials_expiry_s {
        None => format!("from {from}"),
        Some(expiry) if expiry > now => {
            format!("from {from}, valid for another {}", duration(expiry - now))
        }
        Some(_) => paint.red(&format!("from {from}, expired")),
    }
}

/// One trouble as one line.
pub fn in_words(trouble: &Trouble) -> String {
    let Trouble { of, for_s, text } = trouble;
    match for_s {
        None => format!("{of}: {text}"),
        Some(seconds) => format!("{of}, for {}: {text}", duration(*seconds)),
    }
}

/// `90061` as `1 d 1 h`: the two largest units.
pub fn duration(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min {} s", seconds % 60),
        (0, ..) => format!("{hours} h {} min", minutes % 60),
        _ => format!("{days} d {} h", hours % 24),
    }
}

/// `1536` as `1.5 KiB`.
pub fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut unit = 0;
    let mut tenths = bytes.saturating_mul(10) / 1024;
    while tenths >= 10 * 1024 && unit + 1 < UNITS.len() {
        tenths /= 1024;
        unit += 1;
    }
    match tenths % 10 {
        0 => format!("{} {}", tenths / 10, UNITS[unit]),
        rest => format!("{}.{rest} {}", tenths / 10, UNITS[unit]),
    }
}

/// `1234567` as `1,234,567`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests;
