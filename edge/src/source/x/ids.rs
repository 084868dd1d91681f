//! The ids of posts. Each begins with the millisecond in which it was made, so a larger id is a later one (X developer platform, "X IDs").

/// The time from which ids count, on 2010-11-04, in ms since 1970.
const EPOCH_MS: u64 = 1_288_834_974_657;

/// Bits below the milliseconds: the generator of the id, and a sequence number.
const LOW_BITS: u32 = 22;

/// When the post with this `id` was written, in ms since 1970.
pub fn time_ms(id: u64) -> u64 {
    (id >> LOW_BITS) + EPOCH_MS
}

/// The smallest id of a post written at `ms` since 1970.
pub fn first_at(ms: u64) -> u64 {
    let since = ms.saturating_sub(EPOCH_MS);
    since.min(u64::MAX >> LOW_BITS) << LOW_BITS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_tells_its_time() {
        // An id, and the created_at of its post: 2019-12-31T19:26:16Z
        assert_eq!(time_ms(1_212_092_628_029_698_048) / 1000, 1_577_820_376);
        assert_eq!(time_ms(first_at(1_768_473_300_007)), 1_768_473_300_007);
        assert_eq!(first_at(0), 0);
        assert!(first_at(u64::MAX) > first_at(1_768_473_300_007));
    }
}
