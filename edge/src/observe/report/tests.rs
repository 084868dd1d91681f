use serde_json::{Value, json};

use super::*;
use crate::platform::time::TestClock;
use crate::post::record::{MAX_RECORD_BYTES, Record};
use crate::spool::{Options, WhenFull};

const EVERY: Duration = Duration::from_secs(300);

fn outbox() -> Outbox {
    Outbox::new(&Settings {
        board: "shed".to_owned(),
        every: EVERY,
    })
}

#[test]
fn a_report_is_json_that_begins_with_its_mark_and_leaves_out_what_is_zero() {
    let healthy = Report {
        board: "shed",
        made_s: 1_768_473_300,
        uptime_s: 86_400,
        read: 1200,
        delivered: 1200,
        ..Report::default()
    };
    let text = healthy.to_string();
    assert!(text.starts_with(r#"{"headwater_board":"shed","#), "{text}");
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(
        serde_json::from_str::<Value>(&text).unwrap(),
        json!({
            "headwater_board": "shed", "v": version, "at": 1_768_473_300, "up": 86_400, "r": 1200, "d": 1200
        })
    );
    // And one of a board in trouble has all
    let troubled = Report {
        waiting: 7,
        lost: 3,
        oldest_age_s: 60,
        source_lag_s: 2,
        clock_offset_s: -3600,
        bytes_sent: 500_000,
        flash_bytes: 4096,
        temperature_c: Some(0),
        free_mib: Some(0),
        ..healthy
    };
    let json: Value = serde_json::from_str(&troubled.to_string()).unwrap();
    let rest = ["w", "l", "o", "lag", "clk", "tx", "fl", "t", "free"].map(|name| &json[name]);
    assert_eq!(rest, [7, 3, 60, 2, -3600, 500_000, 4096, 0, 0]);
}

#[test]
fn a_newer_report_takes_the_place_of_one_that_waits() {
    let outbox = outbox();
    assert_eq!(outbox.due(EVERY, true), None);
    // Given two reports, of which none went
    outbox.put("first".to_owned(), Duration::ZERO);
    outbox.put("second".to_owned(), EVERY);
    // When one is to go, then it is the newer
    let (number, report) = outbox.due(EVERY, true).unwrap();
    assert_eq!(report, "second");
    // When a third is made while that is under way, then the third waits on when the second arrives
    outbox.put("third".to_owned(), 2 * EVERY);
    outbox.settle(number);
    let (number, report) = outbox.due(2 * EVERY, true).unwrap();
    assert_eq!(report, "third");
    // And nothing waits once it has arrived, too
    outbox.settle(number);
    assert_eq!(outbox.due(3 * EVERY, true), None);
}

#[test]
fn a_report_waits_a_tenth_of_its_time_for_a_post_to_share_the_call() {
    let outbox = outbox();
    let put_at = Duration::from_secs(10);
    outbox.put("report".to_owned(), put_at);
    let nearly = put_at + EVERY / 10 - Duration::from_millis(1);
    assert!(outbox.due(put_at, true).is_some());
    assert!(outbox.due(nearly, false).is_none());
    assert!(outbox.due(put_at + EVERY / 10, false).is_some());
    // One that takes its place waits no longer for that
    outbox.put("newer".to_owned(), nearly);
    assert!(outbox.due(put_at + EVERY / 10, false).is_some());
}

#[test]
fn a_board_reports_soon_after_its_start_then_in_its_time_and_tells_what_waits_and_what_was_lost() {
    // Given a spool with two posts, the older of them ten minutes old, on a machine with a sensor
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("thermal_zone0")).unwrap();
    std::fs::write(folder.path().join("thermal_zone0/temp"), "48312\n").unwrap();
    let clock = Arc::new(TestClock::default().ending_after(EVERY * 5 / 2));
    let spool = Spool::open(
        Options {
            card: folder.path().join("spool"),
            stage: None,
            size_bytes: 1 << 20,
            when_full: WhenFull::DropNewest,
            durable_within: Duration::from_secs(1),
        },
        clock.clone(),
    );
    let spool = Arc::new(spool.unwrap());
    for data in ["one", "two"] {
        let record = Record::new("key", data.as_bytes(), MAX_RECORD_BYTES).unwrap();
        spool.append(record, b"");
    }
    let counters = Arc::new(Counters::default());
    counters.read.add(2);
    counters.clock_offset_ms.set(-7_200_000);
    counters.source_lag_ms.set(3_999);
    // When the board reports until its end
    let reporter = Reporter {
        outbox: Arc::new(outbox()),
        every: EVERY,
        counters,
        spool,
        clock: clock.clone(),
        disk: Some(folder.path().to_owned()),
        sensors: folder.path().to_owned(),
        stop: Arc::default(),
    };
    reporter.run();
    // Then the first report came within a tenth of the time between two, at this board's own moment
    let sleeps = clock.sleeps();
    assert!(sleeps[0] < EVERY / 10, "{sleeps:?}");
    assert_eq!(sleeps[1..], [EVERY, EVERY]);
    let another = Outbox::new(&Settings {
        board: "barn".to_owned(),
        every: EVERY,
    });
    let another = Reporter {
        outbox: Arc::new(another),
        ..reporter
    };
    assert_ne!(another.first_after(), sleeps[0]);
    // And the last one, which took the others' place, is of that moment
    let (number, report) = reporter.outbox.due(clock.elapsed(), true).unwrap();
    assert_eq!(number, 3);
    let report: Value = serde_json::from_str(&report).unwrap();
    let since_start = clock.elapsed().as_secs();
    assert_eq!(report["headwater_board"], "shed");
    assert_eq!(report["at"], TestClock::START_SECS + since_start - 7200);
    assert_eq!(report["up"], since_start);
    assert_eq!(
        [
            &report["r"],
            &report["w"],
            &report["o"],
            &report["clk"],
            &report["lag"],
            &report["t"]
        ],
        [
            &json!(2),
            &json!(2),
            &json!(since_start),
            &json!(-7200),
            &json!(3),
            &json!(48)
        ]
    );
    assert!(report["free"].as_u64().is_some(), "{report}");
}
