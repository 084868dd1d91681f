//! Kill -9 at random moments, while nothing can be delivered.

use std::fs::OpenOptions;
use std::io::Write;
use std::thread;
use std::time::Duration;

use local::tally::Sent;
use testkit::network::Network;

use super::{Cloud, stop, wait_for};

const KILLS: u64 = 50;

#[test]
fn fifty_kills_during_an_outage_lose_nothing_and_send_nothing_twice() {
    // Given a cut network, and a file that grows all the time
    let cloud = Cloud::shared();
    let stack = cloud.stack("crashes");
    let network = Network::to(cloud.ministack.address()).unwrap();
    network.cut();
    let mut board = cloud.board(&stack, &format!("http://{}", network.address()));
    let input = board.card().join("input");
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(&input)
        .unwrap();
    board
        .argument("--source")
        .argument("lines")
        .argument("--input")
        .argument(&input);
    let mut lines = Vec::new();
    let mut grow = |file: &mut std::fs::File, count: usize| {
        for _ in 0..count {
            let line = format!("line {} 🍕 {}", lines.len(), "x".repeat(lines.len() % 300));
            writeln!(file, "{line}").unwrap();
            lines.push(line);
        }
    };

    // When the program is killed 50 times, each time at another moment of its work
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    for _ in 0..KILLS {
        let mut producer = board.start(&[]).unwrap();
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        // From before it has opened the spool to well into its reading.
        for _ in 0..random % 12 {
            grow(&mut file, 5);
            thread::sleep(Duration::from_millis(5));
        }
        producer.kill();
    }
    let producer = board.start(&[]).unwrap();
    grow(&mut file, 5);
    let total = lines.len();

    // Then, once the network is back, all that was written is stored, once
    network.restore().unwrap();
    let sent: Vec<_> = lines.iter().map(|line| Sent::from(line.as_str())).collect();
    let tally = cloud.tally(&stack, &sent);
    println!("{KILLS} kills, {total} lines: {tally}");
    let metrics = || board.metrics();
    assert!(
        tally.adds_up(),
        "{tally:?}\n{:#?}\n{}",
        metrics(),
        producer.said().join("\n")
    );
    wait_for("empty spool", || {
        metrics().get("headwater_spool_waiting_records") == Some(&0)
    });
    stop(producer);
}
