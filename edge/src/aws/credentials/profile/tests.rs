use super::*;

fn profile(name: &str, config: &str, credentials: &str) -> (tempfile::TempDir, Profile) {
    let folder = tempfile::tempdir().unwrap();
    let (config_file, credentials_file) = (
        folder.path().join("config"),
        folder.path().join("credentials"),
    );
    fs::write(&config_file, config).unwrap();
    fs::write(&credentials_file, credentials).unwrap();
    (folder, Profile::new(name, config_file, credentials_file))
}

#[test]
fn keys_come_from_the_credentials_file_and_the_region_from_the_config() {
    let (_folder, profile) = profile(
        "board",
        "[default]\nregion = us-east-1\n[profile board]\nregion=eu-west-1\ns3 =\n  max_queue = 5\n",
        "# mine\n[default]\naws_access_key_id = other\n[board]\naws_access_key_id = AK\naws_secret_access_key = S=K/+\naws_session_token = T\n",
    );
    let credentials = profile.fetch().unwrap();
    assert_eq!(
        (credentials.access_key_id(), credentials.secret_access_key()),
        ("AK", "S=K/+")
    );
    assert_eq!(credentials.session_token(), Some("T"));
    assert_eq!(profile.region().as_deref(), Some("eu-west-1"));
}

#[test]
fn a_process_gives_credentials_that_expire() {
    let json = r#"{"Version": 1, "AccessKeyId": "AK", "SecretAccessKey": "a-secret-of-the-tests", "Expiration": "2026-11-23T10:00:00Z"}"#;
    let (_folder, profile) = profile(
        "default",
        &format!("[default]\ncredential_process = echo '{json}'\n"),
        "",
    );
    let credentials = profile.fetch().unwrap();
    assert_eq!(credentials.access_key_id(), "AK");
    assert!(credentials.expiry().is_some());
}

#[test]
fn what_is_wrong_is_said_in_one_line_without_a_secret() {
    let secret = "hunter2";
    let table = [
        (
            "[default]\nregion = eu-west-1\n".to_owned(),
            "has neither keys nor a credential_process",
        ),
        (
            "[default]\ncredential_process = echo oops >&2; exit 7\n".to_owned(),
            "failed (exit status: 7): oops",
        ),
        (
            format!("[default]\ncredential_process = echo '{{\"SecretAccessKey\":\"{secret}\"'\n"),
            "run it by hand",
        ),
        (
            format!(
                "[default]\ncredential_process = echo '{{\"SecretAccessKey\":\"{secret}\",\"AccessKeyId\":\"\"}}'\n"
            ),
            "an empty key",
        ),
    ];
    for (config, expected) in table {
        let (_folder, profile) = profile("default", &config, "");
        let error = format!("{:#}", profile.fetch().unwrap_err());
        assert!(
            error.contains(expected) && !error.contains('\n') && !error.contains(secret),
            "{error}"
        );
    }
}
