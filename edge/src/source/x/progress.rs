//! The state that the stream's thread shares with the one that fills its gaps: the [`Place`], the [`Budget`], and whether the stream is open. Posts
//! are passed on while it is locked, so that positions reach the spool in order.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use crate::platform::time::unix_ms;
use crate::post::record::Record;
use crate::source::x::budget::Budget;
use crate::source::x::gap::{Gap, Place};
use crate::source::x::ids;
use crate::source::x::message::Post;
use crate::source::x::search;
use crate::source::x::settings::Settings;
use crate::source::{AHEAD, Feed, Stopped};

/// The `Date` of X's responses has whole seconds.
const SECOND_MS: u64 = 1_000;

/// How often the place is written to the card. A healthy board writes nothing there, and after a power cut it would continue from the last place on
/// the card: all posts since would be fetched, and billed, again.
const KEPT_EVERY: Duration = Duration::from_secs(6 * 60 * 60);

/// How often a gap that cannot be searched yet is checked.
const LOOK: Duration = Duration::from_millis(250);

/// The shared state, behind its lock.
#[derive(Debug)]
pub struct Progress<'a> {
    feed: &'a Feed,
    /// Whether gaps are noted and filled (not `--no-gap-fill`).
    fills: bool,
    /// How long after it was written the search finds a post.
    search_delay: Duration,
    state: Mutex<State>,
    changed: Condvar,
}

/// The state that the threads share.
#[derive(Debug)]
pub struct State {
    /// How far posts were read, and the gaps.
    pub place: Place,
    /// How many posts may still be read today.
    pub budget: Budget,
    /// X's id of the rule, if known.
    pub rule_id: Option<String>,
    stream: Option<Stream>,
    ended: bool,
    /// When the place is next written to the card, by the program's clock.
    keep_at: Duration,
}

/// The open stream.
#[derive(Clone, Copy, Debug)]
struct Stream {
    opened: Duration,
    /// X's time at that moment, in ms since 1970.
    opened_ms: Option<u64>,
    /// Whether the gap before it is noted.
    is_noted: bool,
}

/// What the thread that fills gaps has to do.
#[derive(Debug)]
pub enum Work {
    /// Write the place to the card.
    Keep,
    /// Fetch this many posts of a gap.
    Page(Gap, u64),
    /// Give a gap up, because one page exceeds the day's limit.
    TooDear(Gap),
    /// End.
    End,
}

impl<'a> Progress<'a> {
    /// Continues where an earlier run ended.
    pub fn new(settings: &Settings, feed: &'a Feed) -> Self {
        let position = feed.position();
        let place = Place::at(&position, &settings.rule());
        let progress = Self {
            feed,
            fills: settings.gap_at_most.is_some(),
            search_delay: settings.search_delay,
            state: Mutex::new(State {
                place,
                budget: Budget::new(settings.max_per_day, feed),
                rule_id: None,
                stream: None,
                ended: false,
                keep_at: feed.clock.elapsed() + KEPT_EVERY,
            }),
            changed: Condvar::new(),
        };
        progress.count(&progress.lock());
        progress
    }

    /// Locks the state. Hold it only briefly.
    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that the stream was opened, at the time `date` by X's clock.
    pub fn opened(&self, date: Option<SystemTime>) {
        self.lock().stream = Some(Stream {
            opened: self.feed.clock.elapsed(),
            opened_ms: date.map(unix_ms),
            is_noted: !self.fills,
        });
        self.changed.notify_all();
    }

    /// Notes that the stream is closed. Gaps are not filled until it is open again.
    pub fn closed(&self) {
        self.lock().stream = None;
    }

    /// Ends the thread that fills gaps.
    pub fn end(&self) {
        self.lock().ended = true;
        self.changed.notify_all();
    }

    /// Handles a keep-alive. If the stream brings no post for long, this sets the end of the gap before it.
    pub fn quiet(&self) {
        let mut state = self.lock();
        self.keep(&state);
        let now = self.feed.clock.elapsed();
        let Some(stream) = state.stream.filter(|stream| !stream.is_noted) else {
            return;
        };
        if let Some(opened_ms) = stream.opened_ms
            && now.saturating_sub(stream.opened) >= self.search_delay
        {
            self.note(&mut state, ids::first_at(opened_ms + SECOND_MS));
        }
    }

    /// Takes a post of the stream, and passes its line on if it is `wanted`. True if the day's posts are used up.
    ///
    /// # Errors
    /// If the program is ending.
    pub fn take(&self, post: &Post<'_>, line: &[u8], wanted: bool) -> Result<bool, Stopped> {
        // The other thread may hold the lock while it waits for a full spool.
        self.feed.counters.source.waits();
        let mut state = self.lock();
        self.feed.alive();
        // Every post is billed, wanted or not.
        let is_last = state.budget.spend(self.feed);
        if state.place.is_new() {
            // After a power cut before the place is on the card, nothing would show that posts were missed.
            state.keep_at = self.feed.clock.elapsed();
        }
        if let Some(id) = post.id() {
            self.feed.happened(ids::time_ms(id));
            self.come_to(&mut state, id);
        }
        if is_last {
            state.place.pause();
        }
        if wanted {
            let position = self.position(&state);
            put(self.feed, post, line, &position, Feed::put)?;
        } else {
            self.feed.counters.filtered.add(1);
        }
        self.keep(&state);
        Ok(is_last)
    }

