//! Reads HTTP/1.1 responses from a connection: head, body (by length or in chunks), trailers.
//!
//! `httparse` parses lines. Their meaning for the end of the body and of the connection follows RFC 9112, sections 6 to 9. (`ureq-proto` would
//! cost 17,000 instructions and 15 allocations a call more, 33,000 and 22 with the request's head; a live post's signature takes 55,000.)

use std::io::{self, ErrorKind};

use httparse::{EMPTY_HEADER, Header, ParserConfig, Status};
use ureq::{Error, Timeout};

use crate::net::unversioned::{NextTimeout, Transport, time};

/// Size of a read, and the longest head of a response: one TLS record.
pub const INPUT_BYTES: usize = 16 << 10;

/// The longest body. The response to 500 records takes about 80 KiB, so a longer one is not from Kinesis.
pub const MAX_BODY_BYTES: usize = 1 << 20;

/// The most headers of a response.
const MAX_HEADERS: usize = 64;

/// The head of a response.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// The HTTP status.
    pub status: u16,
    /// The header `x-amzn-errortype`.
    pub error_type: Option<String>,
    /// The header `content-type`, cut to the space for it.
    pub content_type: heapless::String<64>,
    /// The header `date`, unless a cache has held the response (`age`).
    pub date: Option<String>,
    /// How the end of the body is found.
    pub length: Length,
    /// Whether the connection ends with this response.
    pub closes: bool,
}

/// How the end of a body is found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Length {
    /// After this many bytes.
    Known(usize),
    /// After an empty chunk.
    Chunked,
    /// At the end of the connection.
    #[default]
    ToEnd,
}

/// A response being read. The transport holds the timeouts.
#[derive(Debug)]
pub struct Answer<'a>(pub &'a mut dyn Transport);

impl Answer<'_> {
    /// Reads the head. Interim responses such as "100 Continue" are skipped.
    ///
    /// # Errors
    ///
    /// The connection broke, a timeout passed, or the bytes are not HTTP.
    pub fn head(&mut self) -> Result<Head, Error> {
        loop {
            let head = self.next(parse_head)?;
            match head.status {
                200.. => return Ok(head),
                101 => return Err(not_http("it changes to another protocol")),
                100.. => {}
                _ => return Err(not_http("its status is none")),
            }
        }
    }

    /// Appends the body to `body`.
    ///
    /// # Errors
    ///
    /// Those of [`Answer::head`], and if the body is longer than [`MAX_BODY_BYTES`].
    pub fn body(&mut self, length: Length, body: &mut Vec<u8>) -> Result<(), Error> {
        match length {
            Length::Known(length) => self.bytes(length, body),
            Length::Chunked => loop {
                match self.next(parse_chunk_size)? {
                    0 => return self.next(parse_trailers),
                    length => self.bytes(length, body)?,
                }
                self.next(parse_chunk_end)?;
            },
            Length::ToEnd => match self.bytes(MAX_BODY_BYTES, body) {
                Err(Error::Io(error)) if error.kind() == ErrorKind::UnexpectedEof => Ok(()),
                Ok(()) => Err(not_http("it is longer than any of Kinesis")),
                result => result,
            },
        }
    }

    /// Appends `length` bytes to `body`. After an error, those that came before it are there.
    fn bytes(&mut self, length: usize, body: &mut Vec<u8>) -> Result<(), Error> {
        let end = body.len().saturating_add(length);
        if end > MAX_BODY_BYTES {
            return Err(not_http("it is longer than any of Kinesis"));
        }
        while body.len() < end {
            self.next(|input| {
                let count = input.len().min(end - body.len());
                body.extend_from_slice(&input[..count]);
                Ok((count > 0).then_some((count, ())))
            })?;
        }
        Ok(())
    }

    /// Calls `parse` on the bytes so far, and reads more while it returns `None`. It returns how many bytes it consumed, and their meaning.
    fn next<T>(
        &mut self,
        mut parse: impl FnMut(&[u8]) -> Result<Option<(usize, T)>, Error>,
    ) -> Result<T, Error> {
        let Self(transport) = self;
        loop {
            let input = transport.buffers().input();
            if let Some((count, parsed)) = parse(input)? {
                transport.buffers().input_consume(count);
                return Ok(parsed);
            }
            if input.len() >= INPUT_BYTES {
                return Err(not_http("its head, or another part of it, is too long"));
            }
            if !transport.await_input(patience())? {
                return Err(io::Error::from(ErrorKind::UnexpectedEof).into());
            }
        }
    }
}

/// The timeout is set by the transport itself.
pub fn patience() -> NextTimeout {
    NextTimeout {
        after: time::Duration::NotHappening,
        reason: Timeout::RecvResponse,
        ..NextTimeout::default()
    }
}

fn not_http(why: &str) -> Error {
    let what = format!("what came is no answer: {why}");
    io::Error::new(ErrorKind::InvalidData, what).into()
}

