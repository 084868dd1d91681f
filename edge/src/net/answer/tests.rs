use super::super::unversioned::{Buffers, LazyBuffers};
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
            buffers: LazyBuffers::new(INPUT_BYTES, 1),
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

/// The same heads as the server of each may write them: each with its body and whether the connection ends.
const ANSWERS: [(&str, u16, bool, &str); 22] = [
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
        "HTTP/1.1 100 Continue\r\nContent-Length: 7\r\n\r\nHTTP/1.1 103 Hints\r\n\r\n\
         HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi",
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
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nDigest: x\r\nContent-Length: 9\r\n\r\n",
        200,
        false,
        "a",
    ),
    (
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: identity, Chunked\r\n\r\n00\r\n\r\n",
        200,
        false,
        "",
    ),
    (
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\nTransfer-Encoding: ,chunked,\r\n\r\n1;a=\"b\"\r\nA\r\n0;z\r\n\r\n",
        200,
        false,
        "A",
    ),
    (
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n2\r\nab\r\n0\r\n\r\n",
        200,
        true,
        "ab",
    ),
    (
        "HTTP/1.1 503\r\nConnection: close\r\n\r\nuntil the end",
        503,
        true,
        "until the end",
    ),
    (
        "HTTP/1.1 503 X\r\n\r\nuntil the end",
        503,
        true,
        "until the end",
    ),
    (
        "HTTP/1.1 200 OK\r\nConnection: foo, Close\r\nContent-Length: 1\r\n\r\nx",
        200,
        true,
        "x",
    ),
    (
        "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nConnection: CLOSE\r\nContent-Length: 1\r\n\r\nx",
        200,
        true,
        "x",
    ),
    (
        "HTTP/1.1 200 OK\r\nConnection: closed\r\nContent-Length: 1\r\n\r\nx",
        200,
        false,
        "x",
    ),
    (
        "HTTP/1.1 200 OK\r\nConnection: x,\r\n  close\r\nContent-Length:\r\n 1\r\n\r\nx",
        200,
        true,
        "x",
    ),
    (
        "HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\nContent-Length: 2\r\n\r\nhi",
        200,
        false,
        "hi",
    ),
    (
        "HTTP/1.1 200 OK\r\nContent-Length: \t 002 \r\n\r\nhi",
        200,
        false,
        "hi",
    ),
    (
        "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
        200,
        true,
        "",
    ),
    (
        "HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 1\r\n\r\nx",
        200,
        false,
        "x",
    ),
    (
        "HTTP/1.0 200 OK\r\nConnection: keep-alive, close\r\nContent-Length: 1\r\n\r\nx",
        200,
        true,
        "x",
    ),
    (
        "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
        200,
        true,
        "a",
    ),
    ("HTTP/1.1 204 Nothing\r\n\r\n", 204, false, ""),
    (
        "HTTP/1.1 304 Same\r\nContent-Length: 7\r\n\r\n",
        304,
        false,
        "",
    ),
];

#[test]
fn an_answer_is_the_same_wherever_it_is_cut_in_two() {
    for (bytes, status, closes, body) in ANSWERS {
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
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nDigest: half",
            "unexpected end of file",
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nno header\r\n\r\n",
            "its trailer is none",
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
            "it is encoded as nobody asked for",
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
            "it is encoded as nobody asked for",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
            "its length is no number",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\nx",
            "its length is no number",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\nx",
            "its length is no number",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999999\r\n\r\nx",
            "its length is no number",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 1, 2\r\n\r\nhi",
            "it has two lengths",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nhi",
            "it has two lengths",
        ),
        (
            "HTTP/1.1 101 Switching\r\nUpgrade: h2c\r\n\r\n",
            "it changes to another protocol",
        ),
        ("HTTP/1.1 099 X\r\n\r\n", "its status is none"),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 1048577\r\n\r\n",
            "it is longer than any of Kinesis",
        ),
        ("SSH-2.0-OpenSSH_9.2\r\n", "invalid HTTP version"),
        (
            &long[..INPUT_BYTES],
            "its head, or another part of it, is too long",
        ),
    ];
    let trailer = format!(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: {}",
        "x".repeat(INPUT_BYTES)
    );
    let long_trailer = (&trailer[..INPUT_BYTES], "unexpected end of file");
    for (bytes, why) in table.into_iter().chain([long_trailer]) {
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
