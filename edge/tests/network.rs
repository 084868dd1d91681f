//! The real program on its way to Kinesis: TLS and whom it trusts, proxies, and how it ends.

mod support;

use std::fs;
use std::io::Read;
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
