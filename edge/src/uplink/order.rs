//! Strict order (`--ordered`): each PutRecord names, as its `SequenceNumberForOrdering`, the sequence number of the previous record with the same
//! partition key (Kinesis API reference, "PutRecord").

use std::hash::{DefaultHasher, Hash, Hasher};

use heapless::HistoryBuf;

use crate::aws::kinesis::outcome::SequenceNumber;

/// How many records are remembered. A key that none of them had names no sequence number: its records are ordered by the time of their calls.
const REMEMBERED: usize = 128;

/// The newest sequence numbers, by the hash of the partition key.
#[derive(Debug, Default)]
pub struct Order {
    newest: HistoryBuf<(u64, SequenceNumber), REMEMBERED>,
    /// The hash of the key of the record in flight; `None` without strict order.
    current: Option<u64>,
}

impl Order {
    /// Notes that the next call carries one record with this partition key.
    pub fn follow(&mut self, partition_key: &str) {
        let mut hasher = DefaultHasher::new();
        partition_key.hash(&mut hasher);
        self.current = Some(hasher.finish());
    }

    /// Notes that the next call carries no post.
    pub fn stand_aside(&mut self) {
        self.current = None;
    }

    /// The sequence number that the record in flight names; empty if none is known.
    pub fn after(&self) -> &str {
        let Some(current) = self.current else {
            return "";
        };
        let newest_first = self.newest.oldest_ordered().rev();
        newest_first
            .into_iter()
            .find(|(key, _)| *key == current)
            .map_or("", |(_, number)| number)
    }

    /// Forgets all numbers: Kinesis rejected the one that was named.
    pub fn forget(&mut self) {
        self.newest = HistoryBuf::new();
    }

    /// Remembers the sequence number of the record in flight.
    pub fn arrived(&mut self, number: SequenceNumber) {
        if let Some(current) = self.current.take() {
            self.newest.write((current, number));
        }
    }
}

#[cfg(test)]
mod tests;
