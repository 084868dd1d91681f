//! One attempt: a signed request, sent over a connection that is kept, and the answer's bytes.

use std::io::{self, Write};
use std::time::SystemTime;

use aws_credential_types::Credentials;

use crate::aws::kinesis::request::Call;
use crate::aws::kinesis::wire::Wire;
use crate::aws::sign::Signer;
use crate::net::agent::USER_AGENT;
use crate::net::endpoint::Endpoint;
use crate::net::meter::{Broken, Life, Limits, Phase, Sent};
use crate::net::roots::Roots;
use crate::net::transport::Connection;

/// The way to one stream's endpoint.
#[derive(Debug)]
pub struct Client {
    connection: Connection,
    signer: Signer,
    /// What every request begins with.
    start: String,
    /// Used again for every request.
    head: Vec<u8>,
}

/// What came back.
#[derive(Debug)]
pub struct Answer<'a> {
    /// The HTTP status.
    pub status: u16,
    /// The header `x-amzn-errortype`.
    pub error_type: Option<String>,
    /// How the body is written: as its `Content-Type` says, or else its first byte, or else as the request was.
    pub wire: Wire,
    /// The server's own time as its `Date` header gives it, unless a cache held the answer for a while.
    pub date: Option<SystemTime>,
    /// The whole body.
    pub body: &'a [u8],
    /// What the call put on the way.
    pub sent: Sent,
}

impl Client {
    /// A client for the Kinesis API at `endpoint`. Nothing is sent yet.
    pub fn new(endpoint: &Endpoint, region: &str, roots: Roots) -> Self {
        let (path, host) = (endpoint.path(), endpoint.authority());
        Self {
            connection: Connection::new(endpoint, &roots, Limits::default()),
            signer: Signer::new(endpoint, region, "kinesis"),
            start: format!("POST {path} HTTP/1.1\r\nhost: {host}\r\nuser-agent: {USER_AGENT}\r\n"),
            head: Vec::new(),
        }
    }

    /// Sends `body`, which is written as `wire` says, signed at `time`.
    ///
    /// # Errors
    ///
    /// One of the network, or of credentials no request can hold: [`Broken`] says how far the call came, and so whether the server may have
    /// taken the records.
    pub fn put(
        &mut self,
        call: Call,
        wire: Wire,
        body: &[u8],
        credentials: &Credentials,
        time: SystemTime,
    ) -> Result<Answer<'_>, Broken> {
        self.call(call.target(), wire, body, credentials, time)
    }

    /// The same for a call of any other kind, by the value of its `X-Amz-Target` header.
    ///
    /// # Errors
    ///
    /// As with [`Self::put`].
    pub fn call(
        &mut self,
        target: &str,
        wire: Wire,
        body: &[u8],
        credentials: &Credentials,
        time: SystemTime,
    ) -> Result<Answer<'_>, Broken> {
        self.write_head(target, wire, body, credentials, time)
            .map_err(|error| Broken {
                sent: Sent::default(),
                phase: Phase::Connecting,
                error: error.into(),
            })?;
        let (head, body, sent) = self.connection.call(&self.head, body)?;
        Ok(Answer {
            status: head.status,
            wire: Wire::of(&head.content_type).unwrap_or(match body {
                [b'{', ..] => Wire::Json,
                _ => wire,
            }),
            error_type: head.error_type,
            date: head
                .date
                .and_then(|date| httpdate::parse_http_date(&date).ok()),
            body,
            sent,
        })
    }

    fn write_head(
        &mut self,
        target: &str,
        wire: Wire,
        body: &[u8],
        credentials: &Credentials,
        time: SystemTime,
    ) -> io::Result<()> {
        let content_type = wire.content_type();
        let signature = self
            .signer
            .sign(content_type, Some(target), body, credentials, time)
            .map_err(io::Error::other)?;
        let texts = [Some(signature.authorization), signature.token];
        if texts
            .into_iter()
            .flatten()
            .any(|text| text.contains(char::is_control))
        {
            return Err(io::Error::other(
                "the credentials hold a line break or the like",
            ));
        }
        let head = &mut self.head;
        head.clear();
        head.extend_from_slice(self.start.as_bytes());
        write!(
            head,
            "content-type: {content_type}\r\ncontent-length: {}\r\nx-amz-target: {target}\r\nx-amz-date: {}\r\nauthorization: {}\r\n",
            body.len(),
            signature.date,
            signature.authorization,
        )?;
        if let Some(token) = signature.token {
            write!(head, "x-amz-security-token: {token}\r\n")?;
        }
        head.extend_from_slice(b"\r\n");
        Ok(())
    }

    /// What the newest connection carried, and for how long; also of one that broke.
    pub fn life(&self) -> Life {
        self.connection.life()
    }

    /// Leaves the kept connection: the next attempt looks the name up and connects anew.
    pub fn reconnect(&mut self) {
        self.connection.close();
    }
}
