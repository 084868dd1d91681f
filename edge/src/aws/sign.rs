//! Signature version 4, as `aws-sigv4` makes it, over a body hashed by `ring`: on a board without SHA instructions its NEON code is what
//! makes the hash affordable.

use std::fmt::Write;
use std::time::SystemTime;

use anyhow::Context;
use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, SignableBody, SignableRequest, SigningInstructions, SigningSettings,
    UriPathNormalizationMode,
};
use aws_sigv4::sign::v4::SigningParams;
use ring::digest;

/// A request as it will be sent. Its `Host` header is derived from the URL.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Such as `POST`.
    pub method: &'a str,
    /// Scheme, host, path and query.
    pub url: &'a str,
    /// The headers to sign beside `Host` and those signing itself adds.
    pub headers: &'a [(&'a str, &'a str)],
    /// The whole body.
    pub body: &'a [u8],
}

/// Where a signature counts.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    /// Such as `eu-west-1`.
    pub region: &'a str,
    /// The service's signing name, such as `kinesis`.
    pub service: &'a str,
}

/// The headers that make `request` one signed by `credentials` at `time`; the server accepts it for five minutes around its own time.
pub fn sign(
    request: Request<'_>,
    scope: Scope<'_>,
    credentials: &Credentials,
    time: SystemTime,
) -> anyhow::Result<SigningInstructions> {
    let mut settings = SigningSettings::default();
    if scope.service == "s3" {
        // S3 alone wants the body's hash as a header, and the path as it is.
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    }
    let identity = credentials.clone().into();
    let params = SigningParams::builder()
        .identity(&identity)
        .region(scope.region)
        .name(scope.service)
        .time(time)
        .settings(settings)
        .build()
        .context("the request cannot be signed")?
        .into();
    let hash = SignableBody::Precomputed(hex_sha256(request.body));
    let signable = SignableRequest::new(
        request.method,
        request.url,
        request.headers.iter().copied(),
        hash,
    )
    .context("the request cannot be signed")?;
    let signed =
        aws_sigv4::http_request::sign(signable, &params).context("the request cannot be signed")?;
    Ok(signed.into_parts().0)
}

fn hex_sha256(body: &[u8]) -> String {
    let mut hex = String::with_capacity(2 * digest::SHA256_OUTPUT_LEN);
    for byte in digest::digest(&digest::SHA256, body).as_ref() {
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    #[test]
    fn a_signature_is_the_one_aws_documents() {
        // Given the credentials, time and request of the "get-vanilla" case in AWS's own signature test suite
        let credentials = Credentials::new(
            "AKIDEXAMPLE",
            "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
            None,
            None,
            "test",
        );
        let request = Request {
            method: "GET",
            url: "https://example.amazonaws.com/",
            headers: &[],
            body: b"",
        };
        let time = UNIX_EPOCH + Duration::from_secs(1_440_938_160);

        // When it is signed
        let signed = sign(
            request,
            Scope {
                region: "us-east-1",
                service: "service",
            },
            &credentials,
            time,
        )
        .unwrap();

        // Then the signature is the suite's
        let authorization = signed
            .headers()
            .find(|(name, _)| *name == "authorization")
            .unwrap()
            .1;
        let expected = "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31";
        assert!(authorization.ends_with(expected), "{authorization}");
    }
}
