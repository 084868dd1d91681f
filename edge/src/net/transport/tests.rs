use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;

use ureq::Timeout;

use super::*;
use crate::net::meter::Phase;

/// So short that a test need not wait long, so long that a busy machine keeps it while something moves.
const LIMITS: Limits = Limits {
    silence: Duration::from_secs(2),
    answer: Duration::from_secs(3),
};

fn connection(uri: &str) -> Connection {
    let endpoint = Endpoint::parse(uri, false).unwrap();
    Connection::new(&endpoint, &Roots::default(), LIMITS)
}

/// The server's side: takes one connection after the other, and has `serve` answer on each.
fn server(serve: impl Fn(TcpStream) + Send + 'static) -> Connection {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let uri = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        listener
            .incoming()
            .for_each(|stream| serve(stream.unwrap()))
    });
    connection(&uri)
}

/// Reads one call, and says whether it came in one piece; an error if no more come.
fn one_piece(stream: &mut TcpStream, length: usize) -> io::Result<bool> {
    let mut bytes = vec![0; length];
    let first = stream.read(&mut bytes)?;
    stream.read_exact(&mut bytes[first..])?;
    Ok(first == length)
}

#[test]
fn head_and_body_of_a_live_post_are_sent_in_one_piece() {
    // Given a server that says whether a call came in one piece
    let mut connection = server(|mut stream| {
        for _ in 0..50 {
            let answer = u8::from(one_piece(&mut stream, 1200).unwrap());
            let head = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n";
            stream.write_all(&[&head[..], &[answer]].concat()).unwrap();
        }
    });
    for _ in 0..50 {
        // When a small call is made
        let (_, answer, _) = connection.call(&[b'h'; 400], &[b'b'; 800]).unwrap();
        // Then it did
        assert_eq!(answer, [1]);
    }
}

#[test]
fn a_call_of_any_size_arrives_whole_and_in_order() {
    for size in [0, 1, OUTPUT_BYTES - 3, OUTPUT_BYTES, 5 * OUTPUT_BYTES + 7] {
        let body: Vec<u8> = (0..size).map(|at| (at % 251) as u8).collect();
        let sent = body.clone();
        // Given a server that compares what comes
        let mut connection = server(move |mut stream| {
            let mut bytes = vec![0; 3 + size];
            stream.read_exact(&mut bytes).unwrap();
            let same = bytes[..3] == *b"top" && bytes[3..] == sent;
            let status = if same { 200 } else { 500 };
            write!(stream, "HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n").unwrap();
        });
        // When the call is made, then all of it was as it was sent
        let (head, ..) = connection.call(b"top", &body).unwrap();
        assert_eq!(head.status, 200, "{size} bytes");
    }
}

#[test]
fn a_connection_is_kept_until_the_server_ends_it() {
    // Given a server that counts its connections, and closes each as it announced or as it did not
    for farewell in ["Connection: close\r\n", ""] {
        let connections = std::sync::atomic::AtomicU8::new(0);
        let mut connection = server(move |mut stream| {
            let number = connections.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            for farewell in ["", "", farewell] {
                if one_piece(&mut stream, 4).is_err() {
                    return;
                }
                let head = format!("HTTP/1.1 200 OK\r\n{farewell}Content-Length: 1\r\n\r\n");
                stream
                    .write_all(&[head.as_bytes(), &[number]].concat())
                    .unwrap();
            }
        });
        // When calls are made, then the first three share one
        for _ in 0..3 {
            assert_eq!(connection.call(b"call", b"").unwrap().1, [0]);
        }
        // And the next, after an error if the connection was not announced to end, has another
        let again = match connection.call(b"call", b"") {
            Err(_) => connection.call(b"call", b""),
            answered => answered,
        };
        assert_eq!(again.unwrap().1, [1]);
    }
}

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n";

/// Answers each call of four bytes with one byte, the number of the connection, and what `extra` puts behind it.
fn numbered(extra: impl Fn(&mut TcpStream) + Send + 'static) -> Connection {
    let connections = std::sync::atomic::AtomicU8::new(0);
    server(move |mut stream| {
        let number = connections.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        while one_piece(&mut stream, 4).is_ok() {
            stream.write_all(&[ANSWER, &[number]].concat()).unwrap();
            extra(&mut stream);
        }
    })
}

