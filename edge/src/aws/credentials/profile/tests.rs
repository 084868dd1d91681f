use std::fs;

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
    assert_eq!(profile.setting("region").as_deref(), Some("eu-west-1"));
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
            "the access key or its secret is empty",
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

#[test]
fn a_profile_that_is_not_there_is_named_with_those_that_are() {
    let (folder, _) = profile(
        "board",
        "[default]\nregion = us-east-1\n[profile \"on the roof\"]\nregion=eu-west-1\n[plugins]\ncli = x\n",
        "[board]\naws_access_key_id = AK\n",
    );
    let file = |name: &str| folder.path().join(name).display().to_string();
    let env = |profile: &'static str| {
        let (config, credentials) = (file("config"), file("credentials"));
        move |name: &str| match name {
            "AWS_PROFILE" => Some(profile.to_owned()),
            "AWS_CONFIG_FILE" => Some(config.clone()),
            "AWS_SHARED_CREDENTIALS_FILE" => Some(credentials.clone()),
            _ => None,
        }
    };
    let error = Profile::from_env(&env("baord")).unwrap_err().to_string();
    assert!(error.contains("AWS_PROFILE=baord"), "{error}");
    assert!(
        error.ends_with("which have board, default, on the roof"),
        "{error}"
    );
    for there in ["board", "on the roof"] {
        assert!(Profile::from_env(&env(there)).unwrap().is_some());
    }
    // Nobody asked for a profile, and there is none: keys may come from elsewhere.
    assert!(Profile::from_env(&|_| None).unwrap().is_none());
}
