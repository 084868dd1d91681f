//! CRC-32C (Castagnoli): RFC 3720, section 12.1.
//!
//! Where the processor has an instruction for it, the crate `crc32c` uses that. A 32-bit ARM board computes it from tables: a quarter fewer
//! instructions a byte than the crate's, which are made for registers of 64 bits.

/// The polynomial, its highest power in the lowest bit.
pub const POLYNOMIAL: u32 = 0x82f6_3b78;

/// Whether the processor has an instruction for it.
pub const HAS_INSTRUCTION: bool = cfg!(any(target_arch = "x86_64", target_arch = "aarch64"));

/// The CRC of `bytes`.
#[inline(always)]
pub fn of(bytes: &[u8]) -> u32 {
    append(0, bytes)
}

/// The CRC of bytes whose CRC is `before`, followed by `bytes`.
#[inline(always)]
pub fn append(before: u32, bytes: &[u8]) -> u32 {
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    return ::crc32c::crc32c_append(before, bytes);
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    return tables::append(before, bytes);
}

#[cfg(any(test, not(any(target_arch = "x86_64", target_arch = "aarch64"))))]
mod tables {
    use std::hint::black_box;

    use super::POLYNOMIAL;

    /// Entry `b` of table `n`: the remainder of byte `b` followed by `n` zeros. Four tables, 4 KiB: their addresses stay in registers, and they
    /// leave room in the smallest boards' cache.
    static TABLES: [[u32; 256]; 4] = tables();

    pub fn append(before: u32, bytes: &[u8]) -> u32 {
        // Opaque, so that each address has a register of its own: derived from one, they cost an instruction a byte.
        let [t0, t1, t2, t3] = &TABLES;
        let (t0, t1, t2, t3) = (black_box(t0), black_box(t1), black_box(t2), black_box(t3));
        let byte = |crc: u32, byte: &u8| t0[(crc as u8 ^ byte) as usize] ^ (crc >> 8);
        let word = |crc: u32, word: &[u8; 4]| {
            let [a, b, c, d] = (crc ^ u32::from_le_bytes(*word)).to_le_bytes();
            t3[a as usize] ^ t2[b as usize] ^ t1[c as usize] ^ t0[d as usize]
        };
        let (words, rest) = bytes.as_chunks::<4>();
        let (fours, words) = words.as_chunks::<4>();
        let four = |crc, [a, b, c, d]: &[[u8; 4]; 4]| word(word(word(word(crc, a), b), c), d);
        let crc = fours.iter().fold(!before, four);
        let crc = words.iter().fold(crc, word);
        !rest.iter().fold(crc, byte)
    }

    const fn tables() -> [[u32; 256]; 4] {
        let mut all = [[0; 256]; 4];
        let mut byte = 0;
        while byte < 256 {
            let mut crc = byte as u32;
            let mut table = 0;
            while table < 4 {
                let mut bit = 0;
                while bit < 8 {
                    crc = (crc >> 1) ^ (POLYNOMIAL & 0u32.wrapping_sub(crc & 1));
                    bit += 1;
                }
                all[table][byte] = crc;
                table += 1;
            }
            byte += 1;
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_crcs_of_the_rfc_and_of_the_check_string_come_out() {
        let cases: [(&[u8], u32); 4] = [
            (b"123456789", 0xe306_9283),
            (&[0; 32], 0x8a91_36aa),
            (&[0xff; 32], 0x62a8_ab43),
            (b"", 0),
        ];
        for (bytes, crc) in cases {
            assert_eq!(of(bytes), crc);
            assert_eq!(tables::append(0, bytes), crc);
        }
    }

    proptest! {
        #[test]
        fn the_tables_say_what_the_crate_says(
            before in any::<u32>(),
            bytes in prop::collection::vec(any::<u8>(), 0..700),
        ) {
            prop_assert_eq!(tables::append(before, &bytes), ::crc32c::crc32c_append(before, &bytes));
        }
    }
}
