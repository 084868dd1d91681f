//! Lone surrogates: `\ud83d` without the `\ude00` that belongs to it.
//!
//! A text that was cut inside a surrogate pair is valid JSON but not valid Unicode, and the parser would
//! refuse the whole record. Each lone surrogate becomes U+FFFD, the replacement character.

use std::borrow::Cow;

const REPLACEMENT: &[u8] = b"fffd";

/// `json` with every surrogate escape that lacks its other half replaced by `\ufffd`.
pub fn mend(json: &str) -> Cow<'_, str> {
    let bytes = json.as_bytes();
    let mut mended: Option<Vec<u8>> = None;
    let mut at = 0;
    while let Some(found) = bytes[at..].iter().position(|&byte| byte == b'\\') {
        at += found;
        match escaped_unit(&bytes[at..]) {
            Some(0xD800..=0xDBFF)
                if matches!(escaped_unit(&bytes[at + 6..]), Some(0xDC00..=0xDFFF)) =>
            {
                at += 12;
            }
            Some(0xD800..=0xDFFF) => {
                let out = mended.get_or_insert_with(|| bytes.to_vec());
                out[at + 2..at + 6].copy_from_slice(REPLACEMENT);
                at += 6;
            }
            Some(_) => at += 6,
            None => at = (at + 2).min(bytes.len()),
        }
    }
    match mended.map(String::from_utf8) {
        Some(Ok(mended)) => Cow::Owned(mended),
        _ => Cow::Borrowed(json),
    }
}

/// The UTF-16 unit of the `\uXXXX` that `bytes` begin with.
fn escaped_unit(bytes: &[u8]) -> Option<u16> {
    let hex = bytes.get(..6)?.strip_prefix(b"\\u")?;
    if !hex.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    u16::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok()
}
