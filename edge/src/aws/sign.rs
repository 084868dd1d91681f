//! Signature version 4 for one kind of request: a POST to the root of a service.
//!
//! `aws-sigv4` derives the signing key, which is valid for a day. The canonical request is written here, into a reused buffer, because that crate
//! would derive the key again and allocate some sixty times for every call. Hashes are computed by `ring`, whose NEON code makes them affordable on
//! a board without SHA instructions.

use std::fmt::{self, Write};
use std::time::SystemTime;

use anyhow::Context;
use aws_credential_types::Credentials;
use aws_sigv4::sign::v4::generate_signing_key;
use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use ring::{digest, hmac};

use crate::net::endpoint::Endpoint;
use crate::platform::time::since_1970;

/// Signs requests to one service.
#[derive(Debug)]
pub struct Signer {
    /// The value of the `Host` header.
    host: String,
    /// The path of the URL: `/` for AWS's own endpoints.
    path: String,
    region: String,
    /// The service's signing name, such as `kinesis`.
    service: &'static str,
    key: Option<Key>,
    /// The text that is hashed and signed. This buffer, and the header's, are reused for every request.
    text: String,
    authorization: String,
}

/// The signing key for one day and one pair of credentials.
struct Key {
    day: String,
    credentials: Credentials,
    hmac: hmac::Key,
}

/// The headers that a signed request needs besides `Host`, `Content-Type` and, for some services, `X-Amz-Target`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature<'a> {
    /// `X-Amz-Date`
    pub date: String,
    /// `Authorization`
    pub authorization: &'a str,
    /// `X-Amz-Security-Token`, if the credentials have one.
    pub token: Option<&'a str>,
}

impl Signer {
    /// A signer for requests to `endpoint`. Its path must not contain characters that have to be escaped.
    pub fn new(endpoint: &Endpoint, region: &str, service: &'static str) -> Self {
        Self {
            host: endpoint.authority().to_owned(),
            path: endpoint.path(),
            region: region.to_owned(),
            service,
            key: None,
            text: String::new(),
            authorization: String::new(),
        }
    }

    /// Signs a request with this `content_type`, `target` (`X-Amz-Target`, if the protocol has one) and `body` at `time`. The server accepts it within
    /// five minutes of its own time.
    ///
    /// # Errors
    ///
    /// `time` cannot be written in a signature.
    pub fn sign<'a>(
        &'a mut self,
        content_type: &str,
        target: Option<&str>,
        body: &[u8],
        credentials: &'a Credentials,
        time: SystemTime,
    ) -> anyhow::Result<Signature<'a>> {
        let date = basic_format(time)?;
        let day = &date[..8];
        let token = credentials.session_token();
        let headers = match (token, target) {
            (None, None) => "content-type;host;x-amz-date",
            (None, Some(_)) => "content-type;host;x-amz-date;x-amz-target",
            (Some(_), None) => "content-type;host;x-amz-date;x-amz-security-token",
            (Some(_), Some(_)) => "content-type;host;x-amz-date;x-amz-security-token;x-amz-target",
        };

        let Self {
            host,
            path,
            region,
            service,
            key,
            text,
            authorization,
        } = self;
        text.clear();
        // Writing to memory cannot fail, here and below.
        let _ = write!(
            text,
            "POST\n{path}\n\ncontent-type:{content_type}\nhost:{host}\nx-amz-date:{date}\n"
        );
        if let Some(token) = token {
            let _ = writeln!(text, "x-amz-security-token:{token}");
        }
        if let Some(target) = target {
            let _ = writeln!(text, "x-amz-target:{target}");
        }
        let _ = write!(text, "\n{headers}\n{}", Hex::of(sha256(body).as_ref()));
        let request = Hex::of(sha256(text.as_bytes()).as_ref());

        let scope = format_args!("{day}/{region}/{service}/aws4_request");
        text.clear();
        let _ = write!(text, "AWS4-HMAC-SHA256\n{date}\n{scope}\n{request}");
        let key = match key.take().filter(|key| key.is_for(day, credentials)) {
            Some(known) => key.insert(known),
            None => {
                let secret = credentials.secret_access_key();
                let derived = generate_signing_key(secret, time, region, service);
                key.insert(Key {
                    day: day.to_owned(),
                    credentials: credentials.clone(),
                    hmac: hmac::Key::new(hmac::HMAC_SHA256, derived.as_ref()),
                })
            }
        };
        let signature = Hex::of(hmac::sign(&key.hmac, text.as_bytes()).as_ref());
        authorization.clear();
        let _ = write!(
            authorization,
            "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={headers}, Signature={signature}",
            credentials.access_key_id()
        );
        Ok(Signature {
            date,
            authorization,
            token,
        })
    }
}

impl Key {
    fn is_for(&self, day: &str, credentials: &Credentials) -> bool {
        self.day == day
            && self.credentials.access_key_id() == credentials.access_key_id()
            && self.credentials.secret_access_key() == credentials.secret_access_key()
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key")
            .field("day", &self.day)
            .finish_non_exhaustive()
    }
}

fn sha256(bytes: &[u8]) -> digest::Digest {
    digest::digest(&digest::SHA256, bytes)
}

/// 32 bytes as hexadecimal digits.
struct Hex([u8; 64]);

impl Hex {
    fn of(bytes: &[u8]) -> Self {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut digits = [b'0'; 64];
        for (two, byte) in digits.chunks_exact_mut(2).zip(bytes) {
            two[0] = DIGITS[usize::from(byte >> 4)];
            two[1] = DIGITS[usize::from(byte & 15)];
        }
        Self(digits)
    }
}

impl fmt::Display for Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // They are ASCII.
        f.write_str(std::str::from_utf8(&self.0).unwrap_or_default())
    }
}

/// The time in the format of signatures: `20260115T103500Z`.
fn basic_format(time: SystemTime) -> anyhow::Result<String> {
    let since_1970 = since_1970(time);
    let seconds = i64::try_from(since_1970.as_secs()).unwrap_or(i64::MAX);
    let mut date = DateTime::from_secs(seconds)
        .fmt(Format::DateTime)
        .context("no request can be signed at the time this machine's clock shows")?;
    date.retain(|char| char != '-' && char != ':');
    Ok(date)
}

#[cfg(test)]
mod tests;
