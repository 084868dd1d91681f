//! CRC-32C, and how a board without an instruction for it comes by one.
//!
//! - It takes four bytes at a time, from four tables: 4 instructions a byte, where the crate's eight take 6 on a 32-bit processor.
//! - It reads no record twice. CRC-32C is linear: appending `n` bytes multiplies the CRC before them, a polynomial over GF(2), by `x^(8n)`, and
//!   adds the CRC of the bytes alone. A record's CRC is known before it is put into a block; the block's then takes two multiplications,
//!   however long the record is.

use crate::spool::format::block::{BLOCK, Seq};

/// Castagnoli's polynomial, its highest power in the lowest bit (RFC 3720, section 12.1).
const POLYNOMIAL: u32 = 0x82f6_3b78;

/// The polynomial 1.
const ONE: u32 = 1 << 31;

/// The number of bytes is split into a multiple of this and a rest.
const STEP: usize = 64;

/// `x^(8n)` for `n` below [`STEP`].
const BYTES: [u32; STEP] = powers(ONE >> 8);

/// `x^(8n)` for multiples of [`STEP`] up to a block.
const STEPS: [u32; BLOCK / STEP] = powers(multiply(BYTES[STEP - 1], BYTES[1]));

/// What each byte, followed by `n` zero bytes, adds to a CRC, for `n` from 0 to 3.
static TABLES: [[u32; 256]; 4] = tables();

/// Whether the processor has an instruction for it, so that reading bytes is faster than anything else.
pub const HAS_INSTRUCTION: bool = cfg!(any(target_arch = "x86_64", target_arch = "aarch64"));

/// The CRC of `bytes`.
pub fn of(bytes: &[u8]) -> u32 {
    append(0, bytes)
}

/// The CRC of bytes that have the CRC `before`, followed by `bytes`.
pub fn append(before: u32, bytes: &[u8]) -> u32 {
    match HAS_INSTRUCTION {
        true => crc32c::crc32c_append(before, bytes),
        false => append_by_tables(before, bytes),
    }
}

fn append_by_tables(before: u32, bytes: &[u8]) -> u32 {
    let look_up = |zeros: usize, byte: u32| TABLES[zeros][usize::from(byte as u8)];
    let (words, rest) = bytes.as_chunks();
    let mut crc = !before;
    for word in words {
        let next = crc ^ u32::from_le_bytes(*word);
        crc = look_up(3, next)
            ^ look_up(2, next >> 8)
            ^ look_up(1, next >> 16)
            ^ look_up(0, next >> 24);
    }
    for byte in rest {
        crc = look_up(0, crc ^ u32::from(*byte)) ^ (crc >> 8);
    }
    !crc
}

/// The CRC that a record's own begins with: that of its number.
pub fn of_number(seq: Seq) -> u32 {
    of(&seq.to_le_bytes())
}

/// The CRC of bytes that have the CRC `before`, followed by the `len` bytes (less than a block) of record `seq`, whose own CRC is `record`.
pub fn append_record(before: u32, seq: Seq, len: usize, record: u32) -> u32 {
    let power = multiply(STEPS[len / STEP], BYTES[len % STEP]);
    // The number's share of the record's CRC moved on as far as `before` does.
    multiply(before ^ of_number(seq), power) ^ record
}

const fn tables() -> [[u32; 256]; 4] {
    let mut tables = [[0; 256]; 4];
    let mut byte = 0;
    while byte < 256 {
        let mut zeros = 0;
        while zeros < 4 {
            // A byte is the highest of its powers times x^8, and each zero behind it as much again.
            tables[zeros][byte] = multiply(byte as u32, BYTES[zeros + 1]);
            zeros += 1;
        }
        byte += 1;
    }
    tables
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
        fn the_tables_give_what_the_instruction_does(
            before in any::<u32>(),
            bytes in prop::collection::vec(any::<u8>(), 0..100),
        ) {
            prop_assert_eq!(append_by_tables(before, &bytes), crc32c::crc32c_append(before, &bytes));
        }

        #[test]
        fn a_record_whose_crc_is_known_adds_what_reading_it_would(
            before in any::<u32>(),
            seq in any::<Seq>(),
            bytes in prop::collection::vec(any::<u8>(), 0..BLOCK),
        ) {
            let record = crc32c::crc32c_append(of_number(seq), &bytes);

            let appended = append_record(before, seq, bytes.len(), record);

            prop_assert_eq!(appended, crc32c::crc32c_append(before, &bytes));
        }
    }
}
