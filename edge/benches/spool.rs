//! What the spool costs: `cargo bench --bench spool [-- wear|throughput|open]`, a few minutes. Files are made where temporary files are (TMPDIR), the stage on /dev/shm.
//!
//! The figures that do not depend on the machine are held to their targets; the others are printed beside theirs.

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use headwater::platform::time::SystemClock;
use headwater::post::record::Record;
use headwater::spool::{Appended, Destination, Options, Spool, WhenFull};

const KIB: [u8; 1024] = [b'x'; 1024];
const KEY: &str = "pizzalover";

fn main() {
    let steps: [(&str, fn()); 3] = [
        ("wear", wear),
        ("throughput", throughput),
        ("open", open_and_drain),
    ];
    let args: Vec<String> = std::env::args().skip(1).collect();
    let only: Vec<_> = args.iter().filter(|arg| !arg.starts_with('-')).collect();
    for (name, step) in steps {
        if only.is_empty() || only.iter().any(|only| *only == name) {
            step();
        }
    }
}

fn wear() {
    println!("bytes written to flash for each byte of 1 KiB posts, over a minute:");
    thread::scope(|scope| {
        scope.spawn(|| wear_at("online and healthy, 50/s", 50, true, 0.0));
        scope.spawn(|| wear_at("offline, 10/s, deadline 1 s", 10, false, 1.25));
        scope.spawn(|| wear_at("offline, 1,000/s, deadline 1 s", 1000, false, 1.05));
    });
}

fn throughput() {
    throughput_while("append, all delivered at once", true);
    throughput_while("append, offline, the oldest dropped", false);
}

fn open_and_drain() {
    for mib in [64, 1024] {
        open_and_drain_of(mib);
    }
}

fn record() -> Record<'static> {
    Record {
        partition_key: KEY,
        data: &KIB,
    }
}

fn open(card: &Path, stage: &Path, size_bytes: u64) -> Spool {
    let options = Options {
        card: card.join("spool"),
        stage: Some(stage.join("stage")),
        size_bytes,
        when_full: WhenFull::DropOldest,
        durable_within: Duration::from_secs(1),
    };
    Spool::open(options, Arc::new(SystemClock::default())).expect("nobody else has it")
}

/// A spool with its committer at work, the card's file made.
fn with_spool<T>(size_bytes: u64, work: impl FnOnce(&Spool) -> T) -> T {
    let card = tempfile::tempdir().expect("a folder for temporary files");
    let stage = tempfile::tempdir_in("/dev/shm").expect("a tmpfs");
    let spool = open(card.path(), stage.path(), size_bytes);
    thread::scope(|scope| {
        scope.spawn(|| spool.run_committer());
        while spool.stats().place != Destination::Card {
            thread::sleep(Duration::from_millis(10));
        }
        let done = work(&spool);
        spool.close();
        done
    })
}

fn deliver(spool: &Spool) {
    let mut next = None;
    spool.peek(|seq, _| {
        next = Some(seq + 1);
        ControlFlow::Continue(())
    });
    if let Some(next) = next {
        spool.ack(next);
    }
}

fn wear_at(what: &str, per_second: u32, online: bool, at_most: f64) {
    let minute = 60 * per_second;
    let written = with_spool(96 << 20, |spool| {
        let start = Instant::now();
        for i in 0..minute {
            let due = start + Duration::from_secs(1) / per_second * i;
            thread::sleep(due.saturating_duration_since(Instant::now()));
            spool.append(record(), b"");
            if online {
                deliver(spool);
            }
        }
        let waits = if online { 0 } else { 2 };
        thread::sleep(Duration::from_secs(waits));
        spool.stats().flash_bytes
    });
    let payload = f64::from(minute) * (KIB.len() + KEY.len()) as f64;
    let ratio = written as f64 / payload;
    println!("  {what}: {written} bytes, {ratio:.3} (at most {at_most})");
    assert!(ratio <= at_most, "{what}");
}

fn throughput_while(what: &str, online: bool) {
    const RECORDS: u32 = 1_000_000;
    let per_second = with_spool(64 << 20, |spool| {
        let append = || {
            let start = Instant::now();
            for _ in 0..RECORDS {
                assert!(matches!(spool.append(record(), b""), Appended::Kept(_)));
            }
            f64::from(RECORDS) / start.elapsed().as_secs_f64()
        };
        thread::scope(|scope| {
            let appending = scope.spawn(append);
            while online && !appending.is_finished() {
                spool.wait(Duration::from_millis(1));
                deliver(spool);
            }
            appending.join().expect("it ends")
        })
    });
    println!(
        "{what}: {per_second:.0} records/s (at least 200000); most memory so far {} KiB",
        proc_status("VmHWM:")
    );
}

fn open_and_drain_of(mib: u64) {
    let card = tempfile::tempdir().expect("a folder for temporary files");
    let stage = tempfile::tempdir_in("/dev/shm").expect("a tmpfs");
    let spool = open(card.path(), stage.path(), mib << 20);
    spool.commit();
    let records = (mib << 20) * 94 / 100 / (KIB.len() as u64 + 40);
    for i in 0..records {
        assert!(matches!(spool.append(record(), b""), Appended::Kept(_)));
        if i % 400 == 0 {
            spool.commit();
        }
    }
    spool.commit();
    assert_eq!(spool.stats().dropped, 0);
    drop(spool);
    // as after a power cut: the card alone
    fs::remove_file(stage.path().join("stage")).expect("there is a stage");
    let start = Instant::now();
    let spool = open(card.path(), stage.path(), mib << 20);
    let opened = start.elapsed();
    assert_eq!(spool.stats().waiting_records, records);
    let before = proc_status("VmRSS:");
    let start = Instant::now();
    let mut most = before;
    while spool.stats().waiting_records > 0 {
        let mut last = 0;
        spool.peek(|seq, _| {
            last = seq;
            if seq % 500 == 499 {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        });
        spool.ack(last + 1);
        most = most.max(proc_status("VmRSS:"));
    }
    let took = start.elapsed().as_secs_f64();
    println!(
        "{mib} MiB full: opened in {opened:.1?}; {records} records drained at {:.0}/s with {most} KiB resident",
        records as f64 / took
    );
}

/// A figure of this process, in KiB.
fn proc_status(name: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("/proc");
    let line = status.lines().find(|line| line.starts_with(name));
    let figure = line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok());
    figure.expect("a figure")
}
