use std::time::{Duration, UNIX_EPOCH};

use aws_sigv4::http_request::{self, SignableBody, SignableRequest, SigningSettings};
use aws_sigv4::sign::v4::SigningParams;
use proptest::prelude::*;

use super::*;

const JSON: &str = "application/x-amz-json-1.1";

fn endpoint(host: &str) -> Endpoint {
    Endpoint::parse(&format!("https://{host}"), false).unwrap()
}

/// What `aws-sigv4` itself makes of the same request.
fn by_aws(
    host: &str,
    target: Option<&str>,
    body: &[u8],
    credentials: &Credentials,
    time: SystemTime,
) -> Vec<(String, String)> {
    let identity = credentials.clone().into();
    let params = SigningParams::builder()
        .identity(&identity)
        .region("eu-west-1")
        .name("kinesis")
        .time(time)
        .settings(SigningSettings::default())
        .build()
        .unwrap()
        .into();
    let url = format!("https://{host}/");
    let target = target.map(|target| ("x-amz-target", target));
    let headers = [("content-type", JSON)].into_iter().chain(target);
    let body = SignableBody::Bytes(body);
    let request = SignableRequest::new("POST", url, headers, body).unwrap();
    let signed = http_request::sign(request, &params).unwrap().into_parts().0;
    let mut headers: Vec<_> = signed
        .headers()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    headers.sort();
    headers
}

proptest! {
    #[test]
    fn a_signature_is_the_one_aws_makes(
        secrets in prop::collection::vec("[A-Za-z0-9+/]{40}", 1..3),
        token in prop::option::of("[A-Za-z0-9+/=]{1,900}"),
        target in prop::option::of("Kinesis_20131202\\.PutRecords?"),
        body in prop::collection::vec(any::<u8>(), 0..300),
        host in "[a-z]{1,9}(:8443)?(/[a-z]{1,9}){0,2}",
        hours in prop::collection::vec(0u32..500_000, 1..5),
    ) {
        // Given one signer, for several credentials and times
        let mut signer = Signer::new(&endpoint(&host), "eu-west-1", "kinesis");
        for (secret, hour) in secrets.iter().flat_map(|secret| hours.iter().map(move |hour| (secret, *hour))) {
            let credentials = Credentials::new("AKIDEXAMPLE", secret, token.clone(), None, "test");
            let time = UNIX_EPOCH + Duration::from_secs(3600) * hour;

            // When it signs
            let Signature { date, authorization, token } =
                signer.sign(JSON, target.as_deref(), &body, &credentials, time).unwrap();

            // Then the headers are those of aws-sigv4
            let mut headers = vec![
                ("authorization".to_owned(), authorization.to_owned()),
                ("x-amz-date".to_owned(), date),
            ];
            headers.extend(token.map(|token| ("x-amz-security-token".to_owned(), token.to_owned())));
            prop_assert_eq!(headers, by_aws(&host, target.as_deref(), &body, &credentials, time));
        }
    }
}

#[test]
fn a_time_no_signature_can_name_is_an_error() {
    let mut signer = Signer::new(&endpoint("host"), "eu-west-1", "kinesis");
    let credentials = Credentials::new("AKIDEXAMPLE", "secret", None, None, "test");
    let time = UNIX_EPOCH + Duration::from_secs(400_000_000_000);
    assert!(
        signer
            .sign(JSON, Some("t"), b"", &credentials, time)
            .is_err()
    );
}
