//! HTTP/1.1 as servers of tests see it: messages read whole, answers written plainly. The one reader of HTTP requests that tests and tools
//! have.

use std::io::{self, BufRead, Read, Write};
use std::time::SystemTime;

/// The longest head of a message, in bytes.
const MAX_HEAD_BYTES: usize = 64 << 10;

/// The longest body, in bytes.
const MAX_BODY_BYTES: u64 = 32 << 20;

/// A request, read whole.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// Such as `GET`.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// Names in the sender's case, and values.
    pub headers: Vec<(String, String)>,
    /// The body as decoded.
    pub body: Vec<u8>,
    /// The head as it came, up to and with the empty line.
    pub head: Vec<u8>,
}

/// An answer, read whole.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Such as 200.
    pub status: u16,
    /// Names in the sender's case, and values.
    pub headers: Vec<(String, String)>,
    /// The body as decoded.
    pub body: Vec<u8>,
}

impl Request {
    /// The next request of a connection; `None` if its peer closed it instead.
    ///
    /// # Errors
    /// The connection fails or ends halfway, or what comes is no HTTP/1.1.
    pub fn read(from: &mut impl BufRead) -> io::Result<Option<Self>> {
        let Some(head) = read_head(from)? else {
            return Ok(None);
        };
        let mut headers = [httparse::EMPTY_HEADER; 64];
        let mut parsed = httparse::Request::new(&mut headers);
        parsed.parse(&head).map_err(io::Error::other)?;
        let (method, target) = (
            parsed.method.unwrap_or_default().to_owned(),
            parsed.path.unwrap_or_default().to_owned(),
        );
        let headers = owned(parsed.headers);
        let body = read_body(from, &headers)?;
        Ok(Some(Self {
            method,
            target,
            headers,
            body,
            head,
        }))
    }

    /// The header called `name`, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }

    /// Method and path, as in `POST /path`; for a call of AWS by JSON, such as Kinesis's, the name of its operation.
    pub fn what(&self) -> String {
        self.operation()
            .map_or_else(|| format!("{} {}", self.method, self.path()), str::to_owned)
    }

    /// The operation of a call of AWS by JSON, such as `PutRecord`.
    pub fn operation(&self) -> Option<&str> {
        let (_, operation) = self.header("x-amz-target")?.rsplit_once('.')?;
        Some(operation)
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The target without its query.
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    #[cfg(feature = "services")]
    /// The part of the query called `name`, its percent signs decoded.
    pub fn query(&self, name: &str) -> Option<String> {
        let (_, query) = self.target.split_once('?')?;
        query.split('&').find_map(|part| {
            let (key, value) = part.split_once('=').unwrap_or((part, ""));
            (key == name).then(|| {
                percent_encoding::percent_decode_str(value)
                    .decode_utf8_lossy()
                    .into_owned()
            })
        })
    }
}

impl Answer {
    /// The next answer of a connection.
    ///
    /// # Errors
    /// The connection fails or ends first, or what comes is no HTTP/1.1.
    pub fn read(from: &mut impl BufRead) -> io::Result<Self> {
        let head = read_head(from)?.ok_or(io::ErrorKind::UnexpectedEof)?;
        let mut headers = [httparse::EMPTY_HEADER; 64];
        let mut parsed = httparse::Response::new(&mut headers);
        parsed.parse(&head).map_err(io::Error::other)?;
        let status = parsed.code.unwrap_or_default();
        let headers = owned(parsed.headers);
        let body = read_body(from, &headers)?;
        Ok(Self {
            status,
            headers,
            body,
        })
    }

    /// An answer of a status and a body.
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: body.into(),
        }
    }

    /// An answer in JSON.
    #[cfg(feature = "services")]
    pub fn json(status: u16, body: &serde_json::Value) -> Self {
        Self {
            status,
            headers: vec![(
                "content-type".to_owned(),
                "application/json; charset=utf-8".to_owned(),
            )],
            body: body.to_string().into_bytes(),
        }
    }

    /// The same answer with one header more.
    pub fn with(mut self, name: &str, value: impl ToString) -> Self {
        self.headers.push((name.to_owned(), value.to_string()));
        self
    }

    /// The same answer, dated now unless it has a date.
    pub fn dated(self) -> Self {
        match find(&self.headers, "date") {
            Some(_) => self,
            None => self.with("date", httpdate::fmt_http_date(SystemTime::now())),
        }
    }

    /// The bytes that go over the wire. The length is that of the body as it is now.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = format!("HTTP/1.1 {} -\r\n", self.status).into_bytes();
        for (name, value) in &self.headers {
            let framing = ["content-length", "transfer-encoding"];
            if !framing
                .iter()
                .any(|framing| name.eq_ignore_ascii_case(framing))
            {
                bytes.extend(format!("{name}: {value}\r\n").bytes());
            }
        }
        bytes.extend(format!("content-length: {}\r\n\r\n", self.body.len()).bytes());
        bytes.extend(&self.body);
        bytes
    }

    /// Writes it whole.
    ///
    /// # Errors
    /// The peer is gone.
    pub fn write(&self, to: &mut impl Write) -> io::Result<()> {
        to.write_all(&self.to_bytes())?;
        to.flush()
    }
}

