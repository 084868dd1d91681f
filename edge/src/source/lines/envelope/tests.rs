use super::*;
use crate::source::lenient::json;

#[test]
fn times_are_written_by_the_calendar() {
    let table = [
        (0, "1970-01-01T00:00:00.000Z"),
        (1_768_473_300_007, "2026-01-15T10:35:00.007Z"),
        (951_782_399_999, "2000-02-28T23:59:59.999Z"),
        (951_782_400_000, "2000-02-29T00:00:00.000Z"),
        (951_868_800_000, "2000-03-01T00:00:00.000Z"),
        (1_709_164_800_000, "2024-02-29T00:00:00.000Z"),
        (1_735_689_599_000, "2024-12-31T23:59:59.000Z"),
        (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
    ];
    for (ms, text) in table {
        assert_eq!(Rfc3339(ms).to_string(), text);
    }
}

#[test]
fn an_envelope_is_json_whatever_the_line_and_the_host() {
    let lines = [
        "",
        " ",
        "{",
        "{\"a\": [1, 2.50]} ",
        "\"",
        "tab\there",
        "nan",
        "null",
        "\u{1}\u{7f}é",
    ];
    let mut envelope = Envelope::new("a \"board\"");
    for line in lines {
        let sealed = envelope.seal(line, json(line), Ulid::new(7, 7), std::time::UNIX_EPOCH);
        let value: serde_json::Value = serde_json::from_slice(sealed.data).unwrap();
        assert_eq!(value["from"], "a \"board\"");
        assert_eq!(value["id"], sealed.id);
        let expected: serde_json::Value =
            serde_json::from_str(line).unwrap_or_else(|_| line.into());
        assert_eq!(value["line"], expected, "{line}");
    }
    let nested = "[".repeat(100_000);
    let sealed = envelope.seal(
        &nested,
        json(&nested),
        Ulid::new(7, 7),
        std::time::UNIX_EPOCH,
    );
    assert!(serde_json::from_slice::<serde_json::Value>(sealed.data).is_ok());
}

#[test]
fn json_is_taken_as_it_stands_and_a_number_keeps_its_digits() {
    let mut envelope = Envelope::new("b");
    let line = " {\"t\": 1.10} ";
    let sealed = envelope.seal(line, json(line), Ulid::new(0, 0), std::time::UNIX_EPOCH);
    let data = std::str::from_utf8(sealed.data).unwrap();
    assert!(
        data.ends_with(r#","from":"b","line":{"t": 1.10}}"#),
        "{data}"
    );
}
