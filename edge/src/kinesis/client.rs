//! One attempt: a signed request, sent over a connection that is kept, and the answer's bytes.

use std::io::{self, Read};
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use ureq::Agent;

use super::request::Call;
use crate::aws::sign::{self, Scope};
use crate::http::{self, Endpoint, Roots};

/// The longest silence of a server that still counts as an answer to come.
const SILENCE: Duration = Duration::from_secs(20);

/// An answer to 500 records takes about 80 KiB; more than this is not Kinesis's.
const MAX_ANSWER_BYTES: u64 = 1 << 20;

/// The way to one stream's endpoint.
#[derive(Debug)]
pub struct Client {
    agent: Agent,
    roots: Roots,
    url: String,
    region: String,
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
            region: region.to_owned(),
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
        let headers = [
            ("content-type", "application/x-amz-json-1.1"),
            ("x-amz-target", call.target()),
        ];
        let request = sign::Request {
            method: "POST",
            url: &self.url,
            headers: &headers,
            body,
        };
        let signed = sign::sign(
            request,
            Scope {
                region: &self.region,
                service: "kinesis",
            },
            credentials,
            time,
        )
        .map_err(io::Error::other)?;

        let request = headers.into_iter().chain(signed.headers());
        let request = request.fold(self.agent.post(&self.url), |request, (name, value)| {
            request.header(name, value)
        });
        let mut response = request.send(body)?;

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
