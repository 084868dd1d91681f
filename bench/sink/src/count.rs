//! What came in, the shard's limits, and the gate before the answers.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Instant;

use rustix::time::{ClockId, clock_gettime};
use testkit::shards::{Limits, Shards};

use crate::kinesis::Record;

/// Counts since the last report. Times are those of CLOCK_MONOTONIC, in nanoseconds.
#[derive(Default)]
pub struct Counts {
    connections: AtomicU64,
    calls: AtomicU64,
    records: AtomicU64,
    posts: AtomicU64,
    read: AtomicU64,
    written: AtomicU64,
    first_ns: AtomicU64,
    last_ns: AtomicU64,
    held: Mutex<bool>,
    opened: Condvar,
    /// The shard, if it has limits, and since when.
    limited: Mutex<Option<(Shards, Instant)>>,
}

impl Counts {
    /// One connection more.
    pub fn connected(&self) {
        self.connections.fetch_add(1, Relaxed);
    }

    /// A request with these records was read: which of them are taken. Only those are counted.
    pub fn arrived(&self, records: &[Record]) -> Vec<bool> {
        let now = clock_gettime(ClockId::Monotonic);
        let now = now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64;
        let taken = self.offer(records);
        self.calls.fetch_add(1, Relaxed);
        for (record, _) in records.iter().zip(&taken).filter(|(_, taken)| **taken) {
            self.records.fetch_add(1, Relaxed);
            self.posts.fetch_add(record.posts, Relaxed);
            let _ = self.first_ns.compare_exchange(0, now, Relaxed, Relaxed);
            self.last_ns.store(now, Relaxed);
        }
        taken
    }

    fn offer(&self, records: &[Record]) -> Vec<bool> {
        let mut limited = self.limited.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((shards, since)) = &mut *limited else {
            return vec![true; records.len()];
        };
        let now = since.elapsed();
        let offers = records.iter();
        offers
            .map(|record| shards.offer(0, now, record.bytes))
            .collect()
    }

    /// Has one shard's limits from now on, or none.
    pub fn limit(&self, limited: bool) {
        let shard = || (Shards::new(&[Limits::default()]), Instant::now());
        *self.limited.lock().unwrap_or_else(PoisonError::into_inner) = limited.then(shard);
    }

    /// Answers wait, or no longer.
    pub fn hold(&self, held: bool) {
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = held;
        self.opened.notify_all();
    }

    /// Returns when answers may go out.
    pub fn wait_until_open(&self) {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.opened.wait_while(held, |held| *held));
    }

    /// What came since the last report, as JSON; counting begins anew.
    pub fn report(&self) -> String {
        let fields = [
            ("connections", &self.connections),
            ("calls", &self.calls),
            ("records", &self.records),
            ("posts", &self.posts),
            ("read", &self.read),
            ("written", &self.written),
            ("first_ns", &self.first_ns),
            ("last_ns", &self.last_ns),
        ];
        let fields = fields.map(|(name, count)| format!("\"{name}\":{}", count.swap(0, Relaxed)));
        format!("{{{}}}", fields.join(","))
    }
}

/// A connection whose bytes are counted as they are on the wire: encrypted, without the headers of TCP and IP.
pub struct Counted {
    inner: TcpStream,
    counts: Arc<Counts>,
}

impl Counted {
    /// Counts what passes through `inner` from now on.
    pub fn new(inner: TcpStream, counts: Arc<Counts>) -> Self {
        Self { inner, counts }
    }
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.counts.read.fetch_add(read as u64, Relaxed);
        Ok(read)
    }
}

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.counts.written.fetch_add(written as u64, Relaxed);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
