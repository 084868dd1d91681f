//! Ids of lines, as ULIDs: 48 bits of milliseconds since 1970, then 80 bits that distinguish ids of the same time; 26 characters that sort like the
//! numbers (the ULID specification, "Canonical String Representation").

use std::time::SystemTime;

use anyhow::anyhow;
use ring::rand::{SecureRandom, SystemRandom};

use crate::platform::time::unix_ms;

/// A line's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ulid(u128);

/// Crockford's base 32: no I, L, O or U.
const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

const LOW_80: u128 = (1 << 80) - 1;

impl Ulid {
    /// Characters of an id.
    pub const CHARS: usize = 26;

    /// The id with this time, in milliseconds since 1970, and the low 80 bits of `rest`.
    pub fn new(unix_ms: u64, rest: u128) -> Self {
        Self(u128::from(unix_ms) << 80 | rest & LOW_80)
    }

    /// The id in base 32.
    pub fn chars(self) -> [u8; Self::CHARS] {
        std::array::from_fn(|index| {
            let shift = 5 * (Self::CHARS - 1 - index);
            DIGITS[(self.0 >> shift) as usize & 31]
        })
    }
}

/// Ids of lines of an input without places, such as a pipe: the time at which a line was read, and a number that starts at random and counts up.
#[derive(Debug)]
pub struct Run {
    next: u128,
}

impl Run {
    /// Starts at a random number.
    ///
    /// # Errors
    /// If the system gives no random numbers.
    pub fn new() -> anyhow::Result<Self> {
        let mut bytes = [0; 16];
        SystemRandom::new()
            .fill(&mut bytes)
            .map_err(|_| anyhow!("this machine has no source of random numbers"))?;
        Ok(Self {
            next: u128::from_ne_bytes(bytes),
        })
    }

    /// The id of a line that was read at `now`.
    pub fn next(&mut self, now: SystemTime) -> Ulid {
        self.next = self.next.wrapping_add(1);
        Ulid::new(unix_ms(now), self.next)
    }
}

#[cfg(test)]
mod tests;
