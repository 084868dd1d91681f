//! What became of every record: how often each was sent and accepted, and whether its sender could know. Time is passed in.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

/// The counts so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Calls whose body came whole.
    pub calls: u64,
    /// Bytes of their bodies.
    pub body_bytes: u64,
    /// Records in them, each as often as it was sent.
    pub sent: u64,
    /// Different records accepted.
    pub delivered: u64,
    /// Acceptances of a record accepted before.
    pub twice: u64,
    /// Records sent although they were accepted before and their sender had read the answer: it went on with its next call on the same
    /// connection.
    pub needless: u64,
    /// Records refused, each as often as it was.
    pub refused: u64,
    /// Of `delivered`, by shard.
    pub shards: Vec<Taken>,
    /// Of `delivered`, by the access key of the call.
    pub boards: BTreeMap<String, Taken>,
    /// What happened in each second since the start, up to the last in which something did.
    pub seconds: Vec<Second>,
}

/// What happened in one second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Second {
    /// Connections that began.
    pub connections: u64,
    /// Calls whose body came whole.
    pub calls: u64,
    /// Records accepted, for the first time or again.
    pub accepted: u64,
    /// Records refused.
    pub refused: u64,
}

/// What was accepted for the first time, and when.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// How many records.
    pub records: u64,
    /// When the first was accepted.
    pub first: Duration,
    /// When the last was accepted.
    pub last: Duration,
}

/// Every record seen, by a hash of its data.
#[derive(Debug, Default)]
pub struct Ledger {
    counts: Counts,
    fates: HashMap<u64, Fate>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Refused,
    Accepted,
    /// Accepted, and its sender knows.
    Known,
}

impl Ledger {
    /// Nothing seen yet of a stream with so many shards.
    pub fn new(shards: usize) -> Self {
        let counts = Counts {
            shards: vec![Taken::default(); shards],
            ..Counts::default()
        };
        Self {
            counts,
            ..Self::default()
        }
    }

    /// A connection began.
    pub fn connection(&mut self, now: Duration) {
        self.second(now).connections += 1;
    }

    /// A call came, with a body of so many bytes.
    pub fn call(&mut self, body_bytes: usize, now: Duration) {
        self.second(now).calls += 1;
        self.counts.calls += 1;
        self.counts.body_bytes += body_bytes as u64;
    }

    /// A record was sent, and accepted.
    pub fn accept(&mut self, record: u64, shard: usize, board: &str, now: Duration) {
        self.sent(record);
        self.second(now).accepted += 1;
        match self.fates.get(&record) {
            None | Some(Fate::Refused) => {
                self.fates.insert(record, Fate::Accepted);
                self.counts.delivered += 1;
                self.counts.shards[shard].add(now);
                if !self.counts.boards.contains_key(board) {
                    self.counts
                        .boards
                        .insert(board.to_owned(), Taken::default());
                }
                if let Some(taken) = self.counts.boards.get_mut(board) {
                    taken.add(now);
                }
            }
            Some(Fate::Accepted | Fate::Known) => self.counts.twice += 1,
        }
    }

    /// A record was sent, and refused.
    pub fn refuse(&mut self, record: u64, now: Duration) {
        self.sent(record);
        self.second(now).refused += 1;
        self.counts.refused += 1;
        self.fates.entry(record).or_insert(Fate::Refused);
    }

    /// The sender has read the answers to these records, which were accepted.
    pub fn known(&mut self, records: &[u64]) {
        for record in records {
            self.fates.insert(*record, Fate::Known);
        }
    }

    /// The counts so far.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    fn second(&mut self, now: Duration) -> &mut Second {
        let index = now.as_secs() as usize;
        let seconds = &mut self.counts.seconds;
        if seconds.len() <= index {
            seconds.resize(index + 1, Second::default());
        }
        &mut seconds[index]
    }

    fn sent(&mut self, record: u64) {
        self.counts.sent += 1;
        self.counts.needless += u64::from(self.fates.get(&record) == Some(&Fate::Known));
    }
}

impl Counts {
    /// When the last new record was accepted.
    pub fn last(&self) -> Duration {
        self.shards
            .iter()
            .map(|taken| taken.last)
            .max()
            .unwrap_or_default()
    }

    /// How often a record was sent for each that arrived.
    pub fn sent_per_delivered(&self) -> f64 {
        self.sent as f64 / self.delivered as f64
    }
}

impl Taken {
    fn add(&mut self, now: Duration) {
        if self.records == 0 {
            self.first = now;
        }
        self.records += 1;
        self.last = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1);

    #[test]
    fn a_record_sent_again_counts_as_needless_only_if_its_sender_knew() {
        // Given three records accepted, of which the sender knows one
        let mut ledger = Ledger::new(1);
        for record in [1, 2, 3] {
            ledger.accept(record, 0, "board", NOW);
        }
        ledger.known(&[1]);
        // When two of them are sent again
        ledger.accept(1, 0, "board", NOW);
        ledger.accept(2, 0, "board", NOW);
        // Then both arrived twice, and one needlessly
        let counts = ledger.counts();
        assert_eq!(
            (counts.sent, counts.delivered, counts.twice, counts.needless),
            (5, 3, 2, 1)
        );
    }

    #[test]
    fn a_refused_record_sent_again_is_as_it_should_be() {
        let mut ledger = Ledger::new(2);
        ledger.refuse(7, NOW);
        ledger.refuse(7, NOW);
        ledger.accept(7, 1, "board", NOW);
        let counts = ledger.counts();
        assert_eq!((counts.sent, counts.delivered, counts.refused), (3, 1, 2));
        assert_eq!((counts.twice, counts.needless), (0, 0));
        assert_eq!(
            counts.shards[1],
            Taken {
                records: 1,
                first: NOW,
                last: NOW
            }
        );
        assert_eq!(counts.boards["board"].records, 1);
        let second = Second {
            accepted: 1,
            refused: 2,
            ..Second::default()
        };
        assert_eq!(counts.seconds, [Second::default(), second]);
        // And a refusal after it was accepted does not make it new again.
        ledger.refuse(7, NOW);
        ledger.accept(7, 1, "board", NOW);
        assert_eq!((ledger.counts().delivered, ledger.counts().twice), (1, 1));
    }
}