#[test]
fn what_is_left_over_behind_an_answer_is_never_taken_for_the_next() {
    // Given a server that says more than was asked for: in the same piece, as another piece, a part of an answer, one byte
    let (told, heard) = mpsc::channel();
    let second = [ANSWER, b"!"].concat();
    let extras = [second.clone(), second[..9].to_vec(), b"\n".to_vec()];
    for extra in extras {
        let told = told.clone();
        let mut connection = numbered(move |stream| {
            // The client may be gone already.
            let _ = stream.write_all(&extra);
            told.send(()).unwrap();
        });
        for number in 0..5 {
            // When one call follows the other, the next as soon as the extra bytes are on their way
            let (_, body, _) = connection.call(b"call", b"").unwrap();
            // Then each has the answer of a connection of its own
            assert_eq!(body, [number]);
            heard.recv().unwrap();
        }
    }
}

#[test]
fn an_answer_that_comes_before_the_call_has_left_is_another_calls() {
    // Given a server that takes its time for the first call, and answers it once more when the next has begun
    let (told, heard) = mpsc::channel();
    let mut connection = server(move |mut stream| {
        one_piece(&mut stream, 4).unwrap();
        thread::sleep(Duration::from_millis(500));
        stream.write_all(&[ANSWER, b"1"].concat()).unwrap();
        let mut piece = vec![0; 64 << 10];
        let mut seen = stream.read(&mut piece).unwrap();
        stream.write_all(&[ANSWER, b"1"].concat()).unwrap();
        // The next call is large, and comes in so slowly that its end still waits in the kernel when it has been written.
        while let Ok(bytes @ 1..) = stream.read(&mut piece) {
            seen += bytes;
            thread::sleep(Duration::from_millis(5));
        }
        told.send(seen).unwrap();
    });
    assert_eq!(connection.call(b"call", b"").unwrap().1, b"1");

    // When that next call is made
    let broken = connection.call(b"call", &vec![0; LARGE]).unwrap_err();

    // Then the answer is not taken for its own, and the connection is left
    assert!(
        broken.error.to_string().contains("another call"),
        "{broken:?}"
    );
    assert_eq!(broken.phase, Phase::Writing);
    assert!(broken.sent.bytes < LARGE as u64, "{broken:?}");
    assert!(heard.recv().unwrap() <= LARGE + 4);
}

#[test]
fn two_answers_in_one_piece_are_not_two_answers() {
    // Given a server that answers twice at once
    let connections = std::sync::atomic::AtomicU8::new(0);
    let mut connection = server(move |mut stream| {
        let number = connections.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        while one_piece(&mut stream, 4).is_ok() {
            let twice = [ANSWER, &[number], ANSWER, b"!"].concat();
            stream.write_all(&twice).unwrap();
        }
    });
    for number in 0..5 {
        assert_eq!(connection.call(b"call", b"").unwrap().1, [number]);
    }
}

#[test]
fn a_connection_that_ended_meanwhile_is_not_used_again() {
    // Given a server that closes each connection behind its answer, unannounced
    let (told, heard) = mpsc::channel();
    let mut connection = numbered(move |stream| {
        stream.shutdown(std::net::Shutdown::Both).unwrap();
        told.send(()).unwrap();
    });
    for number in 0..5 {
        // When the next call is made, then it does not fail first
        assert_eq!(connection.call(b"call", b"").unwrap().1, [number]);
        heard.recv().unwrap();
    }
}

/// A server that takes a call and then says `piece` again and again, until the client leaves.
fn trickle(first: &'static [u8], piece: &'static [u8]) -> Connection {
    server(move |mut stream| {
        one_piece(&mut stream, 4).unwrap();
        let mut said = stream.write_all(first);
        while said.is_ok() {
            thread::sleep(Duration::from_millis(20));
            said = stream.write_all(piece);
        }
    })
}