    /// Notes that a post is read, and the gap before it, if there is one.
    fn come_to(&self, state: &mut State, id: u64) {
        let known_ms = state.stream.and_then(|stream| stream.opened_ms);
        if known_ms.is_some()
            && ids::time_ms(id) > self.now_ms_with(state) + AHEAD.as_millis() as u64
        {
            // The id is wrong. With it, all later gaps would seem to be read.
            return;
        }
        if let Some(stream) = state.stream.filter(|stream| !stream.is_noted)
            && (state.place.is_behind(id) || state.place.is_new())
        {
            // X may first send posts from before the stream was open. The posts between are missing.
            let opened = stream.opened_ms.map(|ms| ids::first_at(ms + SECOND_MS));
            self.note(state, id.max(opened.unwrap_or_default()));
        }
        state.place.read(id);
    }

    fn note(&self, state: &mut State, until: u64) {
        state.place.note(until);
        if let Some(stream) = &mut state.stream {
            stream.is_noted = true;
        }
        self.count(state);
        self.changed.notify_all();
    }

    /// Takes a post of `gap`, whose later posts are all stored. Closes the gap if the post `is_last`.
    ///
    /// # Errors
    /// If the program is ending.
    pub fn take_late(
        &self,
        post: &Post<'_>,
        line: &[u8],
        gap: Gap,
        is_last: bool,
    ) -> Result<(), Stopped> {
        let mut state = self.lock();
        if is_last {
            state.place.close(gap.after);
        } else if let Some(id) = post.id() {
            state.place.filled_down_to(gap.after, id);
        }
        self.count(&state);
        self.feed.counters.late.add(1);
        let position = self.position(&state);
        put(self.feed, post, line, &position, Feed::append)
    }

    /// Closes `gap`: all its posts were fetched, or cannot be.
    pub fn close(&self, gap: Gap) {
        let mut state = self.lock();
        state.place.close(gap.after);
        self.count(&state);
    }

    /// Gives up the posts of the oldest gap that were written before `ms` since 1970, and logs it. True if there were any.
    pub fn give_up_before(&self, ms: u64) -> bool {
        let mut state = self.lock();
        let missed = state.place.give_up_below(ids::first_at(ms));
        self.count(&state);
        drop(state);
        if let Some(missed) = missed {
            let why = "they are older than the search reaches, or than --gap-at-most allows";
            self.feed.missed(missed.times_ms(), why);
        }
        missed.is_some()
    }

    /// X's time, in ms since 1970.
    pub fn now_ms(&self) -> u64 {
        self.now_ms_with(&self.lock())
    }

    fn now_ms_with(&self, state: &State) -> u64 {
        let stream = state.stream.and_then(|stream| {
            let since = self.feed.clock.elapsed().saturating_sub(stream.opened);
            Some(stream.opened_ms? + u64::try_from(since.as_millis()).ok()?)
        });
        stream.unwrap_or_else(|| self.feed.now_ms())
    }

    /// Waits for something to do. Pages are not fetched before `not_before`, by the program's clock.
    pub fn work(&self, not_before: Duration) -> Work {
        let mut state = self.lock();
        let mut said_dear = false;
        loop {
            let now = self.feed.clock.elapsed();
            if state.ended {
                return Work::End;
            }
            if now >= state.keep_at {
                state.keep_at = now + KEPT_EVERY;
                return Work::Keep;
            }
            let gap = state.place.gap().filter(|_| state.stream.is_some());
            let Some(gap) = gap else {
                state = self
                    .changed
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let found_ms = gap.times_ms().1 + self.search_delay.as_millis() as u64;
            if now >= not_before && self.now_ms_with(&state) >= found_ms {
                if state.budget.is_too_small(search::MIN_PAGE) {
                    return Work::TooDear(gap);
                }
                match state.budget.room_for_gap(search::MIN_PAGE, self.feed) {
                    Ok(room) => {
                        let size = room.min(search::MAX_PAGE);
                        state.budget.reserve(size, self.feed);
                        return Work::Page(gap, size);
                    }
                    Err(left) if !std::mem::replace(&mut said_dear, true) => log::info!(
                        "half of today's posts are read (--max-per-day), and the other half is kept for the live stream: \
                         posts that it missed are fetched from 00:00 UTC on, in {} h {} min",
                        left.as_secs() / 3600,
                        left.as_secs() / 60 % 60
                    ),
                    Err(_) => {}
                }
            }
            state = self
                .changed
                .wait_timeout(state, LOOK)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    fn position(&self, state: &State) -> heapless::String<{ super::gap::MAX_POSITION_BYTES }> {
        if self.fills {
            state.place.position()
        } else {
            heapless::String::new()
        }
    }

    /// Wakes the other thread if the place is due to be written to the card.
    fn keep(&self, state: &State) {
        if self.fills && self.feed.clock.elapsed() >= state.keep_at {
            self.changed.notify_all();
        }
    }

    fn count(&self, state: &State) {
        let gaps = i64::try_from(state.place.gaps()).unwrap_or(i64::MAX);
        self.feed.counters.open_gaps.set(gaps);
    }
}

/// Passes one post on: its line as received, with its partition key.
fn put(
    feed: &Feed,
    post: &Post<'_>,
    line: &[u8],
    position: &str,
    hand_over: impl Fn(&Feed, Record<'_>, &[u8], &str) -> Result<(), Stopped>,
) -> Result<(), Stopped> {
    match Record::new(post.partition_key(), line, feed.max_record_bytes) {
        Ok(record) if feed.echo => hand_over(feed, record, position.as_bytes(), &post.text()),
        Ok(record) => hand_over(feed, record, position.as_bytes(), ""),
        Err(unfit) => {
            feed.unusable("a post", unfit);
            Ok(())
        }
    }
}
