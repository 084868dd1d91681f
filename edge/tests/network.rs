//! The real program on its way to Kinesis: TLS and whom it trusts, proxies, and how it ends.

mod support;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;

use rustix::process::Signal;
use support::board::board_to;

use testkit::kinesis::{Kinesis, Reply};
use testkit::nobody;
use testkit::program::Board;
use testkit::proxy::Proxy;
use testkit::tls::Authority;

/// A board with the folders and the names of settings that a login gives, not a service.
fn board(url: &str) -> Board {
    let mut board = board_to(url);
    let home = board.card().to_owned();
    board
        .unset("RUNTIME_DIRECTORY")
        .unset("AWS_SECRET_ACCESS_KEY")
        .set("AWS_SECRET_KEY", "a-secret-of-the-tests")
        .set("XDG_RUNTIME_DIR", &home)
        .set("HOME", &home);
    board
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
    let server = Kinesis::scripted([Reply::error(500, "InternalFailure")]);
    let board = board(&server.url());
    let mut running = board.start(&[]).unwrap();
    running.write(&["1", "2", "3"]);
    let (success, said) = running.end();
    assert!(success, "{said}");
    assert_eq!(lines_in(&server), ["1", "2", "3"]);
    assert!(
        said.contains("read 3, delivered 3, 0 wait in the spool"),
        "{said}"
    );
}

#[test]
fn a_hundred_thousand_lines_in_one_breath_all_arrive_once() {
    let server = Kinesis::scripted([]);
    let numbers: Vec<String> = (1..=100_000).map(|n: u32| n.to_string()).collect();
    let board = board(&server.url());
    let mut running = board.start(&[]).unwrap();
    running.write(&numbers.iter().map(String::as_str).collect::<Vec<_>>());
    let (success, said) = running.end();
    assert!(success, "{said}");
    assert_eq!(lines_in(&server), numbers);
}

#[test]
fn a_server_is_trusted_by_its_authority_alone() {
    let (own, other) = (Authority::new(), Authority::new());
    let server = Kinesis::encrypted(own.server(None));
    let mut board = board(&format!("https://localhost:{}", server.port()));

    // Given no word about the authority, or another authority's, the program does not go on with the server
    let other_file = board.card().join("other.pem");
    fs::write(&other_file, other.pem()).unwrap();
    for bundle in [None, Some(&other_file)] {
        if let Some(bundle) = bundle {
            board.set("SSL_CERT_FILE", bundle);
        }
        let mut running = board.start(&[]).unwrap();
        running.write(&["kept"]);
        running.wait_for("name its authority in AWS_CA_BUNDLE; every post is kept");
        running.signal(Signal::TERM);
        assert!(running.end().0);
        assert_eq!(server.count(), 0);
    }

    // Given the authority, then all that was kept arrives
    let own_file = board.card().join("own.pem");
    fs::write(&own_file, own.pem()).unwrap();
    board.unset("SSL_CERT_FILE").set("AWS_CA_BUNDLE", own_file);
    let mut running = board.start(&[]).unwrap();
    running.write(&["new"]);
    let (success, said) = running.end();
    assert!(success, "{said}");
    assert_eq!(lines_in(&server).last().unwrap(), "\"new\"");
}

#[test]
fn the_proxy_of_the_environment_is_used_unless_told_otherwise() {
    let authority = Authority::new();
    let server = Kinesis::encrypted(authority.server(None));
    let mut board = board(&format!("https://localhost:{}", server.port()));
    let bundle = board.card().join("ca.pem");
    fs::write(&bundle, authority.pem()).unwrap();
    let proxy = Proxy::start().unwrap();
    board
        .set("AWS_CA_BUNDLE", bundle)
        .set("HTTPS_PROXY", proxy.url());

    for (no_proxy, seen) in [("", 1), ("localhost", 1)] {
        board.set("NO_PROXY", no_proxy);
        let mut running = board.start(&[]).unwrap();
        running.write(&["1"]);
        let (success, said) = running.end();
        assert!(success, "{said}");
        assert_eq!(
            proxy.targets(),
            vec![format!("localhost:{}", server.port()); seen],
            "NO_PROXY={no_proxy}"
        );
    }
    assert_eq!(server.count(), 2);
}

#[test]
fn a_signal_ends_it_with_success_and_says_what_waits() {
    // Given a server that is not there
    let board = board(&format!("http://{}", nobody()));
    let mut running = board.start(&[]).unwrap();
    running.write(&["1", "2"]);
    running.wait_for("refuses the connection");

    // When it is asked to end
    running.signal(Signal::TERM);

    // Then it does, and says that the posts wait
    let (success, said) = running.end();
    assert!(success, "{said}");
    assert!(said.contains("delivered 0, 2 wait in the spool"), "{said}");
}

#[test]
fn a_server_that_hangs_does_not_delay_the_end() {
    // Given a server that takes connections and never answers
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let board = board(&format!("http://{}", listener.local_addr().unwrap()));
    let mut running = board.start(&[]).unwrap();
    running.write(&["1"]);
    let (mut connection, _) = listener.accept().unwrap();
    assert_ne!(connection.read(&mut [0; 64]).unwrap(), 0);

    // When it is asked to end while it waits for the answer, then it does not wait for the answer
    running.signal(Signal::TERM);
    let (success, said) = running.end();
    assert!(success && said.contains("1 wait in the spool"), "{said}");
}

/// Runs it with these settings until it refuses them: what it said.
fn refused(endpoint: &str, settings: &[(&str, &str)]) -> String {
    let mut board = board(endpoint);
    for (name, value) in settings {
        board.set(name, value);
    }
    let output = board.output(&[]);
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
        let mut board = board("https://kinesis.example");
        board.set("HTTPS_PROXY", format!("http://me:hunter2@{proxy}"));
        let mut running = board.start(&[]).unwrap();
        running.write(&["1"]);
        // Then it is the proxy that is complained about
        running.wait_for(complaint);
        running.signal(Signal::TERM);
        let (success, said) = running.end();
        assert!(
            success && said.contains(&format!("the proxy {proxy} ")),
            "{said}"
        );
        assert!(!said.contains("hunter2"), "{said}");
    }
}

#[test]
fn no_proxy_names_a_domain_for_all_hosts_below_it() {
    // Given a proxy, and lists that name the server in the ways that curl understands
    let server = Kinesis::scripted([]);
    let proxy = Proxy::start().unwrap();
    let port = format!("127.0.0.1:{}", server.port());
    let send = |list: &str| {
        let mut board = board(&server.url());
        board.set("HTTPS_PROXY", proxy.url()).set("NO_PROXY", list);
        let mut running = board.start(&[]).unwrap();
        running.write(&["1"]);
        let (success, said) = running.end();
        assert!(success, "{said}");
    };
    for list in ["foo, 127.0.0.1", &port, "127.0.0.0/8", "foo *"] {
        send(list);
        // Then the proxy is not asked
        assert_eq!(proxy.targets().len(), 0, "NO_PROXY={list}");
    }
    // And it is for a list that names others
    send("127.0.0.1:1, 0.0.1, 10.0.0.0/8");
    assert_eq!(proxy.targets(), [port]);
    assert_eq!(server.data().len(), 5);
}
