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
    for text in ["", "s", "-1s", "1w", "18446744073709551615h"] {
        assert_eq!(duration(text), None, "{text}");
    }
    assert_eq!(switch("maybe"), None);
}
