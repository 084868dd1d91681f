//! Packs, as a reader of the stream meets them: Zstandard frames of posts, each ended by a newline. By Zstandard's own library.

use anyhow::{Context, anyhow};

/// What a Zstandard frame begins with.
const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// Memory for the largest pack.
const PACK_BYTES: usize = 11 << 20;

/// Whether a record's data are a pack.
pub fn is_pack(data: &[u8]) -> bool {
    data.starts_with(&MAGIC)
}

/// The text of a pack.
///
/// # Errors
/// It is no whole frame, or of more than 11 MiB: a stream may take records of 10 MiB.
pub fn unpack(pack: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut text = Vec::with_capacity(PACK_BYTES);
    let read = zstd_safe::decompress(&mut text, pack);
    read.map_err(|code| anyhow!(zstd_safe::get_error_name(code)))
        .context("a pack that cannot be read")?;
    Ok(text)
}

/// The posts in a record: it itself, or those of a pack.
///
/// # Errors
/// See [`unpack`].
pub fn posts(data: Vec<u8>) -> anyhow::Result<Vec<Vec<u8>>> {
    if !is_pack(&data) {
        return Ok(vec![data]);
    }
    let text = unpack(&data)?;
    let lines = text.split_inclusive(|byte| *byte == b'\n');
    Ok(lines
        .map(|line| line.strip_suffix(b"\n").unwrap_or(line).to_vec())
        .collect())
}
