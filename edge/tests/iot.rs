//! Credentials from AWS IoT, by a device certificate: the provider's protocol over real mutual TLS.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, UNIX_EPOCH};

use headwater::aws::credentials::iot::{Iot, Settings};
use headwater::aws::credentials::{Keychain, Provider};
use headwater::net::endpoint::Endpoint;
use headwater::net::roots::Roots;
use testkit::http::Answer;
use testkit::tls::Authority;
use testkit::web::Web;

/// A credentials provider that demands a certificate of `devices`, and answers with what stands in `answer`.
struct Server {
    web: Web,
    trusted: Roots,
    answer: Arc<Mutex<Answer>>,
}

impl Server {
    fn start(devices: &Authority) -> Self {
        let authority = Authority::new();
        let answer = Arc::new(Mutex::new(Answer::new(200, "")));
        let offered = answer.clone();
        Self {
            web: Web::encrypted(authority.server(Some(devices)), move |_| {
                offered.lock().unwrap().clone()
            }),
            trusted: Roots::from_pem(authority.pem().as_bytes()).unwrap(),
            answer,
        }
    }

    fn answers(&self, status: u16, body: &str) {
        *self.answer.lock().unwrap() = Answer::new(status, body);
    }

    fn offers(&self, key: &str, expiration: &str) {
        let json = serde_json::json!({"credentials": {
            "accessKeyId": key, "secretAccessKey": "hunter2", "sessionToken": "a-token-of-the-tests", "expiration": expiration
        }});
        self.answers(200, &json.to_string());
    }

    fn keychain(&self, certificate: PathBuf, key: PathBuf) -> Keychain {
        let settings = Settings {
            endpoint: Endpoint::parse(&self.web.url(), false).unwrap(),
            role_alias: "headwater".into(),
            thing: "shed".into(),
            certificate,
            key,
        };
        Keychain::new(Provider::Iot(Iot::new(settings, self.trusted.clone())))
    }
}

/// A device's certificate and key, as files.
fn device(authority: &Authority) -> (tempfile::TempDir, PathBuf, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = authority.sign("shed");
    let (certificate_file, key_file) = (
        folder.path().join("cert.pem"),
        folder.path().join("key.pem"),
    );
    std::fs::write(&certificate_file, certificate.pem()).unwrap();
    std::fs::write(&key_file, key.serialize_pem()).unwrap();
    (folder, certificate_file, key_file)
}

#[test]
fn a_certificate_gets_credentials_that_are_renewed_ahead_of_their_expiry() {
    // Given a device known to the provider, which offers credentials until 01:00
    let devices = Authority::new();
    let server = Server::start(&devices);
    let (_folder, certificate, key) = device(&devices);
    let mut keychain = server.keychain(certificate, key);
    let at = |minutes: u64| UNIX_EPOCH + Duration::from_secs(60 * minutes);
    server.offers("first", "1970-01-01T01:00:00Z");

    // When credentials are needed
    let first = keychain.get(at(0)).unwrap();

    // Then they are asked for as the protocol says
    assert_eq!(
        (first.access_key_id(), first.session_token()),
        ("first", Some("a-token-of-the-tests"))
    );
    let request = &server.web.requests()[0];
    assert_eq!(
        request.what(),
        "GET /role-aliases/headwater/credentials",
        "{request:?}"
    );
    assert_eq!(request.header("x-amzn-iot-thingname"), Some("shed"));

    // And asked for again only shortly before they expire; while the provider fails, the old ones serve to their end
    server.offers("second", "1970-01-01T02:00:00Z");
    assert_eq!(keychain.get(at(50)).unwrap().access_key_id(), "first");
    assert_eq!(keychain.get(at(55)).unwrap().access_key_id(), "second");
    server.answers(500, "{}");
    assert_eq!(keychain.get(at(119)).unwrap().access_key_id(), "second");
    assert!(keychain.get(at(120)).is_err());
}

#[test]
fn a_refused_certificate_gives_one_clear_line_without_a_secret() {
    let (devices, strangers) = (Authority::new(), Authority::new());
    let server = Server::start(&devices);
    server.offers("first", "1970-01-01T01:00:00Z");
    let (_known_folder, known, known_key) = device(&devices);
    let (_strange_folder, strange, strange_key) = device(&strangers);
    let missing = known.with_file_name("missing.pem");

    let mut table = vec![
        (
            server.keychain(strange, strange_key),
            "check that the certificate",
        ),
        (
            server.keychain(missing.clone(), known_key.clone()),
            "missing.pem cannot be read",
        ),
        (
            server.keychain(known_key.clone(), known_key.clone()),
            "there is no certificate in",
        ),
        (
            server.keychain(known.clone(), known.clone()),
            "there is no private key in",
        ),
    ];
    for (keychain, expected) in &mut table {
        let error = format!("{:#}", keychain.get(UNIX_EPOCH).unwrap_err());
        assert!(error.contains(*expected), "{error}");
        assert!(
            !error.contains('\n') && !error.contains("hunter2"),
            "{error}"
        );
    }

    for (status, body) in [
        (403, r#"{"message":"Access Denied"}"#),
        (200, r#"{"credentials":{"secretAccessKey":"hunter2"}}"#),
    ] {
        server.answers(status, body);
        let error = format!(
            "{:#}",
            server
                .keychain(known.clone(), known_key.clone())
                .get(UNIX_EPOCH)
                .unwrap_err()
        );
        assert!(
            error.contains("iot:AssumeRoleWithCertificate") && !error.contains("hunter2"),
            "{error}"
        );
    }
}
