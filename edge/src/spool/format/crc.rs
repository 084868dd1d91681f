//! The CRC of bytes that end with others whose CRC is known already.
//!
//! CRC-32C is linear: appending `n` bytes multiplies the CRC before them, a polynomial over GF(2), by `x^(8n)`, and adds the CRC of the bytes
//! alone. A record's CRC is computed before it is put into a block; the block's then takes one multiplication, however long the record.

use crate::platform::crc32c::{self, POLYNOMIAL};

/// The polynomial 1.
const ONE: u32 = 1 << 31;

/// A record that is appended is shorter than this number of bytes.
pub const LENGTHS: usize = 4096;

/// `x^(8n)` for `n` below [`LENGTHS`]: 16 KiB, only in programs for processors that have no instruction for a CRC.
static BYTES: [u32; LENGTHS] = powers(ONE >> 8);

/// The CRC that a record's own begins with: that of its number.
pub fn of_number(seq: u64) -> u32 {
    crc32c::of(&seq.to_le_bytes())
}

/// The CRC of bytes that have the CRC `before`, followed by the `len` bytes (fewer than [`LENGTHS`]) of record `seq`, whose own CRC is `record`.
pub fn append_record(before: u32, seq: u64, len: usize, record: u32) -> u32 {
    // The number's share of the record's CRC moved on as far as `before` does.
    multiply(before ^ of_number(seq), BYTES[len]) ^ record
}

/// The powers of `base` from 0 on.
const fn powers<const N: usize>(base: u32) -> [u32; N] {
    let mut all = [ONE; N];
    let mut at = 1;
    while at < N {
        all[at] = multiply(all[at - 1], base);
        at += 1;
    }
    all
}

/// The product of two polynomials, modulo that of CRC-32C.
const fn multiply(mut a: u32, mut b: u32) -> u32 {
    let mut product = 0;
    while a != 0 {
        // All ones if the bit is set: no branch to mispredict.
        product ^= b & 0u32.wrapping_sub(a >> 31);
        a <<= 1;
        b = (b >> 1) ^ (POLYNOMIAL & 0u32.wrapping_sub(b & 1));
    }
    product
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_record_whose_crc_is_known_adds_what_reading_it_would(
            before in any::<u32>(),
            seq in any::<u64>(),
            bytes in prop::collection::vec(any::<u8>(), 0..LENGTHS),
        ) {
            let record = crc32c::append(of_number(seq), &bytes);

            let appended = append_record(before, seq, bytes.len(), record);

            prop_assert_eq!(appended, crc32c::append(before, &bytes));
        }
    }
}
