//! Credentials from AWS IoT, by a device certificate: the provider's protocol over real mutual TLS.

mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, UNIX_EPOCH};

use headwater::aws::credentials::iot::{Iot, Settings};
use headwater::aws::credentials::{Keychain, Provider};
use headwater::net::endpoint::Endpoint;
use headwater::net::roots::Roots;
use rustls::{ServerConfig, ServerConnection, Stream};
use support::tls::Authority;

/// A credentials provider that demands a certificate of `devices`, and answers with what stands in `answer`.
struct Server {
    url: String,
    trusted: Roots,
    requests: Arc<Mutex<Vec<String>>>,
    answer: Arc<Mutex<(u16, String)>>,
}

impl Server {
    fn start(devices: &Authority) -> Self {
        let authority = Authority::new();
        let config = authority.server(Some(devices));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Self {
            url: format!(
                "https://localhost:{}",
                listener.local_addr().unwrap().port()
            ),
            trusted: authority.trusted(),
            requests: Arc::default(),
            answer: Arc::default(),
        };
        let (requests, answer) = (server.requests.clone(), server.answer.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                // A refused handshake is the test's business, not the server's.
                let _ = serve(stream, config.clone(), &requests, &answer);
            }
        });
        server
    }

    fn offers(&self, key: &str, expiration: &str) {
        let json = serde_json::json!({"credentials": {
            "accessKeyId": key, "secretAccessKey": "hunter2", "sessionToken": "a-token-of-the-tests", "expiration": expiration
        }});
        *self.answer.lock().unwrap() = (200, json.to_string());
    }

    fn keychain(&self, certificate: PathBuf, key: PathBuf) -> Keychain {
        let settings = Settings {
            endpoint: Endpoint::parse(&self.url, false).unwrap(),
            role_alias: "headwater".into(),
            thing: "shed".into(),
            certificate,
            key,
        };
        Keychain::new(Provider::Iot(Iot::new(settings, self.trusted.clone())))
    }
}

fn serve(
    mut stream: TcpStream,
    config: Arc<ServerConfig>,
    requests: &Mutex<Vec<String>>,
    answer: &Mutex<(u16, String)>,
) -> std::io::Result<()> {
    let mut tls = ServerConnection::new(config).unwrap();
    let mut stream = Stream::new(&mut tls, &mut stream);
    let mut request = String::new();
    {
        let mut reader = BufReader::new(&mut stream);
        while reader.read_line(&mut request)? > 2 {}
    }
    requests.lock().unwrap().push(request);
    let (status, body) = answer.lock().unwrap().clone();
    write!(
        stream,
        "HTTP/1.1 {status} X\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )?;
    stream.conn.send_close_notify();
    stream.flush()?;
    // The client closes first, so that nothing unread resets the connection under its answer.
    let _ = stream.sock.read(&mut [0; 64]);
    Ok(())
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
    let request = server.requests.lock().unwrap()[0].to_lowercase();
    assert!(
        request.starts_with("get /role-aliases/headwater/credentials http/1.1"),
        "{request}"
    );
    assert!(request.contains("x-amzn-iot-thingname: shed"), "{request}");

    // And asked for again only shortly before they expire; while the provider fails, the old ones serve to their end
    server.offers("second", "1970-01-01T02:00:00Z");
    assert_eq!(keychain.get(at(50)).unwrap().access_key_id(), "first");
    assert_eq!(keychain.get(at(55)).unwrap().access_key_id(), "second");
    *server.answer.lock().unwrap() = (500, "{}".into());
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
        *server.answer.lock().unwrap() = (status, body.into());
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