fn read_head(from: &mut impl BufRead) -> io::Result<Option<Vec<u8>>> {
    let mut head = Vec::new();
    loop {
        let before = head.len();
        let read = from
            .by_ref()
            .take(MAX_HEAD_BYTES as u64)
            .read_until(b'\n', &mut head)?;
        match &head[before..] {
            [] if before == 0 => return Ok(None),
            b"\r\n" if before > 0 => return Ok(Some(head)),
            _ if read == 0 || head.len() > MAX_HEAD_BYTES => {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            _ => {}
        }
    }
}

fn read_body(from: &mut impl BufRead, headers: &[(String, String)]) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    if find(headers, "transfer-encoding").is_some_and(|coding| coding.contains("chunked")) {
        loop {
            let line = read_line(from)?;
            let size = line.split(';').next().unwrap_or_default().trim();
            let size = u64::from_str_radix(size, 16).map_err(io::Error::other)?;
            take_exactly(from, size, &mut body)?;
            if size == 0 {
                // Headers may follow, which nobody here reads, then an empty line.
                while !read_line(from)?.trim().is_empty() {}
                return Ok(body);
            }
            read_line(from)?;
        }
    }
    let length = find(headers, "content-length").unwrap_or("0");
    let length = length.trim().parse().map_err(io::Error::other)?;
    take_exactly(from, length, &mut body)?;
    Ok(body)
}

/// A line with its end; an error if the connection ends first.
fn read_line(from: &mut impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    from.by_ref()
        .take(MAX_HEAD_BYTES as u64)
        .read_line(&mut line)?;
    match line.ends_with('\n') {
        true => Ok(line),
        false => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

fn take_exactly(from: &mut impl BufRead, length: u64, body: &mut Vec<u8>) -> io::Result<()> {
    if length > MAX_BODY_BYTES - (body.len() as u64).min(MAX_BODY_BYTES) {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    body.reserve_exact(length as usize);
    let read = from.by_ref().take(length).read_to_end(body)?;
    if read as u64 == length {
        Ok(())
    } else {
        Err(io::ErrorKind::UnexpectedEof.into())
    }
}

fn owned(headers: &[httparse::Header<'_>]) -> Vec<(String, String)> {
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    headers
        .iter()
        .map(|header| (header.name.to_owned(), text(header.value)))
        .collect()
}

fn find<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers
        .iter()
        .find(|(header, _)| header.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_of_one_connection_are_read_one_after_the_other_however_their_bodies_are_framed() {
        // Given a request without a body, one with a length, and one in chunks with an extension and a trailer
        let mut sent = concat!(
            "GET /a?b=c HTTP/1.1\r\nHost: x\r\n\r\n",
            "POST / HTTP/1.1\r\nx-amz-target: Kinesis_20131202.PutRecord\r\ncontent-length: 2\r\n\r\n{}",
            "POST /c HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n4;why=not\r\nWiki\r\n5\r\npedia\r\n0\r\nExpires: never\r\n\r\n",
        )
        .as_bytes();
        // When they are read
        let mut next = || Request::read(&mut sent).unwrap();
        let read = [next(), next(), next()].map(Option::unwrap);
        // Then each has what was sent, and then there is none
        let seen = read.each_ref().map(|read| (read.what(), read.text()));
        let expected = [
            ("GET /a", ""),
            ("PutRecord", "{}"),
            ("POST /c", "Wikipedia"),
        ];
        assert_eq!(
            seen,
            expected.map(|(what, body)| (what.to_owned(), body.to_owned()))
        );
        assert_eq!(read[0].header("HOST"), Some("x"));
        assert!(next().is_none());
    }

    #[test]
    fn what_is_cut_short_or_too_long_or_no_http_is_an_error() {
        let long_head = format!(
            "GET / HTTP/1.1\r\nx: {}\r\n\r\n",
            "y".repeat(MAX_HEAD_BYTES)
        );
        for sent in [
            "GET / HTTP/1.1\r\nHost",
            "POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\n1234",
            "POST / HTTP/1.1\r\nContent-Length: many\r\n\r\n1234",
            "POST / HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n1234",
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n1234",
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n1234",
            "\x16\x03\x01 hello\r\n\r\n",
            &long_head,
        ] {
            let read = Request::read(&mut sent.as_bytes());
            assert!(read.is_err(), "{:?}: {read:?}", sent.get(..70));
        }
    }
}
