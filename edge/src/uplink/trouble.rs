//! When the user hears of trouble: when it begins, when it changes, every ten minutes while it lasts, and
//! when it is over. What they hear stands in [`explain`].

use std::time::Duration;

use super::explain::{self, Place};
use crate::aws::credentials::Provider;
use crate::kinesis::outcome::{Class, Problem};
use crate::time::Clock;

/// Trouble that lasts is said again after this.
const AGAIN: Duration = Duration::from_secs(10 * 60);

/// Trouble that was over sooner than this, and heals by itself, is not worth a line.
const UNSAID: Duration = Duration::from_secs(2);

/// The trouble of the moment.
#[derive(Debug, Default)]
pub struct Trouble {
    current: Option<Current>,
}

#[derive(Debug)]
struct Current {
    code: String,
    since: Duration,
    said: Option<Duration>,
}

impl Trouble {
    /// There is trouble, new or the same as before, of this class.
    pub fn say(
        &mut self,
        class: Class,
        problem: &Problem,
        place: &Place,
        provider: &Provider,
        clock: &dyn Clock,
    ) {
        let now = clock.elapsed();
        if self
            .current
            .as_ref()
            .is_none_or(|current| current.code != problem.code)
        {
            let since = self.current.take().map_or(now, |current| current.since);
            self.current = Some(Current {
                code: problem.code.clone(),
                since,
                said: None,
            });
        }
        let Some(current) = &mut self.current else {
            return;
        };
        let heals = class == Class::Retry;
        let due = match current.said {
            None => !heals || problem.code == explain::UNREACHABLE || now - current.since >= UNSAID,
            Some(said) => now - said >= AGAIN,
        };
        if due {
            current.said = Some(now);
            let text = explain::explain(class, problem, place, provider);
            if heals {
                log::warn!("{text}")
            } else {
                log::error!("{text}")
            }
        }
    }

    /// Something arrived.
    pub fn over(&mut self, clock: &dyn Clock) {
        if let Some(current) = self.current.take()
            && current.said.is_some()
        {
            log::info!(
                "posts arrive again, after {} s",
                (clock.elapsed() - current.since).as_secs()
            );
        }
    }
}
