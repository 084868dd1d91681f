use super::*;

#[test]
fn a_line_has_no_secret_no_line_break_no_escape_and_an_end() {
    hide("sEcReTsEcReT");
    assert_eq!(
        clean("sent x-amz-security-token:sEcReTsEcReT\n\x1b[31mred"),
        "sent x-amz-security-token:[secret]  [31mred"
    );
    let long = clean(&"é".repeat(5000));
    assert_eq!(long.chars().count(), MAX_LINE_CHARS + 1);
}

#[test]
fn an_empty_secret_hides_nothing() {
    hide("");
    assert_eq!(clean("as it is"), "as it is");
}
