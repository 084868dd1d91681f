//! The link over real sockets: what arrives, what it counts, and how connections end.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use socket2::SockRef;
use testkit::link::{Conditions, Link};

/// A server that sends back what it gets, and tells what each connection brought.
fn echo() -> (SocketAddr, Receiver<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (tell, told) = channel();
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let tell = tell.clone();
            thread::spawn(move || {
                let (mut all, mut buffer) = (Vec::new(), [0; 4096]);
                while let Ok(read @ 1..) = stream.read(&mut buffer) {
                    all.extend(&buffer[..read]);
                    let _ = stream.write_all(&buffer[..read]);
                }
                let _ = tell.send(all);
            });
        }
    });
    (address, told)
}

fn link(server: SocketAddr, conditions: &str) -> Link {
    let conditions: Conditions = conditions.parse().unwrap();
    Link::to(server, conditions, 1).unwrap()
}

fn bytes(count: usize) -> Vec<u8> {
    (0..count).map(|n| (n * 31 % 251) as u8).collect()
}

#[test]
fn bytes_arrive_unchanged_in_both_directions_whatever_the_link_is() {
    for conditions in [
        "wire",
        "rate=200000,delay=0.01,buffer=3000",
        "rate=400000,loss=0.03,delay=0.005",
    ] {
        // Given a server behind a link
        let (server, told) = echo();
        let link = link(server, conditions);
        // When a client sends 100 kB and reads the answer
        let mut client = TcpStream::connect(link.address()).unwrap();
        let sent = bytes(100_000);
        let mut sender = client.try_clone().unwrap();
        let copy = sent.clone();
        thread::spawn(move || {
            sender.write_all(&copy).unwrap();
            sender.shutdown(Shutdown::Write).unwrap();
        });
        let mut back = Vec::new();
        client.read_to_end(&mut back).unwrap();
        // Then all of it arrived, there and back, and was counted
        assert!(back == sent, "{conditions}");
        assert!(told.recv().unwrap() == sent, "{conditions}");
        let crossed = link.crossed();
        assert_eq!(
            (crossed.len(), crossed[0].up, crossed[0].down),
            (1, 100_000, 100_000)
        );
        assert!(!crossed[0].cut);
    }
}

#[test]
fn a_connection_is_cut_after_its_bytes_and_what_was_on_its_way_is_lost() {
    for (end, expected) in [("rst", Err(ErrorKind::ConnectionReset)), ("fin", Ok(0))] {
        // Given a link that cuts each connection after 8,000 bytes
        let (server, told) = echo();
        let link = link(server, &format!("rate=100000,cut-bytes=8000,end={end}"));
        for connection in 0..2 {
            // When a client sends more than that, and reads to the end
            let mut client = TcpStream::connect(link.address()).unwrap();
            let mut sender = client.try_clone().unwrap();
            thread::spawn(move || {
                let _ = sender.write_all(&bytes(20_000));
            });
            let (mut back, mut buffer) = (0, [0; 4096]);
            let ended = loop {
                match client.read(&mut buffer) {
                    Ok(read @ 1..) => back += read,
                    ended => break ended.map_err(|error| error.kind()),
                }
            };
            // Then it ends as said, exactly 8,000 bytes have crossed, and the next connection has as many of its own
            assert_eq!(ended, expected, "{end}");
            let arrived = told.recv().unwrap().len();
            let crossed = link.crossed()[connection];
            assert_eq!(crossed.up + crossed.down, 8_000);
            assert!(crossed.cut);
            assert_eq!(arrived as u64, crossed.up);
            assert!(back as u64 <= crossed.down);
        }
    }
}

#[test]
fn a_connection_is_cut_after_its_time_though_nothing_crosses() {
    let (server, _told) = echo();
    let link = link(server, "wire,cut-after=0.05");
    let mut client = TcpStream::connect(link.address()).unwrap();
    let ended = client.read(&mut [0]).map_err(|error| error.kind());
    assert_eq!(ended, Err(ErrorKind::ConnectionReset));
    assert!(link.crossed()[0].cut);
}

#[test]
fn a_full_buffer_slows_the_sender_and_the_kernel_holds_little_beside_it() {
    // Given a link that stands nearly still, with a buffer of 50 kB
    let (server, _told) = echo();
    let link = link(server, "rate=1,buffer=50000");
    let mut client = TcpStream::connect(link.address()).unwrap();
    SockRef::from(&client).set_send_buffer_size(4_096).unwrap();
    client
        .set_write_timeout(Some(Duration::from_millis(500)))
        .unwrap();
    // When a client writes until nothing is taken any more
    let mut taken = 0;
    while let Ok(written) = client.write(&[0; 1_000]) {
        taken += written;
    }
    // Then the buffer is full, and what the kernel holds is a fraction of it
    assert!((50_000..70_000).contains(&taken), "{taken} bytes");
}

#[test]
fn what_was_sent_before_the_sender_closed_still_arrives() {
    let (server, told) = echo();
    let link = link(server, "rate=20000,delay=0.05");
    let mut client = TcpStream::connect(link.address()).unwrap();
    client.write_all(&bytes(5_000)).unwrap();
    drop(client);
    assert!(told.recv().unwrap() == bytes(5_000));
}

#[test]
fn a_link_that_is_gone_leaves_no_connection_open() {
    let (server, _told) = echo();
    let link = link(server, "rate=1000");
    let mut client = TcpStream::connect(link.address()).unwrap();
    drop(link);
    let ended = client.read(&mut [0]);
    assert!(!matches!(ended, Ok(1..)), "{ended:?}");
}
