//! Bluesky's Jetstream, read over real sockets from a WebSocket server that pings, disconnects and
//! knows cursors.

mod support;

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use support::board::board_to;
use support::jetstream::*;
use support::source::*;
use tungstenite::Message;

use headwater::net::endpoint::Endpoint;
use headwater::platform::facts::Facts;
use headwater::platform::time::TestClock;
use headwater::source::Feed;
use headwater::source::jetstream::{Jetstream, Settings};
use testkit::kinesis::Kinesis;
use testkit::proxy::Proxy;
use testkit::tls::Authority;
use testkit::wait_until;
use testkit::web::Web;

#[test]
fn only_wanted_posts_arrive_as_they_were_sent() {
    // Given all kinds of events
    let deleted = r#"{"did":"did:plc:a","time_us":1763689821000001,"kind":"commit","commit":{"operation":"delete","collection":"app.bsky.feed.post","rkey":"1"}}"#;
    let identity = r#"{"did":"did:plc:a","time_us":1763689821000002,"kind":"identity","identity":{"handle":"pizza"}}"#;
    let like = r#"{"did":"did:plc:a","time_us":1763689821000003,"kind":"commit","commit":{"operation":"create","collection":"app.bsky.feed.like","record":{"text":"pizza"}}}"#;
    let wanted = event(FIRST_US + 4, "Pizza\n🍕 \"now\"");
    let events = [
        deleted,
        identity,
        like,
        "nonsense",
        &event(FIRST_US, "pasta"),
        &wanted,
    ]
    .map(str::to_owned);
    let server = JetstreamServer::start(move |_, _, socket| {
        for event in &events {
            send(socket, event.clone());
        }
        wait_for_close(socket);
    });
    let feed = feed(Arc::default(), None);

    // When they are read
    let running = Running::start(Jetstream::new(settings(&[&server])), &feed);
    wait_until("a post is read", || !records(&feed).is_empty());
    running.stop().unwrap();

    // Then the one post is there, and the others are counted
    assert_eq!(records(&feed), [("did:plc:nutr".to_owned(), wanted)]);
    assert_eq!(feed.counters.filtered.get(), 1);
    assert_eq!(feed.counters.unusable.get(), 1);
    let asked = server.asked();
    assert!(
        asked[0].starts_with("/subscribe?wantedCollections=app.bsky.feed.post&"),
        "{asked:?}"
    );
    assert!(!asked[0].contains("cursor"), "the first start is live");
}

#[test]
fn twenty_disconnects_lose_none_of_ten_thousand_events() {
    // Given a server that cuts each of twenty connections, one way or another, and goes on from the
    // cursor
    const EVENTS: u64 = 10_000;
    // 50 ms between events: the rewind of a few seconds takes back some hundred of them.
    let time_of = |index: u64| FIRST_US + index * 50_000;
    let server = JetstreamServer::start(move |nth, cursor, socket| {
        let first = (0..EVENTS)
            .find(|&index| time_of(index) >= cursor.unwrap_or(0))
            .unwrap();
        let end = if nth < 20 {
            (nth as u64 + 1) * EVENTS / 21
        } else {
            EVENTS
        };
        for index in first..end {
            if index % 1000 == 0 {
                socket.send(Message::Ping("are you there?".into())).unwrap();
            }
            let text = format!("pizza number {index}");
            if !send(socket, event(time_of(index), &text)) {
                return;
            }
        }
        match nth {
            20 => wait_for_close(socket),
            nth if nth % 3 == 0 => drop(socket.close(None)),
            _ => drop(socket.get_mut().shutdown(std::net::Shutdown::Both)),
        }
    });
    let feed = feed(Arc::default(), None);

    // When it is read to the end
    let running = Running::start(Jetstream::new(settings(&[&server])), &feed);
    let last = event(time_of(EVENTS - 1), &format!("pizza number {}", EVENTS - 1));
    wait_until("the last event is read", || {
        feed.position() == format!("jetstream {}", time_of(EVENTS - 1)).into_bytes()
    });
    running.stop().unwrap();

    // Then each event is there, and the twenty first connections ended
    let records = records(&feed);
    let distinct: BTreeSet<_> = records.iter().map(|(_, data)| data).collect();
    assert_eq!(distinct.len() as u64, EVENTS);
    assert!(distinct.contains(&last));
    assert_eq!(server.asked().len(), 21);
    assert!(
        (records.len() as u64) < EVENTS + 20 * 110,
        "a reconnect repeats a few seconds only"
    );
}

#[test]
fn a_ping_is_answered_while_nothing_else_comes() {
    let ponged = Arc::new(Mutex::new(false));
    let server = {
        let ponged = ponged.clone();
        JetstreamServer::start(move |_, _, socket| {
            socket.send(Message::Ping("1".into())).unwrap();
            while let Ok(message) = socket.read() {
                *ponged.lock().unwrap() |= message == Message::Pong("1".into());
            }
        })
    };
    let feed = feed(Arc::default(), None);
    let running = Running::start(Jetstream::new(settings(&[&server])), &feed);
    wait_until("the ping is answered", || *ponged.lock().unwrap());
    running.stop().unwrap();
}

