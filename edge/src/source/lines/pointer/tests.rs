use super::*;
use crate::source::lenient::json;

#[test]
fn a_pointer_finds_the_text_or_number_it_names() {
    let line = r#"{"id":"a\u0062","n":7.50,"yes":true,"none":null,"":"empty name","a/b":"slash","m~n":"tilde",
        "in":{"id":"inner","list":["zero",{"id":"one"}]},"id2":"","id":"last wins"}"#;
    let line = json(line).unwrap();
    let table = [
        ("/id", Some("last wins")),
        ("/n", Some("7.50")),
        ("/yes", Some("true")),
        ("/", Some("empty name")),
        ("/a~1b", Some("slash")),
        ("/m~0n", Some("tilde")),
        ("/in/id", Some("inner")),
        ("/in/list/0", Some("zero")),
        ("/in/list/1/id", Some("one")),
        ("/in/list/2", None),
        ("/in/list/-", None),
        ("/none", None),
        ("/in", None),
        ("/in/list", None),
        ("/id2", None),
        ("/id/deeper", None),
        ("/missing", None),
    ];
    for (pointer, expected) in table {
        let pointer: Pointer = pointer.parse().unwrap();
        assert_eq!(pointer.text_in(line).as_deref(), expected, "{pointer:?}");
    }
}

#[test]
fn a_line_that_is_no_object_has_no_key() {
    let pointer: Pointer = "/id".parse().unwrap();
    for line in ["7", "[1]", "\"id\"", "null", "{}"] {
        assert_eq!(pointer.text_in(json(line).unwrap()), None, "{line}");
    }
}

#[test]
fn what_is_no_pointer_is_refused_with_an_example() {
    let error = "id".parse::<Pointer>().unwrap_err().to_string();
    assert_eq!(
        error,
        "'id' is no JSON pointer: write it as /name or /outer/inner"
    );
    assert!("".parse::<Pointer>().is_err());
}
