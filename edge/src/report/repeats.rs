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
mod tests {
    use super::*;

    /// What is said when these lines come, each at its second.
    fn said<'a>(lines: impl IntoIterator<Item = (u64, &'a str)>, end: u64) -> Vec<String> {
        let mut repeats = Repeats::default();
        let mut said = Vec::new();
        for (second, line) in lines {
            let now = Duration::from_secs(second);
            let mut sums = Vec::new();
            let new = repeats.is_new(Level::Warn, line, now, |_, sum| sums.push(sum.to_owned()));
            said.extend(sums);
            if new {
                said.push(line.to_owned());
            }
        }
        repeats.sum_up(Duration::from_secs(end), true, |_, sum| {
            said.push(sum.to_owned());
        });
        said
    }

    #[test]
    fn an_hours_outage_is_eight_lines_and_not_a_thousand() {
        let lines: Vec<_> = (0..1200)
            .map(|attempt| {
                (
                    attempt * 3,
                    format!("cannot be reached; again in {attempt}.5s"),
                )
            })
            .collect();
        let said = said(
            lines.iter().map(|(second, line)| (*second, line.as_str())),
            3600,
        );
        assert_eq!(said.len(), 8, "{said:#?}");
        assert_eq!(said[0], "cannot be reached; again in 0.5s");
        assert_eq!(
            said[1],
            "19 times more in 60 s: cannot be reached; again in 19.5s"
        );
        assert!(
            said[2].starts_with("200 times more in 10 min: "),
            "{said:#?}"
        );
    }

    #[test]
    fn what_is_over_and_comes_again_later_is_said_anew() {
        let said = said([(0, "it broke"), (61, "it broke"), (200, "it broke")], 201);
        assert_eq!(said, ["it broke", "it broke", "it broke"]);
    }

    #[test]
    fn events_with_other_words_do_not_wait_for_each_other() {
        let lines = ["a broke 1", "b broke 1", "a broke 2", "b broke 2"];
        let said = said((0..).zip(lines), 10);
        let sums = [
            "once more in 10 s: a broke 2",
            "once more in 9 s: b broke 2",
        ];
        assert_eq!(said[..2], lines[..2]);
        assert_eq!(said[2..], sums);
    }

    #[test]
    fn figures_with_their_units_do_not_make_another_event() {
        for (one, other) in [
            ("again in 250.0ms", "again in 1.5s"),
            ("after 7 s", "after 8 s"),
            ("in 0ns", "in 320s"),
        ] {
            assert_eq!(
                kind(Level::Info, one),
                kind(Level::Info, other),
                "{one}, {other}"
            );
        }
        assert_ne!(kind(Level::Info, "a"), kind(Level::Warn, "a"));
    }

    #[test]
    fn many_kinds_of_events_take_bounded_memory_and_none_goes_unsaid() {
        let lines: Vec<_> = (0..100u8)
            .map(|n| String::from(char::from(b'A' + n % 26)).repeat(1 + usize::from(n / 26)))
            .collect();
        let said = said(lines.iter().map(|line| (0, line.as_str())), 1);
        assert_eq!(said, lines);
    }
}
