//! The real program on its way to Kinesis: TLS and whom it trusts, proxies, and how it ends.

mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use support::kinesis::{Kinesis, Reply};
use support::program::heard;
use support::proxy::proxy;
use support::tls::Authority;

/// `headwater --source lines` with an environment of its own and a spool in `folder`.
fn headwater(folder: &Path, endpoint: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_headwater"));
    command
        .env_clear()
        .env("XDG_RUNTIME_DIR", folder)
        .env("HOME", folder)
        .env("AWS_ACCESS_KEY_ID", "AK")
        .env("AWS_SECRET_KEY", "a-secret-of-the-tests")
        .env("AWS_REGION", "eu-west-1")
        .env("AWS_STREAM_NAME", "posts")
        .args([
            "--source",
            "lines",
            "--endpoint",
            endpoint,
            "--spool-size",
            "1MiB",
            "--spool",
        ])
        .arg(folder.join("spool"))
        .stdin(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Gives it `lines` and the end of input, waits for it, and says whether it succeeded and what it said.
fn finish(mut child: Child, lines: &str) -> (bool, String) {
    child
        .stdin
        .take()
        .unwrap()
        .write_all(lines.as_bytes())
        .unwrap();
    ended(child)
}

/// Waits for its end: whether it succeeded, and what it said.
fn ended(child: Child) -> (bool, String) {
    let output = child.wait_with_output().unwrap();
    heard(&output.stderr);
    (
        output.status.success(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

/// Asks it to end, as systemd does.
fn terminate(child: &Child) {
    let killed = Command::new("kill")
        .args(["-TERM", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(killed.success());
}

/// Reads what it says until a line holds `text`.
fn until_said(reader: &mut impl BufRead, text: &str) -> String {
    let mut said = String::new();
    while !said.contains(text) {
        assert_ne!(
            reader.read_line(&mut said).unwrap(),
            0,
            "it ended, and said only: {said}"
        );
    }
    said
}

/// What `lines` envelopes hold, in order.
fn lines_in(server: &Kinesis) -> Vec<String> {
    let line = |data: &String| {
        serde_json::from_str::<serde_json::Value>(data).unwrap()["line"].to_string()
    };
    server.data().iter().map(line).collect()
}

#[test]
fn standard_input_that_ends_ends_the_run_with_all_sent() {
    let folder = tempfile::tempdir().unwrap();
    let server = Kinesis::scripted([Reply::error(500, "InternalFailure")]);
    let (success, said) = finish(
        headwater(folder.path(), &server.url()).spawn().unwrap(),
        "1\n2\n3\n",
    );
    assert!(success, "{said}");
    assert_eq!(lines_in(&server), ["1", "2", "3"]);
    assert!(
        said.contains("read 3, delivered 3, 0 wait in the spool"),
        "{said}"
    );
}

#[test]
fn a_hundred_thousand_lines_in_one_breath_all_arrive_once() {
    let folder = tempfile::tempdir().unwrap();
    let server = Kinesis::scripted([]);
    let numbers: Vec<String> = (1..=100_000).map(|n: u32| n.to_string()).collect();
    let child = headwater(folder.path(), &server.url()).spawn().unwrap();
    let (success, said) = finish(child, &(numbers.join("\n") + "\n"));
    assert!(success, "{said}");
    assert_eq!(lines_in(&server), numbers);
}

#[test]
fn a_server_is_trusted_by_its_authority_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (own, other) = (Authority::new(), Authority::new());
    let server = Kinesis::encrypted(own.server(None));
    let endpoint = format!("https://localhost:{}", server.port);

    // Given no word about the authority, or another authority's, the program does not go on with the server
    let other_file = folder.path().join("other.pem");
    std::fs::write(&other_file, other.pem()).unwrap();
    for bundle in [None, Some(&other_file)] {
        let mut command = headwater(folder.path(), &endpoint);
        if let Some(bundle) = bundle {
            command.env("SSL_CERT_FILE", bundle);
        }
        let mut child = command.spawn().unwrap();
        child.stdin.as_mut().unwrap().write_all(b"kept\n").unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        until_said(
            &mut stderr,
            "name its authority in AWS_CA_BUNDLE; every post is kept",
        );
        terminate(&child);
        assert!(child.wait().unwrap().success());
        assert_eq!(server.data().len(), 0);
    }

    // Given the authority, then all that was kept arrives
    let own_file = folder.path().join("own.pem");
    std::fs::write(&own_file, own.pem()).unwrap();
    let child = headwater(folder.path(), &endpoint)
        .env("AWS_CA_BUNDLE", &own_file)
        .spawn()
        .unwrap();
    let (success, said) = finish(child, "new\n");
    assert!(success, "{said}");
    assert_eq!(lines_in(&server).last().unwrap(), "\"new\"");
}

#[test]
fn the_proxy_of_the_environment_is_used_unless_told_otherwise() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let bundle = folder.path().join("ca.pem");
    std::fs::write(&bundle, authority.pem()).unwrap();
    let server = Kinesis::encrypted(authority.server(None));
    let endpoint = format!("https://localhost:{}", server.port);
    let (proxy, targets) = proxy();

    for (no_proxy, seen) in [("", 1), ("localhost", 1)] {
        let mut command = headwater(folder.path(), &endpoint);
        command
            .env("AWS_CA_BUNDLE", &bundle)
            .env("HTTPS_PROXY", &proxy)
            .env("NO_PROXY", no_proxy);
        let (success, said) = finish(command.spawn().unwrap(), "1\n");
        assert!(success, "{said}");
        assert_eq!(
            *targets.lock().unwrap(),
            vec![format!("localhost:{}", server.port); seen],
            "NO_PROXY={no_proxy}"
        );
    }
    assert_eq!(server.data().len(), 2);
}

#[test]
fn a_signal_ends_it_with_success_and_says_what_waits() {
    // Given a server that is not there
    let folder = tempfile::tempdir().unwrap();
    let free = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let mut child = headwater(folder.path(), &format!("http://{free}"))
        .spawn()
        .unwrap();
    child.stdin.as_mut().unwrap().write_all(b"1\n2\n").unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    until_said(&mut stderr, "refuses the connection");

    // When it is asked to end
    terminate(&child);

    // Then it does, and says that the posts wait
    let mut rest = String::new();
    stderr.read_to_string(&mut rest).unwrap();
    heard(rest.as_bytes());
    assert!(child.wait().unwrap().success(), "{rest}");
    assert!(rest.contains("delivered 0, 2 wait in the spool"), "{rest}");
}

#[test]
fn a_server_that_hangs_does_not_delay_the_end() {
    // Given a server that takes connections and never answers
    let folder = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let mut child = headwater(folder.path(), &endpoint).spawn().unwrap();
    child.stdin.as_mut().unwrap().write_all(b"1\n").unwrap();
    let (mut connection, _) = listener.accept().unwrap();
    assert_ne!(connection.read(&mut [0; 64]).unwrap(), 0);

    // When it is asked to end while it waits for the answer, then it does not wait for the answer
    terminate(&child);
    let (success, said) = ended(child);
    assert!(success && said.contains("1 wait in the spool"), "{said}");
}

/// Runs it with these settings until it refuses them: what it said.
fn refused(endpoint: &str, settings: &[(&str, &str)]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let mut command = headwater(folder.path(), endpoint);
    command.envs(settings.iter().copied()).stdin(Stdio::null());
    let output = command.output().unwrap();
    heard(&output.stderr);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{settings:?}: {said}");
    said
}

#[test]
fn a_proxy_that_cannot_be_used_is_refused_at_the_start() {
    let server = Kinesis::scripted([]);
    for (name, value) in [
        ("HTTPS_PROXY", "socks5://me:hunter2@127.0.0.1:1080"),
        ("https_proxy", "http://me:hunter2@"),
        ("ALL_PROXY", "ftp://127.0.0.1"),
        ("HTTP_PROXY", "a proxy of hunter2"),
        ("all_proxy", "http://127.0.0.1:99999"),
    ] {
        let said = refused(&server.url(), &[(name, value)]);
        assert!(said.contains(name), "{said}");
        assert!(!said.contains("hunter2"), "{said}");
    }
    assert_eq!(server.data().len(), 0);
}

#[test]
fn an_address_with_a_password_and_a_bundle_without_certificates_are_refused_at_the_start() {
    let said = refused("https://me:hunter2@kinesis.example", &[]);
    assert!(said.contains("no user and no password"), "{said}");
    assert!(!said.contains("hunter2"), "{said}");

    let folder = tempfile::tempdir().unwrap();
    let bundle = folder.path().join("ca.pem");
    for text in [
        "no certificate at all",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        "-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n",
    ] {
        std::fs::write(&bundle, text).unwrap();
        let path = bundle.to_str().unwrap();
        let said = refused("https://kinesis.example", &[("AWS_CA_BUNDLE", path)]);
        assert!(
            said.contains("AWS_CA_BUNDLE") && said.contains(path),
            "{said}"
        );
    }
}

#[test]
fn a_proxy_that_fails_is_named_and_not_the_server() {
    // Given a proxy that is not there, and one that connects nobody to anything
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr();
    let dead = free.unwrap().to_string();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let strict = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let mut request = BufReader::new(&client);
            let mut line = String::new();
            while request.read_line(&mut line).unwrap() > 2 {}
            (&client)
                .write_all(b"HTTP/1.1 403 Forbidden\r\n\r\n")
                .unwrap();
        }
    });
    for (proxy, complaint) in [
        (
            &dead,
            "refuses the connection; is it running, and HTTPS_PROXY right?",
        ),
        (&strict, "does not connect to kinesis.example"),
    ] {
        // When a post is to go that way
        let folder = tempfile::tempdir().unwrap();
        let mut child = headwater(folder.path(), "https://kinesis.example")
            .env("HTTPS_PROXY", format!("http://me:hunter2@{proxy}"))
            .spawn()
            .unwrap();
        child.stdin.as_mut().unwrap().write_all(b"1\n").unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        // Then it is the proxy that is complained about
        let said = until_said(&mut stderr, complaint);
        assert!(said.contains(&format!("the proxy {proxy} ")), "{said}");
        assert!(!said.contains("hunter2"), "{said}");
        terminate(&child);
        assert!(child.wait().unwrap().success());
    }
}

#[test]
fn no_proxy_names_a_domain_for_all_hosts_below_it() {
    // Given a proxy, and lists that name the server in the ways that curl understands
    let folder = tempfile::tempdir().unwrap();
    let server = Kinesis::scripted([]);
    let (proxy, targets) = proxy();
    let port = format!("127.0.0.1:{}", server.port);
    for list in ["foo, 127.0.0.1", &port, "127.0.0.0/8", "foo *"] {
        let mut command = headwater(folder.path(), &server.url());
        command.env("HTTPS_PROXY", &proxy).env("NO_PROXY", list);
        let (success, said) = finish(command.spawn().unwrap(), "1\n");
        assert!(success, "{said}");
        // Then the proxy is not asked
        assert_eq!(targets.lock().unwrap().len(), 0, "NO_PROXY={list}");
    }
    // And it is for a list that names others
    let mut command = headwater(folder.path(), &server.url());
    command
        .env("HTTPS_PROXY", &proxy)
        .env("NO_PROXY", "127.0.0.1:1, 0.0.1, 10.0.0.0/8");
    let (success, said) = finish(command.spawn().unwrap(), "1\n");
    assert!(success, "{said}");
    assert_eq!(*targets.lock().unwrap(), [port]);
    assert_eq!(server.data().len(), 5);
}
