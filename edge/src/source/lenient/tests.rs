use proptest::prelude::*;

use super::*;

#[derive(Debug, Default)]
struct Example<'a> {
    text: Text<'a>,
    id: Id<'a>,
    list: First<Text<'a>, 2>,
    inner: Maybe<Inner<'a>>,
}

#[derive(Debug, Default, PartialEq)]
struct Inner<'a>(Text<'a>);

impl<'a> Object<'a> for Example<'a> {
    fn member<A: MapAccess<'a>>(&mut self, name: &str, members: &mut A) -> Result<(), A::Error> {
        match name {
            "text" => self.text = members.next_value()?,
            "id" => self.id = members.next_value()?,
            "list" => self.list = members.next_value()?,
            "inner" => self.inner = members.next_value()?,
            _ => skip(members)?,
        }
        Ok(())
    }
}

impl<'a> Object<'a> for Inner<'a> {
    fn member<A: MapAccess<'a>>(&mut self, _: &str, members: &mut A) -> Result<(), A::Error> {
        self.0 = members.next_value()?;
        Ok(())
    }
}

fn example(json: &str) -> Example<'_> {
    object(json.as_bytes()).unwrap()
}

#[test]
fn a_text_is_borrowed_unless_it_holds_an_escape() {
    assert!(matches!(
        example(r#"{"text":"plain"}"#).text.0,
        Cow::Borrowed("plain")
    ));
    assert!(matches!(
        example(r#"{"id":7.50}"#).id.0.0,
        Cow::Borrowed("7.50")
    ));
    assert_eq!(&*example(r#"{"text":"a\nb"}"#).text, "a\nb");
}

#[test]
fn what_is_of_another_kind_reads_as_if_it_were_not_there() {
    for other in [
        "null",
        "true",
        "7",
        "-7",
        "7.5",
        "[1,[2]]",
        r#"{"a":{"b":1}}"#,
    ] {
        let json = format!(
            r#"{{"list":["a",{other},"c"],"text":{other},"list2":{other},"inner":{other}}}"#
        );
        let example = example(&json);
        assert_eq!(&*example.text, "", "{other}");
        assert_eq!(example.list.0.len(), 2, "the third is read over");
        assert_eq!(example.inner.0.is_some(), other.starts_with('{'), "{other}");
    }
    for other in ["null", "true", "7", "\"a\"", r#"{"a":["b"]}"#] {
        assert!(
            example(&format!(r#"{{"list":{other}}}"#)).list.0.is_empty(),
            "{other}"
        );
    }
    for other in ["null", "true", "[1]", "{}"] {
        assert_eq!(&*example(&format!(r#"{{"id":{other}}}"#)).id, "", "{other}");
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
