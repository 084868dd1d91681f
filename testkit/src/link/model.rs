//! What a link does to bytes, as arithmetic: a queue in front of a bottleneck, and what loss costs. Time is passed in, counted from any moment.

use std::collections::VecDeque;
use std::time::Duration;

/// What a segment of TCP carries over Ethernet, in bytes.
pub const SEGMENT_BYTES: usize = 1_448;

/// The least that TCP waits beyond a round trip before it sends a segment again (Linux: TCP_RTO_MIN).
const RTO_MARGIN: Duration = Duration::from_millis(200);

/// One direction of a link: a first-in-first-out queue of limited size, emptied at a fixed rate. All connections share it.
#[derive(Clone, Debug)]
pub struct Bottleneck {
    rate: Option<u64>,
    buffer_bytes: usize,
    /// When the last byte accepted so far will have left.
    free_at: Duration,
    /// What waits: when each piece will have left, and its size.
    waiting: VecDeque<(Duration, usize)>,
    waiting_bytes: usize,
}

impl Bottleneck {
    /// An empty queue of `buffer_bytes` that `rate` bytes leave a second; without a rate, all leave at once.
    pub fn new(rate: Option<u64>, buffer_bytes: usize) -> Self {
        Self {
            rate,
            buffer_bytes,
            free_at: Duration::ZERO,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
        }
    }

    /// How many bytes the queue takes now.
    pub fn room(&mut self, now: Duration) -> usize {
        while let Some(&(left_at, bytes)) = self.waiting.front()
            && left_at <= now
        {
            self.waiting.pop_front();
            self.waiting_bytes -= bytes;
        }
        self.buffer_bytes.saturating_sub(self.waiting_bytes)
    }

    /// When the next piece leaves, and so makes room; `None` if nothing waits.
    pub fn room_at(&self) -> Option<Duration> {
        self.waiting.front().map(|&(left_at, _)| left_at)
    }

    /// Takes `bytes`, for which there is room: when the last of them will have left.
    pub fn take(&mut self, now: Duration, bytes: usize) -> Duration {
        let Some(rate) = self.rate else { return now };
        self.free_at = self.free_at.max(now) + time_for(bytes, rate as f64);
        self.waiting.push_back((self.free_at, bytes));
        self.waiting_bytes += bytes;
        self.free_at
    }
}

/// What loss does to one direction of one connection, as an application sees it: TCP repairs it, so bytes come late, never wrong. Each
/// lost segment stops the direction for a retransmission timeout and halves its rate, which then grows by a segment a round trip.
#[derive(Clone, Debug)]
pub struct Congestion {
    /// The share of segments lost.
    loss: f64,
    round_trip: Duration,
    /// Bytes a second the link has, and the connection dares.
    full: f64,
    current: f64,
    /// Until when the rate has grown.
    grown: Duration,
    /// Before that nothing more is sent.
    next_at: Duration,
}

impl Congestion {
    /// For a connection over a link of `rate` bytes a second that loses this share of its segments.
    pub fn new(loss: f64, round_trip: Duration, rate: Option<u64>) -> Self {
        let full = rate.map_or(f64::INFINITY, |rate| rate as f64);
        Self {
            loss,
            round_trip,
            full,
            current: full,
            grown: Duration::ZERO,
            next_at: Duration::ZERO,
        }
    }

    /// When the connection may send more.
    pub fn next_at(&self) -> Duration {
        self.next_at
    }

    /// Sends `bytes` at `now`: when they are on the link at last. `random` gives numbers from 0 to 1.
    pub fn send(
        &mut self,
        now: Duration,
        bytes: usize,
        random: &mut dyn FnMut() -> f64,
    ) -> Duration {
        if self.loss == 0.0 {
            return now;
        }
        self.grow(now);
        let segments = bytes.div_ceil(SEGMENT_BYTES).max(1);
        let mut sent = now;
        for _ in 0..segments {
            if random() < self.loss {
                sent += self.round_trip + RTO_MARGIN;
                // TCP never dares less than a segment a round trip.
                self.current = (self.current.min(1e9) / 2.0).max(self.step());
                self.grown = sent;
            }
        }
        self.next_at = sent + time_for(bytes, self.current);
        sent
    }

