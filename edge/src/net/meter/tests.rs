use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use super::*;

#[test]
fn the_queue_of_a_socket_is_found_by_its_inode() {
    let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   \
        0: 0100007F:07E8 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1130 1 0000 100 0 0 10 0\n   \
        1: 0100007F:A1B2 0100007F:07E8 01 0002F0A0:00000011 01:00000014 00000000     0        0 7 2 0000 20 4 30 10 -1\n\
        short line\n";
    let other = "   2: 0100007F:A1B2 0100007F:07E8 01 00000001:00000000 01:00000014 00000000     0        0 9 2 0000 20 4 30 10 -1\n";
    // Also where it is longer than what is read at once, wherever it is cut
    for others in [0, 1, 35, 36, 37, 38, 39, 40, 100] {
        let table = other.repeat(others) + table;
        let queue = |inode| queue_in(table.as_bytes(), inode);
        assert_eq!(queue(7), Some(0x2F0A0), "behind {others}");
        assert_eq!(queue(1130), Some(0), "behind {others}");
        assert_eq!(queue(8), None, "behind {others}");
    }
    assert_eq!(queue_in(&b""[..], 7), None);
    assert_eq!(queue_in(&[b'x'; 9000][..], 7), None);
}

#[test]
fn bytes_that_the_other_end_has_not_acknowledged_are_counted() {
    // Given a connection whose other end does not read
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (mut other, _) = listener.accept().unwrap();
    let inode = rustix::fs::fstat(&stream).unwrap().st_ino;
    assert_eq!(unacknowledged(inode), Some(0));

    // When more is written than both kernels keep
    stream.set_nonblocking(true).unwrap();
    let mut written = 0;
    while let Ok(count) = stream.write(&[0; 1 << 16]) {
        written += count as u64;
    }

    // Then a part of it has not left
    let queued = unacknowledged(inode).unwrap();
    assert!(queued > 0 && queued < written, "{queued} of {written}");

    // And all has, once the other end has read
    drop(std::mem::replace(
        &mut stream,
        TcpStream::connect(listener.local_addr().unwrap()).unwrap(),
    ));
    let mut all = Vec::new();
    other.read_to_end(&mut all).unwrap();
    assert_eq!(all.len() as u64, written);
    assert_eq!(unacknowledged(inode), None);
}
