//! TLS sessions on the way to Kinesis: the second connection to a server is cheap, and one whose tickets are gone is no failure.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::SystemTime;

use aws_credential_types::Credentials;
use rustls::version::{TLS12, TLS13};

use headwater::aws::kinesis::client::Client;
use headwater::aws::kinesis::outcome::{self, Outcome};
use headwater::aws::kinesis::request::Batch;
use headwater::aws::kinesis::wire::Wire;
use headwater::net::endpoint::Endpoint;
use headwater::net::meter::Sent;
use headwater::net::roots::Roots;
use headwater::post::record::Record;
use testkit::kinesis::Kinesis;
use testkit::tls::Authority;

/// Forwards connections to a server, and counts their bytes both ways.
struct Forwarder {
    port: u16,
    /// The server's, which may change.
    to: Arc<AtomicU16>,
    bytes: Arc<AtomicU64>,
    /// One word for each connection that has ended.
    ended: mpsc::Receiver<()>,
}

impl Forwarder {
    fn start(to: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (told, ended) = mpsc::channel();
        let forwarder = Self {
            port: listener.local_addr().unwrap().port(),
            to: Arc::new(AtomicU16::new(to)),
            bytes: Arc::default(),
            ended,
        };
        let (to, bytes) = (forwarder.to.clone(), forwarder.bytes.clone());
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let server = TcpStream::connect(("127.0.0.1", to.load(Ordering::SeqCst))).unwrap();
                let (up, down) = (bytes.clone(), bytes.clone());
                let told = told.clone();
                let (from, into) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                thread::spawn(move || {
                    let back = thread::spawn(move || pump(server, client, &down));
                    pump(from, into, &up);
                    back.join().unwrap();
                    let _ = told.send(());
                });
            }
        });
        forwarder
    }

    fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::SeqCst)
    }
}

fn pump(mut from: TcpStream, mut to: TcpStream, count: &AtomicU64) {
    let mut piece = [0; 16 << 10];
    while let Ok(bytes @ 1..) = from.read(&mut piece) {
        count.fetch_add(bytes as u64, Ordering::SeqCst);
        if to.write_all(&piece[..bytes]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}

/// A client that puts one post at a time.
struct Sender {
    client: Client,
    batch: Batch,
}

impl Sender {
    fn new(port: u16, authority: &Authority) -> Self {
        let endpoint = Endpoint::parse(&format!("https://localhost:{port}"), false).unwrap();
        let mut batch = Batch::new("posts", Wire::Json);
        let record = Record {
            partition_key: "pizzalover",
            data: &[b'x'; 570],
        };
        batch.push(0, record);
        Self {
            client: Client::new(
                &endpoint,
                "eu-west-1",
                Roots::from_pem(authority.pem().as_bytes()).unwrap(),
            ),
            batch,
        }
    }

    fn put(&mut self) -> Sent {
        let keys = Credentials::new("AKIDEXAMPLE", "a-secret-of-the-tests", None, None, "test");
        let (call, body) = self.batch.body(1, "");
        let answer = self
            .client
            .put(call, Wire::Json, body, &keys, SystemTime::now())
            .unwrap();
        let outcome = outcome::read(answer.wire, answer.status, None, answer.body, 1);
        assert!(matches!(outcome, Outcome::Delivered(_)), "{outcome:?}");
        answer.sent
    }
}

#[test]
fn the_second_connection_to_a_server_is_resumed() {
    for version in [&TLS13, &TLS12] {
        // Given a server whose certificates have 4 KB
        let authority = Authority::new();
        let server = Kinesis::encrypted(authority.server_with_long_chain(version));
        let forwarder = Forwarder::start(server.port());
        let mut sender = Sender::new(forwarder.port, &authority);
        let cost = |sender: &mut Sender, ends: bool| {
            let before = forwarder.bytes();
            let sent = sender.put();
            if ends {
                sender.client.reconnect();
                forwarder.ended.recv().unwrap();
            }
            let cost = forwarder.bytes() - before;
            assert_eq!(sent.traffic, cost);
            cost
        };
        // When a connection carries two posts, and another one
        let first = cost(&mut sender, false);
        let post = cost(&mut sender, true);
        let second = cost(&mut sender, true);
        assert_eq!(server.connections(), 2);

        // Then the second handshake takes at most 40% of the bytes of the first
        let handshakes = [first - post, second - post];
        println!("{version:?}: a post {post}, handshakes {handshakes:?}, a post a minute {second}");
        assert!(handshakes[0] > 4000, "{handshakes:?}");
        assert!(handshakes[1] * 10 <= handshakes[0] * 4, "{handshakes:?}");
        // And a post a minute, each over a connection of its own, at most 3 KB
        assert!(second <= 3000, "{second}");
    }
}

#[test]
fn a_server_that_no_longer_knows_its_tickets_is_spoken_to_as_if_it_were_new() {
    for version in [&TLS13, &TLS12] {
        // Given a client with tickets of a server
        let authority = Authority::new();
        let server = Kinesis::encrypted(authority.server_with_long_chain(version));
        let forwarder = Forwarder::start(server.port());
        let mut sender = Sender::new(forwarder.port, &authority);
        sender.put();
        sender.client.reconnect();
        // When the server is started anew
        let anew = Kinesis::encrypted(authority.server_with_long_chain(version));
        forwarder.to.store(anew.port(), Ordering::SeqCst);
        // Then posts arrive as before, also the one after that
        for posts in 1..=2 {
            sender.put();
            sender.client.reconnect();
            assert_eq!(anew.data().len(), posts);
        }
    }
}
