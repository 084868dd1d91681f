//! What the loop reports and keeps: messages, counters, and facts for the next start.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use log::Level;

use crate::aws::clock::ServerClock;
use crate::aws::kinesis::Class;
use crate::aws::kinesis::outcome::Problem;
use crate::platform::time::since_1970;
use crate::platform::today::Today;
use crate::uplink::deliver::Uplink;
use crate::uplink::explain;
use crate::uplink::flight::Flight;

/// The fact that holds how far the board's clock is off.
const OFFSET: &str = "clock.offset_ms";

/// The fact that holds the bytes sent today.
const SENT_TODAY: &str = "uplink.today";

impl Uplink {
    pub(super) fn sent_today(&self) -> Today {
        self.facts.get(SENT_TODAY).unwrap_or_default()
    }

    pub(super) fn remembered_time(&self) -> ServerClock {
        let offset_ms = self.facts.get(OFFSET).unwrap_or_default();
        let time = ServerClock::remembered(offset_ms, self.clock.wall());
        self.counters.clock_offset_ms.set(time.offset_ms());
        time
    }

    /// Learns the server's time from a response's `date`. True if that changed what was known.
    pub(super) fn learn_time(
        &self,
        flight: &mut Flight,
        sent: SystemTime,
        date: Option<SystemTime>,
    ) -> bool {
        let changed = date.is_some_and(|date| flight.time.observe(sent, self.clock.wall(), date));
        if changed {
            self.remember_time(flight.time);
            log::warn!("{}", explain::of_clock(flight.time));
        }
        changed
    }

    pub(super) fn remember_time(&self, time: ServerClock) {
        self.facts.set(OFFSET, time.offset_ms());
        self.counters.clock_offset_ms.set(time.offset_ms());
    }

    pub(super) fn say(&self, class: Class, problem: &Problem) {
        let level = if matches!(class, Class::Retry | Class::Throttled) {
            Level::Warn
        } else {
            Level::Error
        };
        let text = explain::explain(class, problem, &self.target, self.keychain.provider());
        // It may end soon, but the user should hear of it at once.
        let is_news = problem.code == explain::UNREACHABLE;
        let now = self.clock.elapsed();
        self.counters.uplink.trouble(level, is_news, &text, now);
    }

    pub(super) fn count_delivered(&self, count: usize) {
        self.counters.delivered.add(count as u64);
        if count > 0 {
            self.counters.last_delivered.set(self.clock.elapsed());
        }
    }

    pub(super) fn spent(&self, flight: &mut Flight, traffic: u64) {
        self.counters.bytes_sent.add(traffic);
        let bytes = usize::try_from(traffic).unwrap_or(usize::MAX);
        flight.pace.spent(self.clock.wall(), bytes);
        self.counters
            .bytes_sent_today
            .set(flight.pace.today().count as i64);
        if self.flow.limits.per_day.is_some() {
            self.facts.set(SENT_TODAY, flight.pace.today());
        }
    }

    pub(super) fn tell_expiry(&self, credentials: &Credentials) {
        let expiry = credentials.expiry().map(since_1970);
        let expiry_s = expiry.and_then(|expiry| i64::try_from(expiry.as_secs()).ok());
        self.counters
            .credentials_expiry_s
            .set(expiry_s.unwrap_or_default());
    }

    pub(super) fn alive(&self, at_most: Duration) {
        let now = self.clock.elapsed();
        self.counters.uplink.alive(now, at_most);
    }
}
