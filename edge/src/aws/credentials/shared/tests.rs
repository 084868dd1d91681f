use super::*;

#[test]
fn sections_are_read_as_the_aws_cli_reads_them() {
    let text = "\u{feff}[default]\r\nregion = eu-west-1\r\n\n\
        # [commented]\n  ; out = side\n\
        [ profile board ] ; the one on the roof\n  Region: us-east-1 # not a comment\n  aws_access_key_id=AK\n\
        credential_process =\n    fetch\n    --now\n\
        s3 =\n  max_queue = 5\noutput = json\n\
        [profile \"two words\"]\n\tregion = cn-north-1\n\
        [no end\nlost\n";
    let sections = parse(text);
    let of = |title: &str, name: &str| sections[title].get(name).map(String::as_str);
    assert_eq!(of("default", "region"), Some("eu-west-1"));
    assert_eq!(
        of("profile board", "region"),
        Some("us-east-1 # not a comment")
    );
    assert_eq!(of("profile board", "aws_access_key_id"), Some("AK"));
    assert_eq!(
        of("profile board", "credential_process"),
        Some("fetch --now")
    );
    assert_eq!(of("profile board", "s3"), Some("max_queue = 5"));
    assert_eq!(of("profile board", "max_queue"), None);
    assert_eq!(of("profile board", "output"), Some("json"));
    assert_eq!(of("profile \"two words\"", "region"), Some("cn-north-1"));
    assert_eq!(sections.len(), 3);
}
