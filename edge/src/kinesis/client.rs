//! One attempt: a signed request, sent over a connection that is kept, and the answer's bytes.

use std::io::{self, Read};
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use ureq::Agent;
use ureq::http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use ureq::http::{HeaderValue, Request};

use super::request::Call;
use crate::aws::sign::Signer;
use crate::http::{self, Endpoint, Roots};

/// The longest silence of a server that still counts as an answer to come.
const SILENCE: Duration = Duration::from_secs(20);

/// An answer to 500 records takes about 80 KiB; more than this is not Kinesis's.
const MAX_ANSWER_BYTES: u64 = 1 << 20;

/// The `Content-Type` of the AWS JSON protocol.
const CONTENT: &str = "application/x-amz-json-1.1";

/// The way to one stream's endpoint.
#[derive(Debug)]
pub struct Client {
    agent: Agent,
    roots: Roots,
    url: String,
    /// As in the `Host` header.
    host: String,
    signer: Signer,
    /// Used again for every answer.
    answer: Vec<u8>,
}

/// What came back.
#[derive(Debug)]
pub struct Answer<'a> {
    /// The HTTP status.
    pub status: u16,
    /// The header `x-amzn-errortype`.
    pub error_type: Option<String>,
    /// The server's own time as its `Date` header gives it, unless a cache held the answer for a while.
    pub date: Option<SystemTime>,
    /// The whole body.
    pub body: &'a [u8],
}

impl Client {
    /// A client for the Kinesis API at `endpoint`. Nothing is sent yet.
    pub fn new(endpoint: &Endpoint, region: &str, roots: Roots) -> Self {
        let agent = http::agent(&roots, SILENCE);
        Self {
            agent,
            roots,
            url: format!("{endpoint}/"),
            host: endpoint.authority().to_owned(),
            signer: Signer::new(endpoint, region, "kinesis", CONTENT),
            answer: Vec::new(),
        }
    }

    /// Sends `body`, signed at `time`. An error is one of the network: whether the server took the
    /// records is then unknown.
    pub fn put(
        &mut self,
        call: Call,
        body: &[u8],
        credentials: &Credentials,
        time: SystemTime,
    ) -> Result<Answer<'_>, ureq::Error> {
        let signature = self
            .signer
            .sign(Some(call.target()), body, credentials, time)
            .map_err(io::Error::other)?;
        let request = Request::post(&self.url)
            .header(HOST, &self.host)
            .header(CONTENT_TYPE, HeaderValue::from_static(CONTENT))
            .header("x-amz-target", HeaderValue::from_static(call.target()))
            .header("x-amz-date", &signature.date)
            .header(AUTHORIZATION, signature.authorization);
        let request = match signature.token {
            Some(token) => request.header("x-amz-security-token", token),
            None => request,
        };
        let mut response = self.agent.run(request.body(body)?)?;

        let header = |name: &str| {
            response
                .headers()
                .get(name)
                .and_then(|value| value.to_str().ok())
        };
        let error_type = header("x-amzn-errortype").map(str::to_owned);
        let date = match header("age") {
            None => header("date").and_then(|date| httpdate::parse_http_date(date).ok()),
            Some(_) => None,
        };
        let status = response.status().as_u16();
        self.answer.clear();
        response
            .body_mut()
            .as_reader()
            .take(MAX_ANSWER_BYTES)
            .read_to_end(&mut self.answer)?;
        Ok(Answer {
            status,
            error_type,
            date,
            body: &self.answer,
        })
    }

    /// Leaves the kept connection: the next attempt looks the name up and connects anew.
    pub fn reconnect(&mut self) {
        self.agent = http::agent(&self.roots, SILENCE);
    }
}
