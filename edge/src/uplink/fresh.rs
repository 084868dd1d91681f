//! Fresh posts first (`--fresh-first`): after an outage, half of each call carries what was read since the network came back, the other half the
//! backlog from its oldest on. Where one has less to give, the other has the rest.
//!
//! What is fresh is the spool's to know, so that a restart sends none of it again: all from the beginning of its newest [`Run`] on. The run begins
//! with the first post that was read after the network came back, and ends when the backlog before it is through. If the network goes and comes
//! back meanwhile, the next run begins where posts have piled up since, as far as the spool can note one more; if not, the one in progress goes on.

use crate::aws::kinesis::MAX_RECORDS;
use crate::spool::{Run, Seq};
use crate::uplink::queue::Queue;
use crate::uplink::window::Window;

/// Fewer fresh posts than this go with the next call or two: no new run is begun for the sake of the next ones.
const PILED_UP: u64 = MAX_RECORDS as u64;

/// What is remembered of fresh posts.
#[derive(Debug)]
pub struct Fresh {
    /// The user wants them first.
    is_wanted: bool,
    /// No call has got through since one broke, or since the start where that finds no run in progress: what waits is backlog.
    was_out: bool,
    /// Records from here on are fresh; all are backlog if this is the end of numbers.
    from: Seq,
    /// The fresh ones that were read and wait.
    pub window: Window,
    /// Half of the call is being filled.
    pub is_half: bool,
}

impl Default for Fresh {
    /// Fresh posts are not wanted first.
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
    /// Before the first call.
    pub fn new(is_wanted: bool, queue: &impl Queue) -> Self {
        Self {
            is_wanted,
            was_out: queue.newest_run().is_none(),
            ..Self::default()
        }
    }

    /// The first record that is fresh.
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

    /// The network broke a call.
    pub fn broke(&mut self) {
        self.was_out = true;
    }

    /// Records were delivered, and let go of: if they are the first since an outage, what comes from now on is fresh. True if it is, and the next
    /// call is to be filled anew.
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
            // What holds it up is backlog from now on.
            run = queue.newest_run();
        }
        let from = run.map_or(Seq::MAX, |run| run.from);
        if from != self.from {
            // Those that waited are read again where they belong now.
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
