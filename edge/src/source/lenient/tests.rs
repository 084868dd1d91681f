use proptest::prelude::*;

use super::*;

#[derive(Debug, Default, PartialEq, serde::Deserialize)]
#[serde(default)]
struct Example<'a> {
    #[serde(borrow)]
    text: Text<'a>,
    #[serde(borrow)]
    list: First<Text<'a>, 2>,
}

#[test]
fn a_text_is_borrowed_unless_it_holds_an_escape() {
    let example: Example<'_> = serde_json::from_str(r#"{"text":"plain"}"#).unwrap();
    assert!(matches!(example.text.0, Cow::Borrowed("plain")));
    let example: Example<'_> = serde_json::from_str(r#"{"text":"a\nb"}"#).unwrap();
    assert_eq!(&*example.text, "a\nb");
}

#[test]
fn what_is_no_text_reads_as_an_empty_one() {
    for other in [
        "null",
        "true",
        "7",
        "-7",
        "7.5",
        "[1,[2]]",
        r#"{"a":{"b":1}}"#,
    ] {
        let json = format!(r#"{{"list":["a",{other},"c"],"text":{other}}}"#);
        let example: Example<'_> = serde_json::from_str(&json).unwrap();
        assert_eq!(&*example.text, "", "{other}");
        assert_eq!(example.list.0.len(), 2, "the third is read over");
    }
}

#[test]
fn an_escape_that_means_nothing_becomes_a_replacement_character() {
    let table = [
        (r#""\ud83c\udf55 pizza""#, "🍕 pizza"),
        (r#""\ud83c pizza""#, "\u{fffd} pizza"),
        (r#""\ud83c\n""#, "\u{fffd}\n"),
        (r#""\ud83c\u0041""#, "\u{fffd}A"),
        (r#""\udf55""#, "\u{fffd}"),
    ];
    for (raw, text) in table {
        assert_eq!(unescaped(raw, &mut String::new()), text, "{raw}");
    }
}

#[test]
fn a_line_is_json_or_it_is_not() {
    for json in [
        "7", "-7.5e3", " {} ", "[1]", "\"a\"", "true", "false", "null", "0",
    ] {
        assert_eq!(super::json(json).map(RawValue::get), Some(json.trim()));
    }
    for other in [
        "",
        " ",
        "{",
        "{]",
        "true love",
        "tree",
        "nil",
        "007",
        "2026-01-15",
        "\"",
        "7 8",
        "-",
        "NaN",
    ] {
        assert!(super::json(other).is_none(), "{other}");
    }
}

proptest! {
    #[test]
    fn no_line_of_json_is_taken_for_text(line in r#"[ \t]?[-{}\[\]"0-9a-z.,:]{0,6}[ \t]?"#) {
        let expected: Option<&RawValue> = serde_json::from_str(&line).ok();
        prop_assert_eq!(json(&line).map(RawValue::get), expected.map(RawValue::get));
    }

    #[test]
    fn any_text_is_read_as_serde_json_reads_it(text in any::<String>(), ascii in any::<bool>()) {
        let mut raw = serde_json::to_string(&text).unwrap();
        if ascii {
            let escape = |char: char| {
                let units = char.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect::<String>();
                if char.is_ascii() { char.to_string() } else { units }
            };
            raw = raw.chars().map(escape).collect();
        }
        let mut buffer = String::from("old");
        prop_assert_eq!(unescaped(&raw, &mut buffer), text);
    }

    #[test]
    fn no_bytes_make_it_panic(raw in r#""[\\ud8c0-9a-fñ]{0,12}""#) {
        unescaped(&raw, &mut String::new());
    }
}