#[test]
fn an_answer_has_one_deadline_whatever_trickles_in() {
    let continued = b"HTTP/1.1 100 Continue\r\n\r\n";
    let chunks = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let endless = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n";
    let cases: [(&[u8], &[u8]); 5] = [
        (b"", continued),
        (b"", b"H"),
        (b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"),
        (chunks, b"1\r\nx\r\n"),
        (endless, b"x"),
    ];
    let tries = cases.map(|(first, piece)| {
        thread::spawn(move || {
            // Given a server whose answer never ends, when it is called
            let broken = trickle(first, piece).call(b"call", b"").unwrap_err();
            // Then the call ends, and says that the server may have taken it
            (broken.phase, broken.sent.bytes, broken.error)
        })
    });
    for (at, this) in tries.into_iter().enumerate() {
        let (phase, bytes, error) = this.join().unwrap();
        // What is not HTTP may be found out before.
        let is_over = matches!(error, ureq::Error::Timeout(Timeout::RecvResponse));
        let is_nonsense = matches!(at, 1 | 2) && error.to_string().contains("no answer");
        assert!(is_over || is_nonsense, "{at}: {error}");
        assert_eq!((phase, bytes), (Phase::Waiting, 4), "{at}");
    }
}

#[test]
fn a_server_that_takes_the_call_and_says_nothing_has_the_same_deadline() {
    let (_keep, end) = mpsc::channel::<()>();
    let mut connection = server(move |mut stream| {
        one_piece(&mut stream, 4).unwrap();
        // Until the test is over
        let _ = end.recv();
    });
    let broken = connection.call(b"call", b"").unwrap_err();
    assert!(matches!(
        broken.error,
        ureq::Error::Timeout(Timeout::RecvResponse)
    ));
    assert_eq!((broken.phase, broken.sent.bytes), (Phase::Waiting, 4));
}

/// More than any kernel keeps for a connection.
const LARGE: usize = 32 << 20;

#[test]
fn a_server_that_takes_no_more_bytes_breaks_the_call_while_it_writes() {
    // Given a server that reads a little of a call, then nothing
    let (_keep, end) = mpsc::channel::<()>();
    let mut connection = server(move |mut stream| {
        stream.read_exact(&mut [0; 1000]).unwrap();
        let _ = end.recv();
    });
    // When a call larger than all buffers is made
    let broken = connection.call(b"call", &vec![0; LARGE]).unwrap_err();
    // Then it ends for its silence, and says how much had left
    assert!(matches!(
        broken.error,
        ureq::Error::Timeout(Timeout::PerWrite)
    ));
    assert_eq!(broken.phase, Phase::Writing);
    let bytes = broken.sent.bytes;
    assert!(bytes >= 1000 && bytes < LARGE as u64, "{bytes}");
}

#[test]
fn while_bytes_leave_however_slowly_the_call_is_alive() {
    // Given a server that takes 100 ms for each 128 KiB: all of it takes longer than any limit
    let size = 4 << 20;
    let mut connection = server(move |mut stream| {
        let (mut left, mut piece) = (size + 4, vec![0; 128 << 10]);
        while left > 0 {
            left -= stream.read(&mut piece).unwrap();
            thread::sleep(Duration::from_millis(100));
        }
        stream.write_all(&[ANSWER, b"!"].concat()).unwrap();
    });
    // When a large call is made, then it arrives
    let (_, body, sent) = connection.call(b"call", &vec![0; size]).unwrap();
    assert_eq!(body, b"!");
    assert_eq!(sent.bytes, size as u64 + 4);
    assert!(sent.took > LIMITS.answer, "{sent:?}");
}

#[test]
fn a_call_says_what_it_put_on_the_way() {
    // Given a server that answers one call and closes the connection in the next
    let mut connection = server(|mut stream| {
        one_piece(&mut stream, 1000).unwrap();
        stream.write_all(&[ANSWER, b"!"].concat()).unwrap();
        one_piece(&mut stream, 1000).unwrap();
    });
    // When the calls are made, then their bytes are told, with the answer's in what they cost
    let (_, _, sent) = connection.call(&[b'h'; 400], &[b'b'; 600]).unwrap();
    assert_eq!(sent.bytes, 1000);
    assert_eq!(sent.traffic, 1000 + ANSWER.len() as u64 + 1);
    let broken = connection.call(&[b'h'; 400], &[b'b'; 600]).unwrap_err();
    assert_eq!((broken.phase, broken.sent.bytes), (Phase::Waiting, 1000));
}

#[test]
fn a_call_without_a_connection_has_sent_nothing() {
    // Given a port that nobody listens at
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let uri = format!("http://{}", free.local_addr().unwrap());
    drop(free);
    let broken = connection(&uri).call(b"call", b"").unwrap_err();
    assert_eq!((broken.phase, broken.sent.bytes), (Phase::Connecting, 0));
}
