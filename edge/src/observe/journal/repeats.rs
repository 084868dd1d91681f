//! An event that repeats is logged once and then summed up: after one minute, then every ten.
//!
//! Two lines are the same event if they differ only in their digits: "connecting again in 1.50 s" and "connecting again in 2.00 s".

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use log::Level;

/// An event that was absent for this long counts as new.
const FIRST: Duration = Duration::from_secs(60);

/// Interval of summaries for an event that keeps repeating.
const AGAIN: Duration = Duration::from_secs(10 * 60);

/// Number of events that are remembered. A new one replaces the oldest.
const MAX_EVENTS: usize = 16;

/// The events that were logged lately.
#[derive(Debug, Default)]
pub struct Repeats {
    events: heapless::Vec<Event, MAX_EVENTS>,
}

#[derive(Debug)]
struct Event {
    kind: u64,
    level: Level,
    /// Its newest line.
    line: String,
    said: Duration,
    quiet_for: Duration,
    /// Occurrences since it was logged last.
    times: u32,
}

impl Repeats {
    /// Whether `line` is a new event, to be logged. If not, it is counted. If an older event is forgotten for it, `say` gets that one's summary.
    pub fn is_new(
        &mut self,
        level: Level,
        line: &str,
        now: Duration,
        mut say: impl FnMut(Level, &str),
    ) -> bool {
        self.sum_up(now, false, &mut say);
        let kind = kind(level, line);
        if let Some(known) = self.events.iter_mut().find(|event| event.kind == kind) {
            known.times += 1;
            line.clone_into(&mut known.line);
            return false;
        }
        if self.events.is_full() {
            self.events.remove(0).sum_up(now, &mut say);
        }
        // There is room now: an event was just removed.
        let _ = self.events.push(Event {
            kind,
            level,
            line: line.to_owned(),
            said: now,
            quiet_for: FIRST,
            times: 0,
        });
        true
    }

    /// Passes a summary of each event that is due to `say`; at the `end`, of every event that repeated.
    pub fn sum_up(&mut self, now: Duration, end: bool, mut say: impl FnMut(Level, &str)) {
        self.events.retain_mut(|event| {
            if !end && now.saturating_sub(event.said) < event.quiet_for {
                return true;
            }
            let came_again = event.times > 0;
            event.sum_up(now, &mut say);
            came_again && !end
        });
    }
}

impl Event {
    fn sum_up(&mut self, now: Duration, mut say: impl FnMut(Level, &str)) {
        let span = match now.saturating_sub(self.said).as_secs() {
            seconds @ 0..120 => format!("{seconds} s"),
            seconds => format!("{} min", seconds / 60),
        };
        let line = &self.line;
        match self.times {
            0 => {}
            1 => say(self.level, &format!("once more in {span}: {line}")),
            times => say(self.level, &format!("{times} times more in {span}: {line}")),
        }
        self.said = now;
        self.quiet_for = AGAIN;
        self.times = 0;
    }
}

/// The key of an event: its line without digits.
fn kind(level: Level, line: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    level.hash(&mut hasher);
    let is_part = |c: char| c.is_alphanumeric() || c == '.';
    for word in line.split(|c| !is_part(c)) {
        if !word.contains(|c: char| c.is_ascii_digit()) {
            word.hash(&mut hasher);
        }
    }
    hasher.finish()
}

#[cfg(test)]
mod tests;
