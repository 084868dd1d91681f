//! A snapshot of all figures, as `headwater status --json` prints it: in seconds and bytes, unknown figures left out.

use std::path::PathBuf;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

use crate::observe::counters::Counters;
use crate::observe::past::{Past, tenths};
use crate::platform::text::neutral;
use crate::platform::time::{Clock, since_1970};
use crate::spool::{Destination, Stats};

/// A snapshot older than this belongs to a program that has ended, or hangs.
const FRESH: Duration = Duration::from_secs(5);

/// The figures at one moment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Snapshot {
    /// The program and its settings.
    #[serde(flatten)]
    pub about: About,
    /// When the figures were taken, in ms since the board booted.
    pub taken_ms: u64,
    /// The same by the server's clock, in s since 1970.
    pub taken_s: u64,
    /// Whether this is the last snapshot before the program ended.
    pub ended: bool,
    /// Seconds since the program started.
    pub uptime_s: u64,
    /// Records that the source read.
    pub read: u64,
    /// The same a second, over the last minute.
    pub read_per_s: f64,
    /// Seconds since the last one was read.
    pub last_read_age_s: Option<f64>,
    /// Records that Kinesis acknowledged.
    pub delivered: u64,
    /// The same a second, over the last minute.
    pub delivered_per_s: f64,
    /// Records acknowledged minus records read, a second, over the last ten seconds. Negative while the backlog grows.
    pub draining_per_s: f64,
    /// Seconds since the last one was acknowledged.
    pub last_delivered_age_s: Option<f64>,
    /// [`Counters::filtered`].
    pub filtered: u64,
    /// [`Counters::unusable`].
    pub unusable: u64,
    /// [`Counters::mended`].
    pub mended: u64,
    /// [`Counters::gaps`].
    pub gaps: u64,
    /// [`Counters::gap_bytes`].
    pub gap_bytes: u64,
    /// [`Counters::reconnects`].
    pub reconnects: u64,
    /// Age of the newest post when it was read, in seconds. Unknown for lines.
    pub source_lag_s: Option<f64>,
    /// [`Counters::late`].
    pub late: u64,
    /// [`Counters::gaps`].
    pub open_gaps: u64,
    /// Gaps that can no longer be filled.
    pub missed_gaps: u64,
    /// Their total length, in seconds.
    pub missed_s: u64,
    /// When the last of them began, in s since 1970.
    pub missed_from_s: Option<u64>,
    /// When it ended.
    pub missed_until_s: Option<u64>,
    /// [`Counters::reports`].
    pub reports: u64,
    /// [`Counters::impossible`].
    pub impossible: u64,
    /// [`Counters::calls`].
    pub calls: u64,
    /// [`Counters::retried`].
    pub retried: u64,
    /// [`Counters::throttled`].
    pub throttled: u64,
    /// [`Counters::sent_again`].
    pub sent_again: u64,
    /// [`Counters::bytes_sent`].
    pub bytes_sent: u64,
    /// [`Counters::bytes_sent_today`].
    pub bytes_sent_today: u64,
    /// [`Counters::lanes`].
    pub lanes: u64,
    /// [`Stats::waiting_records`].
    pub waiting_records: u64,
    /// [`Stats::waiting_bytes`].
    pub waiting_bytes: u64,
    /// [`Stats::capacity_bytes`].
    pub capacity_bytes: u64,
    /// Seconds since the oldest waiting record was read.
    pub oldest_age_s: Option<u64>,
    /// [`Stats::dropped`].
    pub dropped: u64,
    /// Records dropped since the start, including those taken back. It only grows.
    pub drops_counted: u64,
    /// How many of them turned out to be delivered, or on the card. It only grows.
    pub drops_taken_back: u64,
    /// [`Stats::media_lost`].
    pub media_lost: u64,
    /// [`Stats::unsynced_lost`].
    pub unsynced_lost: u64,
    /// Bytes written to flash since the start.
    pub flash_bytes: u64,
    /// Syncs of the card since the start.
    pub syncs: u64,
    /// Seconds by which the board's clock is behind the server's. 0 while the difference is within four minutes.
    pub clock_offset_s: i64,
    /// When the credentials expire, in s since 1970.
    pub credentials_expiry_s: Option<u64>,
    /// The current troubles.
    pub troubles: Vec<Trouble>,
}

/// The program and its settings, as they are shown.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct About {
    /// The program's version.
    pub version: String,
    /// Its process.
    pub pid: u32,
    /// The source in words, as in "X, posts about pizza".
    pub source: String,
    /// The stream's name.
    pub stream: String,
    /// Its region.
    pub region: String,
    /// Host of the Kinesis endpoint.
    pub host: String,
    /// Provider of the credentials, in words.
    pub credentials: String,
    /// Path of the spool's file.
    pub spool: PathBuf,
}

/// A trouble.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Trouble {
    /// The part in trouble: source, uplink or spool.
    pub of: String,
    /// Its duration in seconds, if known.
    pub for_s: Option<u64>,
    /// The trouble in words.
    pub text: String,
}

