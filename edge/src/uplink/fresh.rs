//! Fresh posts first (`--fresh-first`): after an outage, half of each call carries posts that were read since the network returned, the other half
//! the backlog, oldest first. If one of the two does not fill its half, the other takes the rest.
//!
//! The spool keeps what is fresh, so that a restart sends none of it again: all records from the beginning of the newest [`Run`] on. A run begins
//! with the first post that was read after the network returned, and ends when the backlog before it is delivered. If the network fails and
//! returns meanwhile, a new run begins where posts have piled up since, unless the spool has too many runs: then the one in progress continues.

use crate::aws::kinesis::MAX_RECORDS;
use crate::spool::{Run, Seq};
use crate::uplink::queue::Queue;
use crate::uplink::window::Window;

/// No new run begins for fewer fresh posts than this: they go with the next call or two anyway.
const PILED_UP: u64 = MAX_RECORDS as u64;

/// Which posts are fresh, and which of those wait.
#[derive(Debug)]
pub struct Fresh {
    /// Whether `--fresh-first` is set.
    is_wanted: bool,
    /// Whether no call has succeeded since one broke, or since a start without a run in progress: all that waits is backlog.
    was_out: bool,
    /// Records from here on are fresh; with `Seq::MAX` all are backlog.
    from: Seq,
    /// The fresh records that were read and have to wait.
    pub window: Window,
    /// Whether the fresh half of a call is being filled.
    pub is_half: bool,
}

impl Default for Fresh {
    fn default() -> Self {
        Self {
            is_wanted: false,
            was_out: false,
            from: Seq::MAX,
            window: Window::default(),
            is_half: false,
        }
    }
}

impl Fresh {
    /// The state before the first call.
    pub fn new(is_wanted: bool, queue: &impl Queue) -> Self {
        Self {
            is_wanted,
            was_out: queue.newest_run().is_none(),
            ..Self::default()
        }
    }

    /// The first fresh record; `Seq::MAX` if none is.
    pub fn from(&self) -> Seq {
        self.from
    }

    /// The window where record `seq` may wait: that of fresh posts, or `backlog`.
    pub fn window_of<'a>(&'a mut self, seq: Seq, backlog: &'a mut Window) -> &'a mut Window {
        match seq >= self.from {
            true => &mut self.window,
            false => backlog,
        }
    }

    /// Notes that the network broke a call.
    pub fn broke(&mut self) {
        self.was_out = true;
    }

    /// Records were acknowledged. If they are the first since an outage, posts that come from now on are fresh: returns true, and the next call is
    /// to be filled again.
    pub fn begins(&mut self, queue: &impl Queue) -> bool {
        if !std::mem::take(&mut self.was_out) || !self.is_wanted {
            return false;
        }
        let next = queue.next();
        let goes_on = queue
            .newest_run()
            .is_some_and(|run| next - run.to <= PILED_UP);
        !goes_on && queue.begin_run(next)
    }

    /// The run in progress, if fresh posts go first now.
    pub fn turn(&mut self, queue: &impl Queue) -> Option<Run> {
        let mut run = queue.newest_run().filter(|_| self.is_wanted);
        if let Some(full) = run
            && full.from == self.from
            && self.window.end() >= full.reach
            && queue.begin_run(full.reach)
        {
            // The records that the full run waits for are backlog from now on.
            run = queue.newest_run();
        }
        let from = run.map_or(Seq::MAX, |run| run.from);
        if from != self.from {
            // The records that waited are read again, as fresh or as backlog.
            self.from = from;
            self.window = Window::default();
        }
        if let Some(run) = run {
            self.window.forget_below(run.to);
        }
        run
    }
}

#[cfg(test)]
mod tests;
