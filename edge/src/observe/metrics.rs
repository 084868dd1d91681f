//! The figures as Prometheus text, for node_exporter's textfile collector. Names follow Prometheus's conventions: base units, and the suffix
//! `_total` for counters.

use std::fmt::Write;

use crate::observe::snapshot::Snapshot;

/// One figure.
#[derive(Debug)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// Its help text.
    pub help: &'static str,
    /// Its value; `None` leaves it out.
    value: fn(&Snapshot) -> Option<f64>,
}

impl Metric {
    /// Its type for Prometheus.
    pub fn kind(&self) -> &'static str {
        if self.name.ends_with("_total") {
            "counter"
        } else {
            "gauge"
        }
    }
}

macro_rules! metrics {
    ($($name:literal $help:literal $value:expr;)*) => {
        /// Every figure of the metrics file.
        pub const METRICS: &[Metric] = &[$(Metric { name: $name, help: $help, value: $value }),*];
    };
}

metrics! {
    "headwater_start_time_seconds" "When the program was started, in seconds since 1970" |s| count(s.taken_s.saturating_sub(s.uptime_s));
    "headwater_read_total" "Records that the source read" |s| count(s.read);
    "headwater_last_read_timestamp_seconds" "When the source read the last record, in seconds since 1970" |s| ago(s, s.last_read_age_s);
    "headwater_filtered_total" "Events that the keyword filter rejected" |s| count(s.filtered);
    "headwater_unusable_total" "Inputs that could not become a record: too long, or not in the source's format" |s| count(s.unusable);
    "headwater_mended_total" "Lines that were repaired to become a record: NUL bytes removed, invalid UTF-8 replaced by U+FFFD" |s| count(s.mended);
    "headwater_gaps_total" "Times that something of the source was gone before it could be read" |s| count(s.gaps);
    "headwater_gap_bytes_total" "Bytes missed that way, as far as known" |s| count(s.gap_bytes);
    "headwater_reconnects_total" "Connections of the source that were lost and opened again" |s| count(s.reconnects);
    "headwater_source_lag_seconds" "Age of the newest post when it was read; absent for lines" |s| s.source_lag_s;
    "headwater_late_total" "Of the records read, those fetched later, to fill a gap" |s| count(s.late);
    "headwater_open_gaps" "Gaps in the source's stream that are still to be filled" |s| count(s.open_gaps);
    "headwater_missed_gaps_total" "Gaps that can no longer be filled" |s| count(s.missed_gaps);
    "headwater_missed_seconds_total" "Total length of those gaps" |s| count(s.missed_s);
    "headwater_delivered_total" "Records that Kinesis acknowledged" |s| count(s.delivered);
    "headwater_last_delivered_timestamp_seconds" "When Kinesis acknowledged the last record, in seconds since 1970" |s| ago(s, s.last_delivered_age_s);
    "headwater_reports_total" "Reports of the board that Kinesis acknowledged" |s| count(s.reports);
    "headwater_impossible_total" "Records that Kinesis can never accept, kept in the dead-letter file" |s| count(s.impossible);
    "headwater_calls_total" "Calls to Kinesis, whatever their outcome" |s| count(s.calls);
    "headwater_retried_total" "Records sent again after any failure" |s| count(s.retried);
    "headwater_throttled_total" "Records that a shard refused because its limit for that second was reached" |s| count(s.throttled);
    "headwater_sent_again_total" "Records sent again because the network broke their call: they may have arrived" |s| count(s.sent_again);
    "headwater_sent_bytes_total" "Bytes sent to Kinesis on the wire" |s| count(s.bytes_sent);
    "headwater_sent_today_bytes" "Bytes sent to Kinesis since midnight UTC, across restarts" |s| count(s.bytes_sent_today);
    "headwater_lanes" "Parts of the stream that are throttled now" |s| count(s.lanes);
    "headwater_spool_waiting_records" "Records that wait for delivery" |s| count(s.waiting_records);
    "headwater_spool_waiting_bytes" "Bytes that the waiting records take" |s| count(s.waiting_bytes);
    "headwater_spool_capacity_bytes" "Bytes that the spool can hold" |s| count(s.capacity_bytes);
    "headwater_spool_oldest_timestamp_seconds" "When the oldest waiting record was read, in seconds since 1970" |s| s.oldest_age_s.and_then(|age| count(s.taken_s.saturating_sub(age)));
    "headwater_spool_dropped_total" "Records dropped because the spool was full" |s| count(s.drops_counted);
    "headwater_spool_drops_taken_back_total" "Of the dropped records, those that turned out to be delivered, or on the card" |s| count(s.drops_taken_back);
    "headwater_spool_media_lost_total" "Records lost with a damaged block of the card, over the spool's whole life" |s| count(s.media_lost);
    "headwater_spool_unsynced_lost_total" "Records lost to a power cut before they were synced, over the spool's whole life" |s| count(s.unsynced_lost);
    "headwater_flash_written_bytes_total" "Bytes written to the card" |s| count(s.flash_bytes);
    "headwater_flash_syncs_total" "Syncs of the card" |s| count(s.syncs);
    "headwater_clock_offset_seconds" "How far the board's clock is behind the server's; 0 while within four minutes" |s| i32::try_from(s.clock_offset_s).ok().map(f64::from);
    "headwater_credentials_expiry_timestamp_seconds" "When the credentials expire, in seconds since 1970; absent if they do not" |s| s.credentials_expiry_s.and_then(count);
    "headwater_source_trouble" "1 while the source is in trouble" |s| trouble(s, "source");
    "headwater_uplink_trouble" "1 while delivery is in trouble" |s| trouble(s, "uplink");
    "headwater_spool_trouble" "1 while the spool keeps nothing on the card" |s| trouble(s, "spool");
}

/// The figures in Prometheus's text format.
pub fn text(snapshot: &Snapshot) -> String {
    let version = &snapshot.about.version;
    let mut text = format!(
        "# HELP headwater_build_info The program's version\n# TYPE headwater_build_info gauge\n\
         headwater_build_info{{version=\"{version}\"}} 1\n"
    );
    for metric in METRICS {
        let Metric { name, help, value } = metric;
        if let Some(value) = value(snapshot) {
            let kind = metric.kind();
            let _ = writeln!(
                text,
                "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}"
            );
        }
    }
    text
}

#[allow(
    clippy::cast_precision_loss,
    clippy::unnecessary_wraps,
    reason = "exact to 2^53; one shape for the table"
)]
fn count(number: u64) -> Option<f64> {
    Some(number as f64)
}

fn ago(snapshot: &Snapshot, age_s: Option<f64>) -> Option<f64> {
    Some(count(snapshot.taken_s)? - age_s?)
}

#[allow(clippy::unnecessary_wraps, reason = "one shape for the table")]
fn trouble(snapshot: &Snapshot, of: &str) -> Option<f64> {
    let is_troubled = snapshot.troubles.iter().any(|trouble| trouble.of == of);
    Some(f64::from(u8::from(is_troubled)))
}

#[cfg(test)]
mod tests;
