//! A post on its way allocates nothing: memory is taken when the program starts and when a connection opens, then used again.
//!
//! What a call costs however many records it carries (what TLS encrypts it in, the parts of the answer's head) is bounded, not zero.

mod support;

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, SystemTime};

use allocation_counter::measure;
use aws_credential_types::Credentials;
use support::source::{self, endpoint};
use support::x::{post, settings, x_server};

use headwater::aws::kinesis::MAX_RECORDS;
use headwater::aws::kinesis::client::Client;
use headwater::aws::kinesis::outcome::{self, Outcome};
use headwater::aws::kinesis::request::Batch;
use headwater::aws::kinesis::wire::Wire;
use headwater::net::endpoint::Endpoint;
use headwater::net::roots::Roots;
use headwater::platform::time::SystemClock;
use headwater::post::filter::Filter;
use headwater::post::record::Record;
use headwater::source::lines::{self, Input, Lines};
use headwater::source::x::X;
use headwater::source::{Feed, Source};
use headwater::spool::{Appended, Options, Spool, WhenFull};
use testkit::kinesis::{Kinesis, Reply};
use testkit::wait_until;
use testkit::web::{begin_stream, chunk, wait_for_close};

/// Allocations of one call over an open, unencrypted connection: its date as it is signed, the date of the answer, the kind of an error.
const MAX_PER_CALL: u64 = 3;

const DATA: [u8; 570] = [b'x'; 570];

fn record() -> Record<'static> {
    Record {
        partition_key: "pizza\"lover\"",
        data: &DATA,
    }
}

fn spool(folder: &Path) -> Spool {
    let options = Options {
        card: folder.join("spool"),
        stage: Some(folder.join("stage")),
        size_bytes: 8 << 20,
        when_full: WhenFull::DropOldest,
        durable_within: Duration::from_secs(3600),
    };
    Spool::open(options, Arc::new(SystemClock::default())).unwrap()
}

/// Appends as many as one call carries, shows them, makes a body of them and lets them go.
fn one_round(spool: &Spool, batch: &mut Batch, committed: bool) {
    for _ in 0..MAX_RECORDS {
        assert!(matches!(
            spool.append(record(), b"place"),
            Appended::Kept(_)
        ));
    }
    if committed {
        spool.commit();
    }
    spool.peek(|seq, record| {
        if batch.push(seq, record) {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    });
    batch.close_packs();
    batch.body(MAX_RECORDS, "");
    spool.ack(batch.drop_first(MAX_RECORDS));
    assert_eq!(spool.stats().waiting_records, 0);
}

#[test]
fn a_post_goes_through_the_spool_into_a_request_without_an_allocation() {
    let json = || Batch::new("posts", Wire::Json);
    let cbor = || Batch::new("posts", Wire::Cbor);
    let batches = [json(), cbor(), json().packing(), cbor().packing()];
    for (mut batch, committed) in batches.into_iter().zip([false, true].into_iter().cycle()) {
        // Given a spool and a batch that were used before
        let folder = tempfile::tempdir().unwrap();
        let spool = spool(folder.path());
        for _ in 0..20 {
            one_round(&spool, &mut batch, committed);
        }

        // When thousands more go through
        let allocated = measure(|| {
            for _ in 0..10 {
                one_round(&spool, &mut batch, committed);
            }
        });

        // Then nothing is allocated
        assert_eq!(
            allocated.count_total, 0,
            "committed: {committed}, {allocated:?}"
        );
    }
}

#[test]
fn a_call_with_500_posts_allocates_as_often_as_one_with_2() {
    // Given a connection that is open
    let server = Kinesis::start(|_, _| Reply::Accept);
    let endpoint = Endpoint::parse(&server.url(), false).unwrap();
    let mut client = Client::new(&endpoint, "eu-west-1", Roots::default());
    let credentials = Credentials::new("AKIDEXAMPLE", "a-secret-of-the-tests", None, None, "test");
    let mut batch = Batch::new("posts", Wire::Json);
    while batch.push(0, record()) {}
    let mut allocated_by = |count: usize| {
        let allocated = measure(|| {
            let (call, body) = batch.body(count, "");
            let now = SystemTime::now();
            let answer = client
                .put(call, Wire::Json, body, &credentials, now)
                .unwrap();
            let outcome = outcome::read(answer.wire, answer.status, None, answer.body, count);
            assert!(matches!(outcome, Outcome::Delivered(_)), "{outcome:?}");
        });
        allocated.count_total
    };
    for count in [MAX_RECORDS, 2, 1] {
        allocated_by(count);
    }

    // When it carries one post, few or many
    let (one, few, many) = (allocated_by(1), allocated_by(2), allocated_by(MAX_RECORDS));

    // Then the number of posts makes no difference
    assert_eq!(few, many);
    assert!(one <= MAX_PER_CALL, "{one} allocations for a PutRecord");
    assert!(many <= MAX_PER_CALL, "{many} allocations for a PutRecords");
}

/// How often the thread of `source` allocates until `posts` of them are read.
fn allocated_by_source(mut source: impl Source, feed: &Feed, posts: u64) -> u64 {
    thread::scope(|scope| {
        scope.spawn(|| {
            wait_until("all are read", || feed.counters.read.get() == posts);
            feed.stop.ask();
        });
        measure(|| source.run(feed).unwrap()).count_total
    })
}

fn feed(folder: &Path) -> Feed {
    let clock = Arc::new(SystemClock::default());
    Feed {
        spool: Arc::new(spool(folder)),
        clock,
        ..source::feed(Arc::default(), None)
    }
}

#[test]
fn a_thousand_lines_are_read_with_the_allocations_of_ten() {
    let allocated = [10, 1010].map(|posts| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lines");
        let line = r#"{"sensor":"kitchen","celsius":21.5,"pizza":"marg\"herita"}"#;
        fs::write(&path, format!("{line}\n").repeat(posts)).unwrap();
        let settings = lines::Settings {
            input: Input::Files(vec![path]),
            filter: Some(Filter::parse("pizza").unwrap()),
            partition_key: None,
            host: "board-7".to_owned(),
        };
        allocated_by_source(Lines::new(settings), &feed(folder.path()), posts as u64)
    });
    assert_eq!(allocated[0], allocated[1]);
}

#[test]
fn a_thousand_posts_of_x_are_read_with_the_allocations_of_ten() {
    // The first run, of the process, also remembers the token as a secret.
    let [_, few, many] = [10, 10, 1010].map(|posts| {
        let server = x_server(move |_, connection| {
            begin_stream(connection);
            for _ in 0..posts {
                chunk(connection, format!("{}\r\n", post(1)).as_bytes());
            }
            wait_for_close(connection);
            false
        });
        let folder = tempfile::tempdir().unwrap();
        let source = X::new(settings(endpoint(&server)));
        allocated_by_source(source, &feed(folder.path()), posts)
    });
    assert_eq!(few, many);
}
