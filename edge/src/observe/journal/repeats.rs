//! An event that repeats is said once and then summed up: after a minute, then every ten.
//!
//! Two lines are the same event when they differ only in their figures: "connecting again in 1.5s" and "connecting again in 2.0s".

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use log::Level;

/// An event that did not come again for this long is new when it does.
const FIRST: Duration = Duration::from_secs(60);

/// One that keeps coming is summed up as often as this.
const AGAIN: Duration = Duration::from_secs(10 * 60);

/// Events that are remembered; a new one pushes out the oldest.
const MAX_EVENTS: usize = 16;

/// What was said lately.
#[derive(Debug, Default)]
pub struct Repeats {
    events: heapless::Vec<Event, MAX_EVENTS>,
}

#[derive(Debug)]
struct Event {
    kind: u64,
    level: Level,
    /// As it came last.
    line: String,
    said: Duration,
    quiet_for: Duration,
    /// How often it came since it was said.
    times: u32,
}

impl Repeats {
    /// Whether `line` is to be said; if not, it is counted. An event that must be forgotten for it is summed up by `say`.
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
        // There is room now.
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

    /// Says how often each event was repeated whose time for that has come, or each at the `end`.
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

/// What is the same for all lines of one event: its words without the figures.
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