impl Snapshot {
    /// Takes the current figures.
    pub fn take(
        about: &About,
        counters: &Counters,
        stats: &Stats,
        past: &mut Past,
        clock: &dyn Clock,
    ) -> Self {
        let (now, wall) = (clock.elapsed(), clock.wall());
        let age = |moment: Duration| tenths(now.saturating_sub(moment).as_secs_f64());
        let (read, delivered) = (counters.read.get(), counters.delivered.get());
        let pace = past.rates.of(now, read, delivered);
        past.drops.count(stats.dropped);
        let expiry = counters.credentials_expiry_s.get();
        let clock_offset_s = counters.clock_offset_ms.get() / 1000;
        let wall_s = since_1970(wall).as_secs();
        Self {
            about: about.clone(),
            taken_ms: since_boot_ms(),
            taken_s: wall_s.saturating_add_signed(clock_offset_s),
            ended: false,
            uptime_s: now.as_secs(),
            read,
            read_per_s: pace.read_per_s,
            last_read_age_s: counters.last_read.get().map(age),
            delivered,
            delivered_per_s: pace.delivered_per_s,
            draining_per_s: pace.draining_per_s,
            last_delivered_age_s: counters.last_delivered.get().map(age),
            filtered: counters.filtered.get(),
            unusable: counters.unusable.get(),
            mended: counters.mended.get(),
            gaps: counters.gaps.get(),
            gap_bytes: counters.gap_bytes.get(),
            reconnects: counters.reconnects.get(),
            source_lag_s: positive(counters.source_lag_ms.get())
                .map(|ms| tenths(Duration::from_millis(ms).as_secs_f64())),
            late: counters.late.get(),
            open_gaps: not_negative(counters.open_gaps.get()),
            missed_gaps: counters.missed.gaps.get(),
            missed_s: counters.missed.ms.get() / 1000,
            missed_from_s: positive(counters.missed.from_ms.get()).map(|ms| ms / 1000),
            missed_until_s: positive(counters.missed.until_ms.get()).map(|ms| ms / 1000),
            reports: counters.reports.get(),
            impossible: counters.impossible.get(),
            calls: counters.calls.get(),
            retried: counters.retried.get(),
            throttled: counters.throttled.get(),
            sent_again: counters.sent_again.get(),
            bytes_sent: counters.bytes_sent.get(),
            bytes_sent_today: not_negative(counters.bytes_sent_today.get()),
            lanes: not_negative(counters.lanes.get()),
            waiting_records: stats.waiting_records,
            waiting_bytes: stats.waiting_bytes,
            capacity_bytes: stats.capacity_bytes,
            oldest_age_s: stats
                .oldest
                .map(|oldest| wall.duration_since(oldest).unwrap_or_default().as_secs()),
            dropped: stats.dropped,
            drops_counted: past.drops.counted,
            drops_taken_back: past.drops.taken_back,
            media_lost: stats.media_lost,
            unsynced_lost: stats.unsynced_lost,
            flash_bytes: stats.flash_bytes,
            syncs: stats.syncs,
            clock_offset_s,
            credentials_expiry_s: positive(expiry),
            troubles: troubles(counters, stats, now),
        }
    }

    /// The same without terminal control characters in its texts.
    pub fn neutral(mut self) -> Self {
        let About {
            version,
            pid: _,
            source,
            stream,
            region,
            host,
            credentials,
            spool,
        } = &mut self.about;
        for text in [version, source, stream, region, host, credentials] {
            *text = neutral(text);
        }
        *spool = neutral(&spool.to_string_lossy()).into();
        for Trouble { of, for_s: _, text } in &mut self.troubles {
            *of = neutral(of);
            *text = neutral(text);
        }
        self
    }

    /// Whether the program that wrote this still runs and makes progress.
    pub fn is_running(&self) -> bool {
        !self.ended && self.age() < FRESH
    }

    /// The age of the figures.
    pub fn age(&self) -> Duration {
        Duration::from_millis(since_boot_ms().saturating_sub(self.taken_ms))
    }

    /// Seconds until the backlog is delivered, at the rate of the last seconds. `None` while it does not shrink.
    pub fn drained_in_s(&self) -> Option<u64> {
        let pace = self.draining_per_s;
        let records = u32::try_from(self.waiting_records).unwrap_or(u32::MAX);
        match records {
            0 => Some(0),
            #[allow(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "rounded up, and positive"
            )]
            _ if pace > 0.0 => Some((f64::from(records) / pace).ceil() as u64),
            _ => None,
        }
    }

    /// Bytes sent for each acknowledged record, including repeats. `None` before the first one.
    pub fn bytes_a_post(&self) -> Option<u64> {
        self.bytes_sent.checked_div(self.delivered)
    }

    /// Records that were read and cannot be delivered any more.
    pub fn lost(&self) -> u64 {
        let lost = self.dropped.saturating_add(self.media_lost);
        lost.saturating_add(self.unsynced_lost)
    }
}

fn not_negative(gauge: i64) -> u64 {
    u64::try_from(gauge).unwrap_or_default()
}

/// A gauge in which 0 stands for unknown.
fn positive(gauge: i64) -> Option<u64> {
    u64::try_from(gauge).ok().filter(|value| *value > 0)
}

fn troubles(counters: &Counters, stats: &Stats, now: Duration) -> Vec<Trouble> {
    let of_threads = counters.vitals().filter_map(|(of, vitals)| {
        let (lasts, text) = vitals.current_trouble(now)?;
        Some(Trouble {
            of: of.to_owned(),
            for_s: Some(lasts.as_secs()),
            text,
        })
    });
    let of_spool = match &stats.place {
        Destination::Card => None,
        Destination::Making => Some(
            "the spool's file is being made; until then a power cut loses what waits".to_owned(),
        ),
        Destination::Memory(why) => Some(format!(
            "the spool runs from memory: a power cut loses what waits ({why})"
        )),
    };
    let of_spool = of_spool.map(|text| Trouble {
        of: "spool".to_owned(),
        for_s: None,
        text,
    });
    of_threads.chain(of_spool).collect()
}

/// CLOCK_BOOTTIME in ms: nobody sets it, and it is the same for all processes.
fn since_boot_ms() -> u64 {
    let time = Duration::try_from(clock_gettime(ClockId::Boottime)).unwrap_or_default();
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
