//! Values as people write them: sizes, durations, switches.

use std::time::Duration;

/// Bytes, from `64MiB`, `64M`, `1G`, `4096`: units are powers of 1024.
pub fn size(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" | "kib" => 1 << 10,
        "m" | "mb" | "mib" => 1 << 20,
        "g" | "gb" | "gib" => 1 << 30,
        _ => return None,
    };
    digits.trim().parse::<u64>().ok()?.checked_mul(unit)
}

/// A duration, from `1s`, `500ms`, `2m`, `1h`; a bare number is seconds.
pub fn duration(text: &str) -> Option<Duration> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit_ms = match &text[digits.len()..] {
        "ms" => 1,
        "" | "s" => 1000,
        "m" | "min" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    Some(Duration::from_millis(
        digits.trim().parse::<u64>().ok()?.checked_mul(unit_ms)?,
    ))
}

/// On or off, as an environment variable says it.
pub fn switch(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "1" | "true" | "yes" | "on" => Some(true),
        "" | "0" | "false" | "no" | "off" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_durations_and_switches_read_as_written() {
        assert_eq!(size("64MiB"), Some(64 << 20));
        assert_eq!(size("1g"), Some(1 << 30));
        assert_eq!(size("4096"), Some(4096));
        assert_eq!(duration("500ms"), Some(Duration::from_millis(500)));
        assert_eq!(duration("2m"), Some(Duration::from_secs(120)));
        assert_eq!(duration("3"), Some(Duration::from_secs(3)));
        assert_eq!(switch("Yes"), Some(true));
        assert_eq!(switch("0"), Some(false));
    }

    #[test]
    fn nonsense_is_none() {
        for text in [
            "",
            "MiB",
            "-1",
            "1.5G",
            "12x",
            "99999999999999999999",
            "18446744073709551615G",
        ] {
            assert_eq!(size(text), None, "{text}");
        }
        for text in ["", "s", "-1s", "1d", "18446744073709551615h"] {
            assert_eq!(duration(text), None, "{text}");
        }
        assert_eq!(switch("maybe"), None);
    }
}
