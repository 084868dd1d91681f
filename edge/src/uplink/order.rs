//! Strict order (`--ordered`): each PutRecord names the sequence number that the record before it with the same partition key got.

use std::hash::{DefaultHasher, Hash, Hasher};

use heapless::HistoryBuf;

use crate::aws::kinesis::outcome::SequenceNumber;

/// Keys that are remembered. One that was not seen among so many records gets its order from its place in time alone.
const REMEMBERED: usize = 128;

/// The newest sequence numbers, by partition key.
#[derive(Debug, Default)]
pub struct Order {
    newest: HistoryBuf<(u64, SequenceNumber), REMEMBERED>,
    /// The key of the record in flight; `None` where order is not asked for.
    current: Option<u64>,
}

impl Order {
    /// The next call carries one record with this partition key.
    pub fn follow(&mut self, partition_key: &str) {
        let mut hasher = DefaultHasher::new();
        partition_key.hash(&mut hasher);
        self.current = Some(hasher.finish());
    }

    /// The next call carries no post.
    pub fn stand_aside(&mut self) {
        self.current = None;
    }

    /// The sequence number that the record in flight comes after; empty if there is none.
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

    /// The number that the record in flight would name is not known to Kinesis: it names none.
    pub fn forget(&mut self) {
        self.newest = HistoryBuf::new();
    }

    /// The record in flight got this number.
    pub fn arrived(&mut self, number: SequenceNumber) {
        if let Some(current) = self.current.take() {
            self.newest.write((current, number));
        }
    }
}

#[cfg(test)]
mod tests;
