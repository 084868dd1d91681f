//! One step of a post's way, done as often as asked: what `bench/instructions.sh` counts the instructions of.
//!
//! `instructions STEP POSTS` ends once so many posts have taken that step. Every run begins the same way, so that the difference between
//! two of them is the step alone.

use std::hint::black_box;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use aws_credential_types::Credentials;

use headwater::aws::kinesis::MAX_RECORDS;
use headwater::aws::kinesis::request::Batch;
use headwater::aws::kinesis::wire::Wire;
use headwater::aws::sign::Signer;
use headwater::net::endpoint::Endpoint;
use headwater::platform::time::SystemClock;
use headwater::post::filter::Filter;
use headwater::post::record::Record;
use headwater::spool::{Options, Spool, WhenFull};

/// A post of 570 bytes as a source gives it, with escapes and letters beyond ASCII.
const POST: &str = concat!(
    r#"{"data":{"id":"1990712345678901234","author_id":"2244994945","created_at":"2026-01-15T10:35:00.000Z","lang":"en","#,
    r#""text":"The best pizza in town, says \"everyone\" who ever stood in line for it on a Friday: crème fraîche, "#,
    r#"mushrooms, 🍕 and a crust that crackles. https://t.co/AbCdEfGhIj #pizza","edit_history_tweet_ids":["1990712345678901234"]},"#,
    r#""includes":{"users":[{"id":"2244994945","name":"Pizza Lover","username":"pizzalover"}]},"#,
    r#""matching_rules":[{"id":"1990712345670000000","tag":"headwater:pizza margherita"}],"x":"--------------------------------------------"}"#,
);

const KEY: &str = "pizzalover";

fn main() {
    assert_eq!(POST.len(), 570);
    let args: Vec<String> = std::env::args().collect();
    let [_, step, posts, ..] = args.as_slice() else {
        // Cargo's own `cargo bench` names no step.
        return eprintln!("usage: instructions STEP POSTS; bench/instructions.sh calls it");
    };
    let posts: usize = posts.parse().expect("a number of posts");
    match step.as_str() {
        "append" => append(posts),
        "commit" => commit(posts),
        "peek" => peek(posts),
        "filter" => filter(posts),
        "request" => request(posts, json()),
        "request-cbor" => request(posts, cbor()),
        "request-pack" => request(posts, json().packing()),
        "sign-500" => sign_calls(posts / MAX_RECORDS, MAX_RECORDS, json()),
        "sign-cbor" => sign_calls(posts / MAX_RECORDS, MAX_RECORDS, cbor()),
        "sign-pack" => sign_calls(posts / MAX_RECORDS, MAX_RECORDS, json().packing()),
        "sign-1" => sign_calls(posts, 1, json()),
        other => panic!("no step is called {other}"),
    }
}

fn record() -> Record<'static> {
    Record {
        partition_key: KEY,
        data: black_box(POST.as_bytes()),
    }
}

/// A spool as it runs on the board: its stage on tmpfs, its card where temporary files are.
fn with_spool(work: impl FnOnce(&Spool)) {
    let stage = tempfile::tempdir_in("/dev/shm").expect("a tmpfs");
    let card = tempfile::tempdir().expect("a folder");
    let options = Options {
        card: card.path().join("spool"),
        stage: Some(stage.path().join("stage")),
        size_bytes: 16 << 20,
        when_full: WhenFull::DropOldest,
        durable_within: Duration::from_secs(3600),
    };
    work(&Spool::open(options, Arc::new(SystemClock::default())).expect("a spool"));
}

/// Posts that one read of a source brings.
const AT_ONCE: usize = 25;

/// The network is healthy: posts come one by one, and each is acknowledged from the stage.
fn append(posts: usize) {
    with_spool(|spool| {
        for seq in 0..posts {
            black_box(spool.append(record(), b""));
            spool.ack(seq as u64 + 1);
        }
    });
}

/// The network is away: posts come many at a time, and are committed by the hundred.
fn commit(posts: usize) {
    with_spool(|spool| {
        for post in 1..=posts {
            black_box(spool.write(record(), b""));
            if post % AT_ONCE == 0 {
                spool.flush();
            }
            if post % 100 == 0 {
                spool.commit();
            }
        }
    });
}

/// The same posts are shown again and again, 500 at a time.
fn peek(posts: usize) {
    with_spool(|spool| {
        for _ in 0..MAX_RECORDS {
            spool.append(record(), b"");
        }
        spool.commit();
        for _ in 0..posts / MAX_RECORDS {
            spool.peek(|seq, record| {
                black_box((seq, record));
                ControlFlow::Continue(())
            });
        }
    });
}

fn filter(posts: usize) {
    let filter = Filter::parse("pizza margherita").expect("a keyword");
    for _ in 0..posts {
        assert!(black_box(&filter).matches(black_box(POST)));
    }
}

fn json() -> Batch {
    Batch::new("posts", Wire::Json)
}

fn cbor() -> Batch {
    Batch::new("posts", Wire::Cbor)
}

/// As many posts as a call carries, each unlike the others in what differs from post to post: packs of one post repeated would be too good.
fn posts_of_a_call() -> Vec<String> {
    let mut random = 1;
    (0..MAX_RECORDS).map(|_| varied(&mut random)).collect()
}

fn fill(batch: &mut Batch, posts: &[String]) {
    for (seq, post) in posts.iter().enumerate() {
        let data = black_box(post.as_bytes());
        batch.push(seq as u64, Record { data, ..record() });
    }
    batch.close_packs();
}

/// A post with other numbers, names and words in the same places.
fn varied(random: &mut u64) -> String {
    let mut word = || {
        *random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        *random >> 33
    };
    let mut post = POST.replace("7123456789", &format!("{:010}", word()));
    post = post.replace("2244994945", &format!("{:010}", word()));
    for place in [
        "town",
        "everyone",
        "stood",
        "Friday",
        "mushrooms",
        "crackles",
        "AbCdEfGhIj",
        "Lover",
        "pizzalover",
    ] {
        let letters = format!("{:010}", word());
        post = post.replace(place, &letters[10 - place.len()..]);
    }
    post
}

fn request(posts: usize, mut batch: Batch) {
    let of_a_call = posts_of_a_call();
    for _ in 0..posts / MAX_RECORDS {
        fill(&mut batch, &of_a_call);
        black_box(batch.body(MAX_RECORDS, ""));
        batch.drop_first(MAX_RECORDS);
    }
}

fn sign_calls(calls: usize, records: usize, mut batch: Batch) {
    fill(&mut batch, &posts_of_a_call()[..records]);
    let wire = batch.wire();
    let (call, body) = batch.body(records, "");
    if calls == 0 {
        // What a post takes on the way, but for the call's head.
        println!("{} bytes a post", body.len() / records);
    }
    let credentials = Credentials::new(
        "AKIDEXAMPLE",
        "a secret of forty characters, as all are",
        None,
        None,
        "bench",
    );
    let endpoint = Endpoint::parse("https://kinesis.eu-west-1.amazonaws.com", false);
    let endpoint = endpoint.expect("an endpoint");
    let mut signer = Signer::new(&endpoint, "eu-west-1", "kinesis");
    for second in 0..calls {
        let time = UNIX_EPOCH + Duration::from_secs(1_790_000_000 + second as u64 % 3600);
        let signature = signer.sign(
            wire.content_type(),
            Some(call.target()),
            black_box(body),
            &credentials,
            time,
        );
        black_box(signature.expect("a signature"));
    }
}
