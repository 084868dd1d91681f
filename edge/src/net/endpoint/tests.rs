use super::*;

#[test]
fn an_address_with_a_user_is_refused_and_not_quoted() {
    for url in [
        "https://me:hunter2@kinesis.example",
        "https://hunter2@kinesis.example:8443/path",
        "me:hunter2@kinesis.example",
        "https://me:hunter2 @kinesis.example",
    ] {
        let error = format!("{:#}", Endpoint::parse(url, true).unwrap_err());
        assert!(error.contains("no user and no password"), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
    // Elsewhere the sign means nothing.
    assert!(Endpoint::parse("https://kinesis.example/@me", false).is_ok());
}