    fn grow(&mut self, now: Duration) {
        let round_trips = now.saturating_sub(self.grown).as_secs_f64() / self.seconds();
        self.current = (self.current + self.step() * round_trips).min(self.full);
        self.grown = self.grown.max(now);
    }

    /// A segment a round trip, in bytes a second.
    fn step(&self) -> f64 {
        SEGMENT_BYTES as f64 / self.seconds()
    }

    fn seconds(&self) -> f64 {
        self.round_trip.as_secs_f64().max(1e-3)
    }
}

fn time_for(bytes: usize, rate: f64) -> Duration {
    Duration::from_secs_f64(bytes as f64 / rate)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn bytes_leave_at_the_rate_and_idle_time_is_not_saved_up() {
        // Given a link of 1,000 bytes a second that was idle for ten seconds
        let mut link = Bottleneck::new(Some(1_000), 10_000);
        // When 500 bytes come, and 500 more at once
        let first = link.take(ms(10_000), 500);
        let second = link.take(ms(10_000), 500);
        // Then each takes half a second, one after the other
        assert_eq!((first, second), (ms(10_500), ms(11_000)));
    }

    #[test]
    fn a_full_buffer_takes_no_more_until_a_piece_has_left() {
        // Given a buffer of 1,000 bytes with two pieces in it
        let mut link = Bottleneck::new(Some(1_000), 1_000);
        link.take(ms(0), 600);
        link.take(ms(0), 400);
        // Then there is no room until the first has left, and then as much as it had
        assert_eq!(link.room(ms(599)), 0);
        assert_eq!(link.room_at(), Some(ms(600)));
        assert_eq!(link.room(ms(600)), 600);
        assert_eq!(link.room(ms(1_000)), 1_000);
        assert_eq!(link.room_at(), None);
    }

    #[test]
    fn a_link_without_a_rate_holds_nothing_back() {
        let mut link = Bottleneck::new(None, 10);
        assert_eq!(link.take(ms(5), 1 << 20), ms(5));
        assert_eq!(link.room(ms(5)), 10);
    }

    #[test]
    fn a_lost_segment_costs_a_timeout_and_half_the_rate_which_grows_back() {
        // Given a connection with a round trip of 100 ms at 100 kB/s, one of whose segments is lost
        let mut flow = Congestion::new(0.5, ms(100), Some(100_000));
        let mut draws = [0.4, 0.9, 0.9].into_iter();
        let mut random = || draws.next().unwrap();
        // When it sends 1,000 bytes
        let sent = flow.send(ms(0), 1_000, &mut random);
        // Then they are late by a round trip and 200 ms, and the next ones by what they take at half the rate
        assert_eq!(sent, ms(300));
        assert_eq!(flow.next_at(), ms(320));
        // And ten round trips later the rate is ten segments a round trip higher, at most the link's
        flow.send(ms(300 + 100), 1_000, &mut random);
        assert_eq!(flow.current.round(), 50_000.0 + 14_480.0);
        flow.send(ms(60_000), 1_000, &mut random);
        assert_eq!(flow.current, 100_000.0);
    }

    #[test]
    fn a_connection_that_loses_everything_still_sends_a_segment_a_round_trip() {
        let mut flow = Congestion::new(1.0, ms(100), None);
        for _ in 0..100 {
            flow.send(flow.next_at(), 1, &mut || 0.0);
        }
        assert_eq!(flow.current, 14_480.0);
    }

    #[test]
    fn without_loss_nothing_is_held_up() {
        let mut flow = Congestion::new(0.0, ms(100), Some(1));
        assert_eq!(flow.send(ms(7), 1 << 20, &mut || 0.0), ms(7));
        assert_eq!(flow.next_at(), ms(0));
    }
}
