use super::*;
use crate::source::lenient::json;

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

#[test]
fn each_envelope_has_the_id_and_the_time_of_its_own_line() {
    let mut envelope = Envelope::new("b");
    // Given lines of the same moment and of others, also one whose time is written longer
    for (id, ms) in [
        (1, 0),
        (2, 0),
        (3, 1_768_473_300_007),
        (4, 1_768_473_300_007),
        (5, 1 << 48),
        (6, 0),
    ] {
        let now = std::time::UNIX_EPOCH + std::time::Duration::from_millis(ms);
        // When they are sealed one after the other
        let sealed = envelope.seal("x", None, Ulid::new(ms, id), now);
        // Then each is as if it were the first
        let value: serde_json::Value = serde_json::from_slice(sealed.data).unwrap();
        let id = String::from_utf8(Ulid::new(ms, id).chars().to_vec()).unwrap();
        assert_eq!(
            (&value["id"], sealed.id),
            (&id.as_str().into(), id.as_str())
        );
        assert_eq!(value["at"], Rfc3339(ms).to_string());
        assert_eq!(value["line"], "x");
    }
}
