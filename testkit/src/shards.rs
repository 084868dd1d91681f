//! A stream's shards, as arithmetic: which record belongs to which, and what each takes a second. Time is passed in, counted from any moment.

use std::time::Duration;

use md5::{Digest, Md5};

/// What a shard takes a second. It may take a whole second's worth at once, after a second without records.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Records a second.
    pub records: f64,
    /// Bytes a second, of data and partition keys.
    pub bytes: f64,
}

impl Default for Limits {
    /// Those of Kinesis.
    fn default() -> Self {
        Self {
            records: 1_000.0,
            bytes: 1_000_000.0,
        }
    }
}

impl Limits {
    /// A shard that refuses nothing.
    pub const NONE: Self = Self {
        records: f64::INFINITY,
        bytes: f64::INFINITY,
    };

    /// How many records the shard could have taken in `time` at most, if only their number counts.
    pub fn records_in(&self, time: Duration) -> f64 {
        self.records * (1.0 + time.as_secs_f64())
    }
}

/// Shards with equal ranges of the hash, each with its limits.
#[derive(Clone, Debug)]
pub struct Shards(Vec<Shard>);

#[derive(Clone, Debug)]
struct Shard {
    limits: Limits,
    records: f64,
    bytes: f64,
    filled: Duration,
}

impl Shards {
    /// One shard for each of these limits.
    pub fn new(limits: &[Limits]) -> Self {
        let shard = |&limits: &Limits| Shard {
            limits,
            records: limits.records,
            bytes: limits.bytes,
            filled: Duration::ZERO,
        };
        assert!(!limits.is_empty(), "a stream has at least one shard");
        Self(limits.iter().map(shard).collect())
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The shard whose range holds `hash`.
    pub fn of(&self, hash: u128) -> usize {
        let width = u128::MAX / self.0.len() as u128;
        ((hash / width) as usize).min(self.0.len() - 1)
    }

    /// Offers `shard` a record of so many bytes, partition key included: whether it takes it.
    pub fn offer(&mut self, shard: usize, now: Duration, bytes: usize) -> bool {
        self.0[shard].offer(now, bytes as f64)
    }
}

impl Shard {
    fn offer(&mut self, now: Duration, bytes: f64) -> bool {
        let passed = now.saturating_sub(self.filled).as_secs_f64();
        self.filled = self.filled.max(now);
        self.records = (self.records + passed * self.limits.records).min(self.limits.records);
        self.bytes = (self.bytes + passed * self.limits.bytes).min(self.limits.bytes);
        let takes = self.records >= 1.0 && self.bytes >= bytes;
        if takes {
            self.records -= 1.0;
            self.bytes -= bytes;
        }
        takes
    }
}

/// Where Kinesis puts a record with this key: MD5, as a number.
pub fn hash(partition_key: &str) -> u128 {
    u128::from_be_bytes(Md5::digest(partition_key).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_key_goes_to_the_shard_whose_range_holds_its_md5() {
        // Given the MD5 of "a", 0cc175b9..., and of "pizza", 7cf2db5e...
        assert_eq!(hash("a"), 0x0cc1_75b9_c0f1_b6a8_31c3_99e2_6977_2661);
        assert_eq!(hash("pizza"), 0x7cf2_db5e_c261_a0fa_27a5_02d3_196a_6f60);
        // Then of four shards the first holds the one, the second the other
        let shards = Shards::new(&[Limits::default(); 4]);
        assert_eq!((shards.of(hash("a")), shards.of(hash("pizza"))), (0, 1));
        assert_eq!((shards.of(0), shards.of(u128::MAX)), (0, 3));
        assert_eq!(Shards::new(&[Limits::default(); 3]).of(u128::MAX), 2);
    }

    #[test]
    fn keys_spread_evenly() {
        let shards = Shards::new(&[Limits::default(); 4]);
        let mut counts = [0; 4];
        for number in 0..20_000 {
            counts[shards.of(hash(&format!("key {number}")))] += 1;
        }
        assert!(
            counts.iter().all(|count| (4_700..5_300).contains(count)),
            "{counts:?}"
        );
    }

    #[test]
    fn a_shard_takes_its_records_a_second_and_saves_up_one_second() {
        // Given a shard of ten records a second that was idle for long
        let mut shards = Shards::new(&[Limits {
            records: 10.0,
            bytes: f64::INFINITY,
        }]);
        let mut taken_at = |now| (0..100).filter(|_| shards.offer(0, now, 1)).count();
        // Then it takes ten at once, half as many half a second later, and after ten seconds again ten
        assert_eq!(taken_at(ms(60_000)), 10);
        assert_eq!(taken_at(ms(60_500)), 5);
        assert_eq!(taken_at(ms(70_500)), 10);
    }

    #[test]
    fn bytes_have_a_limit_of_their_own_and_what_is_refused_costs_nothing() {
        let mut shards = Shards::new(&[Limits {
            records: 10.0,
            bytes: 1_000.0,
        }]);
        assert!(shards.offer(0, ms(0), 800));
        assert!(!shards.offer(0, ms(0), 300));
        assert!(shards.offer(0, ms(0), 200));
        // And a record larger than a second's bytes is never taken.
        assert!(!shards.offer(0, ms(10_000), 1_001));
        assert!(shards.offer(0, ms(10_000), 1_000));
    }

    #[test]
    fn a_hot_shard_leaves_the_others_alone() {
        let hot = Limits {
            records: 5.0,
            ..Limits::default()
        };
        let mut shards = Shards::new(&[hot, Limits::default()]);
        let mut taken = |shard, count| {
            (0..count)
                .filter(|_| shards.offer(shard, ms(0), 500))
                .count()
        };
        assert_eq!((taken(0, 100), taken(1, 100)), (5, 100));
    }
}
