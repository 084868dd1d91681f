//! The text of a line. Invalid bytes are replaced or removed: they never make a line unusable.

use std::borrow::Cow;

/// The byte order mark, which some editors put before a file's first line (RFC 3629, section 6).
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// A line's text.
#[derive(Debug, PartialEq, Eq)]
pub struct Text<'a> {
    /// The line without NUL bytes, and with U+FFFD for invalid UTF-8.
    pub text: Cow<'a, str>,
    /// Whether anything was removed or replaced.
    pub is_mended: bool,
}

impl<'a> Text<'a> {
    /// The text of `line`, without a byte order mark if it `is_first` of its file.
    pub fn of(line: &'a [u8], is_first: bool) -> Self {
        let line = match line.strip_prefix(BYTE_ORDER_MARK) {
            Some(rest) if is_first => rest,
            _ => line,
        };
        if memchr::memchr(0, line).is_none()
            && let Ok(text) = std::str::from_utf8(line)
        {
            return Self {
                text: text.into(),
                is_mended: false,
            };
        }
        let kept: Vec<u8> = line.iter().copied().filter(|byte| *byte != 0).collect();
        Self {
            text: String::from_utf8_lossy(&kept).into_owned().into(),
            is_mended: true,
        }
    }
}

#[cfg(test)]
mod tests;
