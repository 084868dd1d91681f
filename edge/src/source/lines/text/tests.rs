use super::*;

#[test]
fn text_stays_whatever_bytes_are_around_it() {
    let table: [(&[u8], &str, bool); 7] = [
        (b"plain \xc3\xa9", "plain é", false),
        (b"", "", false),
        (b"21,5 \xb0C", "21,5 \u{fffd}C", true),
        (b"cut \xf0\x9f\x8d", "cut \u{fffd}", true),
        (b"\0\0a\0b\0", "ab", true),
        (b"\0\xff", "\u{fffd}", true),
        (b"\0\0", "", true),
    ];
    for (line, text, is_mended) in table {
        let expected = Text {
            text: text.into(),
            is_mended,
        };
        assert_eq!(Text::of(line, false), expected);
    }
}

#[test]
fn a_byte_order_mark_is_dropped_at_the_beginning_alone() {
    let line = "\u{feff}one".as_bytes();
    assert_eq!(Text::of(line, true).text, "one");
    assert!(!Text::of(line, true).is_mended);
    assert_eq!(Text::of(line, false).text, "\u{feff}one");
}
