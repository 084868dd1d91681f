//! One call to Kinesis: signs the request, sends it over a reused connection, and returns the response's bytes.

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

/// A client for one Kinesis endpoint.
#[derive(Debug)]
pub struct Client {
    connection: Connection,
    signer: Signer,
    /// The beginning of every request.
    start: String,
    /// Buffer of the request's head, reused.
    head: Vec<u8>,
}

/// A response.
#[derive(Debug)]
pub struct Answer<'a> {
    /// The HTTP status.
    pub status: u16,
    /// The header `x-amzn-errortype`.
    pub error_type: Option<String>,
    /// The body's format: by its `Content-Type`, else by its first byte, else the request's.
    pub wire: Wire,
    /// The server's time in the header `date`, unless a cache has held the response.
    pub date: Option<SystemTime>,
    /// The whole body.
    pub body: &'a [u8],
    /// What the call cost on the wire.
    pub sent: Sent,
}

impl Client {
    /// A client for the Kinesis API at `endpoint`. It connects at the first call.
    pub fn new(endpoint: &Endpoint, region: &str, roots: Roots) -> Self {
        let (path, host) = (endpoint.path(), endpoint.authority());
        Self {
            connection: Connection::new(endpoint, &roots, Limits::default()),
            signer: Signer::new(endpoint, region, "kinesis"),
            start: format!("POST {path} HTTP/1.1\r\nhost: {host}\r\nuser-agent: {USER_AGENT}\r\n"),
            head: Vec::new(),
        }
    }

    /// Sends `body`, which is in the format `wire`, signed at `time`.
    ///
    /// # Errors
    ///
    /// A network error, or credentials that no header can hold. [`Broken`] says how far the call got, and so whether the server may have accepted the
    /// records.
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

    /// The traffic of the newest connection, also of one that broke.
    pub fn life(&self) -> Life {
        self.connection.life()
    }

    /// Closes the connection. The next call does a DNS lookup and connects again.
    pub fn reconnect(&mut self) {
        self.connection.close();
    }
}
