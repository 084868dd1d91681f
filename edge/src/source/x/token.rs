//! The app's bearer token, in exchange for its consumer key and secret.

use std::fmt::Write;

use base64_simd::STANDARD;
use serde::Deserialize;
use ureq::http::Request;

use crate::net::endpoint::Endpoint;
use crate::observe::journal;
use crate::source::x::outcome::ApiError;

/// Asks for the token. X gives the same one until somebody invalidates it.
pub fn request(endpoint: &Endpoint, key: &str, secret: &str) -> http::Result<Request<String>> {
    let pair = format!("{}:{}", percent_encoded(key), percent_encoded(secret));
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

/// The token in X's answer.
pub fn read(answer: &str) -> Result<String, ApiError> {
    #[derive(Deserialize)]
    struct Token {
        access_token: String,
    }
    serde_json::from_str::<Token>(answer)
        .map(|token| token.access_token)
        .map_err(|_| ApiError::Server("X answered without a token".to_owned()))
}

/// As RFC 3986 has it: letters, digits and `-._~` stand for themselves.
fn percent_encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
        encoded
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_with_reserved_characters_is_percent_encoded() {
        assert_eq!(percent_encoded("aZ09-._~"), "aZ09-._~");
        assert_eq!(percent_encoded("a+b/c=:é"), "a%2Bb%2Fc%3D%3A%C3%A9");
    }
}