fn parse_head(input: &[u8]) -> Result<Option<(usize, Head)>, Error> {
    let mut headers = [EMPTY_HEADER; MAX_HEADERS];
    let mut answer = httparse::Response::new(&mut headers);
    let mut config = ParserConfig::default();
    // Folded header lines, which older versions of HTTP allowed.
    config.allow_obsolete_multiline_headers_in_responses(true);
    let bytes = match config.parse_response(&mut answer, input) {
        Ok(Status::Complete(bytes)) => bytes,
        Ok(Status::Partial) => return Ok(None),
        Err(error) => return Err(not_http(&error.to_string())),
    };
    let mut head = Head {
        status: answer.code.unwrap_or_default(),
        ..Head::default()
    };
    let is_old = answer.version == Some(0);
    let (mut is_cached, mut keeps) = (false, false);
    let (mut length, mut coding) = (None, Coding::None);
    for header in answer.headers.iter() {
        let is = |name: &str| header.name.eq_ignore_ascii_case(name);
        if is("content-length") {
            length = Some(one_length(header, length)?);
        } else if is("transfer-encoding") {
            words(header).for_each(|word| coding = coding.then(word));
        } else if is("connection") {
            head.closes |= words(header).any(|word| word.eq_ignore_ascii_case(b"close"));
            keeps |= words(header).any(|word| word.eq_ignore_ascii_case(b"keep-alive"));
        } else if is("x-amzn-errortype") {
            head.error_type = Some(text(header).to_owned());
        } else if is("content-type") {
            let chars = text(header).chars();
            // Kinesis's own values are shorter.
            let _ = chars
                .into_iter()
                .try_for_each(|char| head.content_type.push(char));
        } else if is("date") {
            head.date = Some(text(header).to_owned());
        } else if is("age") {
            is_cached = true;
        }
    }
    head.length = match (head.status, coding) {
        (100..=199 | 204 | 304, _) => Length::Known(0),
        (_, Coding::None) => length.map_or(Length::ToEnd, Length::Known),
        (_, Coding::Chunked) => Length::Chunked,
        (_, Coding::Other) => return Err(not_http("it is encoded as nobody asked for")),
    };
    // If two headers, or a header and the version, disagree about the end of the body, the start of the next response is unknown.
    let is_ambiguous = coding != Coding::None && (length.is_some() || is_old);
    head.closes |= (is_old && !keeps) || is_ambiguous || head.length == Length::ToEnd;
    head.date = head.date.filter(|_| !is_cached);
    Ok(Some((bytes, head)))
}

/// The value of `Transfer-Encoding`, over all its headers.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Coding {
    None,
    /// Chunked, and nothing else.
    Chunked,
    Other,
}

impl Coding {
    fn then(self, word: &[u8]) -> Self {
        match self {
            coding if word.eq_ignore_ascii_case(b"identity") => coding,
            Self::None if word.eq_ignore_ascii_case(b"chunked") => Self::Chunked,
            _ => Self::Other,
        }
    }
}

/// The length, if this `Content-Length` and those `before` it agree.
fn one_length(header: &Header<'_>, mut before: Option<usize>) -> Result<usize, Error> {
    for word in words(header) {
        let digits = std::str::from_utf8(word)
            .ok()
            .filter(|word| word.bytes().all(|byte| byte.is_ascii_digit()));
        let length = digits.and_then(|digits| digits.parse().ok());
        let length = length.ok_or_else(|| not_http("its length is no number"))?;
        if before.is_some_and(|before| before != length) {
            return Err(not_http("it has two lengths"));
        }
        before = Some(length);
    }
    before.ok_or_else(|| not_http("its length is no number"))
}

/// The elements of a header that is a comma-separated list.
fn words<'a>(header: &Header<'a>) -> impl Iterator<Item = &'a [u8]> + use<'a> {
    header
        .value
        .split(|byte| *byte == b',')
        .map(<[u8]>::trim_ascii)
        .filter(|word| !word.is_empty())
}

fn text<'a>(header: &Header<'a>) -> &'a str {
    std::str::from_utf8(header.value).unwrap_or_default().trim()
}

fn parse_chunk_size(input: &[u8]) -> Result<Option<(usize, usize)>, Error> {
    match httparse::parse_chunk_size(input) {
        Ok(Status::Complete((bytes, size))) => {
            Ok(Some((bytes, usize::try_from(size).unwrap_or(usize::MAX))))
        }
        Ok(Status::Partial) => Ok(None),
        Err(_) => Err(not_http("a chunk has no length")),
    }
}

fn parse_chunk_end(input: &[u8]) -> Result<Option<(usize, ())>, Error> {
    match input {
        [b'\r', b'\n', ..] => Ok(Some((2, ()))),
        [] | [b'\r'] => Ok(None),
        _ => Err(not_http("a chunk has no end")),
    }
}

/// Skips the trailers after the last chunk, up to the empty line.
fn parse_trailers(input: &[u8]) -> Result<Option<(usize, ())>, Error> {
    match httparse::parse_headers(input, &mut [EMPTY_HEADER; MAX_HEADERS]) {
        Ok(Status::Complete((bytes, _))) => Ok(Some((bytes, ()))),
        Ok(Status::Partial) => Ok(None),
        Err(_) => Err(not_http("its trailer is none")),
    }
}

#[cfg(test)]
mod tests;
