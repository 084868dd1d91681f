use super::*;

#[test]
fn the_file_reads_as_systemd_reads_it() {
    let text = "# AWS_REGION=no\n; or so\n\nAWS_REGION=eu-west-1\nHEADWATER_KEYWORD=\"deep dish\"\nA='b=c'\nEMPTY=\nno line\n";
    let variables = parse(text);
    let expected = [
        ("A", "b=c"),
        ("AWS_REGION", "eu-west-1"),
        ("EMPTY", ""),
        ("HEADWATER_KEYWORD", "deep dish"),
    ];
    assert_eq!(
        variables
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect::<Vec<_>>(),
        expected
    );
}
