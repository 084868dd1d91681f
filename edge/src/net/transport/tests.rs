use std::net::{TcpListener, TcpStream};
use std::thread;

use super::*;

/// A server's side that says these pieces, one a read, and then no more.
#[derive(Debug)]
struct Pieces {
    left: Vec<Vec<u8>>,
    buffers: LazyBuffers,
}

impl Pieces {
    fn new(mut pieces: Vec<Vec<u8>>) -> Self {
        pieces.reverse();
        Self {
            left: pieces,
            buffers: LazyBuffers::new(INPUT_BYTES, OUTPUT_BYTES),
        }
    }
}

impl Transport for Pieces {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, _: usize, _: NextTimeout) -> Result<(), Error> {
        Ok(())
    }

    fn await_input(&mut self, _: NextTimeout) -> Result<bool, Error> {
        let Some(piece) = self.left.pop() else {
            return Ok(false);
        };
        self.buffers.input_append_buf()[..piece.len()].copy_from_slice(&piece);
        self.buffers.input_appended(piece.len());
        Ok(true)
    }

    fn is_open(&mut self) -> bool {
        true
    }
}

fn read(pieces: Vec<Vec<u8>>) -> Result<(Head, Vec<u8>), String> {
    let mut transport = Pieces::new(pieces);
    let mut answer = Answer(&mut transport);
    let mut body = Vec::new();
    let head = answer.head().map_err(|error| error.to_string())?;
    let read = answer.body(head.length, &mut body);
    read.map(|()| (head, body))
        .map_err(|error| error.to_string())
}

#[test]
fn an_answer_is_the_same_wherever_it_is_cut_in_two() {
    let answers: [(&str, u16, bool, &str); 6] = [
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nDate: now\r\n\r\nhello",
            200,
            false,
            "hello",
        ),
        (
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi",
            200,
            false,
            "hi",
        ),
        (
            "HTTP/1.1 400 Bad\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1;x=y\r\nd\r\n0\r\n\r\n",
            400,
            false,
            "abcd",
        ),
        (
            "HTTP/1.1 503\r\nConnection: close\r\n\r\nuntil the end",
            503,
            true,
            "until the end",
        ),
        (
            "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
            200,
            true,
            "",
        ),
        ("HTTP/1.1 204 Nothing\r\n\r\n", 204, false, ""),
    ];
    for (bytes, status, closes, body) in answers {
        for at in 0..=bytes.len() {
            // Given an answer that comes in two pieces, or as a whole
            let (first, second) = bytes.as_bytes().split_at(at);
            let pieces = [first, second]
                .into_iter()
                .filter(|piece| !piece.is_empty());
            // When it is read
            let (head, read) = read(pieces.map(|piece| piece.to_vec()).collect()).unwrap();
            // Then it says what it says
            assert_eq!(
                (head.status, head.closes),
                (status, closes),
                "{bytes} at {at}"
            );
            assert_eq!(read, body.as_bytes(), "{bytes} at {at}");
        }
    }
}

#[test]
fn an_answer_that_ends_early_or_is_none_is_an_error() {
    let long = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(INPUT_BYTES));
    let table = [
        ("", "unexpected end of file"),
        ("HTTP/1.1 200 OK\r\nContent-Le", "unexpected end of file"),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf",
            "unexpected end of file",
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhalf",
            "unexpected end of file",
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            "a chunk has no length",
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc",
            "a chunk has no end",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
            "its length is no number",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 1048577\r\n\r\n",
            "it is longer than any of Kinesis",
        ),
        ("SSH-2.0-OpenSSH_9.2\r\n", "invalid HTTP version"),
        (&long[..INPUT_BYTES], "its head is too long"),
    ];
    for (bytes, why) in table {
        let error = read(vec![bytes.as_bytes().to_vec()]).unwrap_err();
        assert!(error.contains(why), "{error} of {bytes:.60}");
    }
}

#[test]
fn the_head_says_the_kind_of_an_error_and_the_time_unless_a_cache_held_it() {
    let head = |lines: &str| {
        let bytes = format!("HTTP/1.1 400 X\r\n{lines}Content-Length: 0\r\n\r\n");
        read(vec![bytes.into_bytes()]).unwrap().0
    };
    let plain = head("DATE: then\r\nX-Amzn-ErrorType: Slow\r\n");
    assert_eq!(plain.date.as_deref(), Some("then"));
    assert_eq!(plain.error_type.as_deref(), Some("Slow"));
    assert_eq!(head("Date: then\r\nAge: 3\r\n").date, None);
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
    Connection::new(uri.parse().unwrap(), &Roots::default())
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
        let (_, answer) = connection.call(&[b'h'; 400], &[b'b'; 800]).unwrap();
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
        let (head, _) = connection.call(b"top", &body).unwrap();
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