#[test]
fn a_minute_of_silence_is_a_dead_connection() {
    // Given a server that falls silent after one event
    let server = JetstreamServer::start(|_, _, socket| {
        send(socket, event(FIRST_US, "pasta"));
        // The next connection must not wait for this one.
        let stream = socket.get_ref().try_clone().unwrap();
        std::thread::spawn(move || {
            std::io::copy(&mut &stream, &mut std::io::sink()).unwrap_or_default()
        });
    });
    let clock: Arc<TestClock> = Arc::default();
    let feed = feed(clock.clone(), None);
    let running = Running::start(Jetstream::new(settings(&[&server])), &feed);
    wait_until("the event is seen", || feed.counters.filtered.get() == 1);

    // When a minute goes by
    clock.advance(Duration::from_secs(61));

    // Then it is asked again
    wait_until("it is connected again", || server.asked().len() == 2);
    running.stop().unwrap();
}

#[test]
fn a_restart_goes_on_a_few_seconds_before_the_last_event_even_if_none_matched() {
    let folder = tempfile::tempdir().unwrap();
    let server = JetstreamServer::start(|nth, _, socket| {
        if nth == 0 {
            send(socket, event(FIRST_US, "pizza"));
            send(socket, event(FIRST_US + 60_000_000, "pasta"));
        }
        wait_for_close(socket);
    });

    // Given a run that saw a post that matches, and one a minute later that does not
    let first = feed(Arc::default(), Some(folder.path()));
    let running = Running::start(Jetstream::new(settings(&[&server])), &first);
    wait_until("both are seen", || first.counters.filtered.get() == 1);
    running.stop().unwrap();
    assert_eq!(
        first.position(),
        format!("jetstream {FIRST_US}").into_bytes()
    );

    // When it is started again, with the spool or the state alone
    let with_spool = Feed {
        state: Arc::new(Facts::open(None, None)),
        stop: Arc::default(),
        ..first
    };
    let with_state = feed(Arc::default(), Some(folder.path()));
    for (nth, (feed, last)) in [(with_spool, FIRST_US), (with_state, FIRST_US + 60_000_000)]
        .into_iter()
        .enumerate()
    {
        let running = Running::start(Jetstream::new(settings(&[&server])), &feed);
        wait_until("it is connected", || server.asked().len() == nth + 2);

        // Then it goes on where that ended
        let cursor = format!("&cursor={}", last - 5_000_000);
        assert!(
            server.asked()[nth + 1].ends_with(&cursor),
            "{:?}",
            server.asked()
        );
        running.stop().unwrap();
    }
}

#[test]
fn a_host_that_fails_gives_way_to_the_next() {
    // Given a host that accepts no WebSocket and one that does
    let refuses = Web::start(|_, connection| answer(connection, 503, "", ""));
    let serves = JetstreamServer::start(|_, _, socket| {
        send(socket, event(FIRST_US, "pizza"));
        wait_for_close(socket);
    });
    let refusing = Endpoint::parse(&refuses.url().replace("http", "ws"), false).unwrap();
    let clock: Arc<TestClock> = Arc::default();
    let feed = feed(clock.clone(), None);
    let settings = Settings {
        endpoints: vec![refusing, serves.endpoint.clone()],
        ..settings(&[&serves])
    };

    // When they are read
    let running = Running::start(Jetstream::new(settings), &feed);
    wait_until("a post is read", || records(&feed).len() == 1);
    running.stop().unwrap();

    // Then the second was asked 5 s after the first refused
    assert_eq!(refuses.requests().len(), 1);
    assert_eq!(clock.sleeps(), [Duration::from_secs(5)]);
}

#[test]
fn the_stream_is_encrypted_and_goes_by_way_of_the_proxy() {
    // Given a server behind TLS, and a proxy
    let authority = Authority::new();
    let config = authority.server(None);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let connection = rustls::ServerConnection::new(config.clone()).unwrap();
            let encrypted = rustls::StreamOwned::new(connection, stream);
            let mut socket = tungstenite::accept(encrypted).unwrap();
            socket
                .send(Message::text(event(FIRST_US, "pizza")))
                .unwrap();
            while socket.read().is_ok() {}
        }
    });
    let proxy = Proxy::start().unwrap();
    let kinesis = Kinesis::scripted([]);
    let board = board_to(&kinesis.url());
    let bundle = board.card().join("ca.pem");
    std::fs::write(&bundle, authority.pem()).unwrap();

    // When the real program reads it
    let board = board
        .with("AWS_CA_BUNDLE", bundle)
        .with("HTTPS_PROXY", proxy.url())
        .with("NO_PROXY", "127.0.0.1")
        .with("JETSTREAM_URL", format!("wss://localhost:{port}"));
    let running = board.start(&["pizza", "--source", "jetstream"]).unwrap();
    wait_until("the post is in Kinesis", || kinesis.count() > 0);
    drop(running);

    // Then it came through the proxy
    assert_eq!(kinesis.data(), [event(FIRST_US, "pizza")]);
    assert_eq!(proxy.targets(), [format!("localhost:{port}")]);
}
