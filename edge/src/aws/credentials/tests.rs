use std::time::UNIX_EPOCH;

use super::*;

fn keychain_of(folder: &tempfile::TempDir) -> Keychain {
    let script = folder.path().join("process");
    let config = folder.path().join("config");
    std::fs::write(
        &config,
        format!("[default]\ncredential_process = sh {}\n", script.display()),
    )
    .unwrap();
    Keychain::new(Provider::Profile(profile::Profile::new(
        "default",
        config,
        folder.path().join("none"),
    )))
}

fn offer(folder: &tempfile::TempDir, key: &str, expiration: &str) {
    let json = format!(
        r#"{{"Version":1,"AccessKeyId":"{key}","SecretAccessKey":"a-secret-of-the-tests","SessionToken":"a-token-of-the-tests","Expiration":"{expiration}"}}"#
    );
    std::fs::write(folder.path().join("process"), format!("echo '{json}'")).unwrap();
}

fn seconds(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

#[test]
fn credentials_are_renewed_ahead_of_their_expiry_and_used_until_it() {
    // Given credentials that hold for an hour from 00:00
    let folder = tempfile::tempdir().unwrap();
    let mut keychain = keychain_of(&folder);
    offer(&folder, "first", "1970-01-01T01:00:00Z");
    assert_eq!(keychain.get(seconds(0)).unwrap().access_key_id(), "first");

    // When others are on offer, then the first stay in use until five minutes before their end
    offer(&folder, "second", "1970-01-01T02:00:00Z");
    assert_eq!(
        keychain.get(seconds(54 * 60)).unwrap().access_key_id(),
        "first"
    );
    assert_eq!(
        keychain.get(seconds(56 * 60)).unwrap().access_key_id(),
        "second"
    );

    // When renewing fails, then those in use hold to their last second
    std::fs::write(folder.path().join("process"), "echo 'no token' >&2; exit 3").unwrap();
    assert_eq!(
        keychain.get(seconds(116 * 60)).unwrap().access_key_id(),
        "second"
    );
    assert_eq!(
        keychain.get(seconds(120 * 60 - 1)).unwrap().access_key_id(),
        "second"
    );
    let error = keychain.get(seconds(120 * 60)).unwrap_err();
    assert!(format!("{error:#}").contains("no token"), "{error:#}");

    // When there are new ones again, then they are used at once
    offer(&folder, "third", "1970-01-01T05:00:00+02:00");
    assert_eq!(
        keychain.get(seconds(121 * 60)).unwrap().access_key_id(),
        "third"
    );
    assert_eq!(keychain.expiry(), Some(seconds(180 * 60)));
}

#[test]
fn refused_credentials_are_asked_for_anew() {
    let folder = tempfile::tempdir().unwrap();
    let mut keychain = keychain_of(&folder);
    offer(&folder, "revoked", "2970-01-01T00:00:00Z");
    keychain.get(seconds(0)).unwrap();
    offer(&folder, "good", "2970-01-01T00:00:00Z");
    keychain.refused();
    assert_eq!(keychain.get(seconds(1)).unwrap().access_key_id(), "good");
}
