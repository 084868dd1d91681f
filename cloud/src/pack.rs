//! Packs: many posts in one record.
//!
//! A pack is one or more Zstandard frames (RFC 8878) of newline-separated posts, such as `zstd` itself
//! makes. Frames after one another are read as one text, as `zstd -d` does. Limits: all frames of a
//! record together hold at most [`MAX_BYTES`]; the board fills a pack up to 64 KiB.

use anyhow::{Result, bail};

/// The first bytes of every frame. No JSON begins with them, and no UTF-8 text holds them.
const MAGIC: [u8; 4] = [0x28, 0xB5, 0x2F, 0xFD];

/// The most bytes of all frames of one record after decompression.
pub const MAX_BYTES: usize = 1024 * 1024;

/// Whether a record's data is a pack.
pub fn is_pack(data: &[u8]) -> bool {
    data.starts_with(&MAGIC)
}

/// Decompresses a pack. Its memory is bounded by [`MAX_BYTES`], whatever sizes the frames claim.
///
/// # Errors
/// If it is larger than that, damaged (frames with a checksum are held to it), or made with a dictionary.
pub fn unpack(data: &[u8]) -> Result<Vec<u8>> {
    let mut text = Vec::with_capacity(MAX_BYTES);
    if let Err(code) = zstd_safe::decompress(&mut text, data) {
        match zstd_safe::get_error_name(code) {
            "Destination buffer is too small" => bail!(
                "a pack that grows beyond {MAX_BYTES} bytes, which was not unpacked any further"
            ),
            "Dictionary mismatch" => {
                bail!("a pack made with a dictionary, which is not known here")
            }
            why => bail!("a damaged pack: {why}"),
        }
    }
    text.shrink_to_fit();
    Ok(text)
}

/// The posts in a pack's text. Each ends with a newline; the last one may lack it.
pub fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split_inclusive(|&byte| byte == b'\n')
        .map(|line| line.strip_suffix(b"\n").unwrap_or(line))
}
