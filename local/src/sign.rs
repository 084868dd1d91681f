//! Signature version 4 for any AWS service, as `aws-sigv4` makes it.

use std::time::SystemTime;

use anyhow::Context;
use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    self, PayloadChecksumKind, SignableBody, SignableRequest, SigningInstructions, SigningSettings,
    UriPathNormalizationMode,
};
use aws_sigv4::sign::v4::SigningParams;

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

/// The headers that make `request` one to `service` in `region`, signed by `credentials` now.
///
/// # Errors
/// If the request cannot be signed, for example because its address is none.
pub fn sign(
    request: Request<'_>,
    service: &str,
    region: &str,
    credentials: &Credentials,
) -> anyhow::Result<SigningInstructions> {
    let mut settings = SigningSettings::default();
    if service == "s3" {
        // S3 alone wants the body's hash as a header, and the path as it is.
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    }
    let identity = credentials.clone().into();
    let params = SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name(service)
        .time(SystemTime::now())
        .settings(settings)
        .build()?
        .into();
    let body = SignableBody::Bytes(request.body);
    let headers = request.headers.iter().copied();
    let signable = SignableRequest::new(request.method, request.url, headers, body)?;
    let signed = http_request::sign(signable, &params).context("the request cannot be signed")?;
    Ok(signed.into_parts().0)
}
