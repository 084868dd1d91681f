//! The exchange of the app's consumer key and secret for a bearer token (X API, "OAuth 2.0 Bearer Token").

use base64_simd::STANDARD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use ureq::http::Request;

use crate::net::endpoint::Endpoint;
use crate::observe::journal;
use crate::source::x::outcome::ApiError;

/// All characters except letters, digits and `-._~` (RFC 3986, section 2.3, "Unreserved Characters").
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// The request for the token. X gives the same token until it is invalidated.
///
/// # Errors
/// If the endpoint makes no valid address.
pub fn request(endpoint: &Endpoint, key: &str, secret: &str) -> http::Result<Request<String>> {
    let encoded = |text| utf8_percent_encode(text, RESERVED);
    let pair = format!("{}:{}", encoded(key), encoded(secret));
    let pair = STANDARD.encode_to_string(pair);
    journal::hide(&pair);
    Request::post(format!("{endpoint}/oauth2/token"))
        .header("authorization", format!("Basic {pair}"))
        .header(
            "content-type",
            "application/x-www-form-urlencoded;charset=UTF-8",
        )
        .body("grant_type=client_credentials".to_owned())
}

/// The token in X's response.
///
/// # Errors
/// If the response holds no token.
pub fn read(answer: &str) -> Result<String, ApiError> {
    #[derive(Deserialize)]
    struct Token {
        access_token: String,
    }
    serde_json::from_str::<Token>(answer)
        .map(|token| token.access_token)
        .map_err(|_| ApiError::Server("X answered without a token".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_with_reserved_characters_is_percent_encoded() {
        let encoded = |text| utf8_percent_encode(text, RESERVED).to_string();
        assert_eq!(encoded("aZ09-._~"), "aZ09-._~");
        assert_eq!(encoded("a+b/c=:é"), "a%2Bb%2Fc%3D%3A%C3%A9");
    }
}
