//! The app's bearer token, in exchange for its consumer key and secret.

use base64_simd::STANDARD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use ureq::http::Request;

use super::client::Client;
use super::outcome::Trouble;
use crate::report;

/// What RFC 3986 reserves: all but letters, digits and `-._~`.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Asks for the token. X gives the same one until somebody invalidates it.
pub fn get(client: &Client<'_>, key: &str, secret: &str) -> Result<String, Trouble> {
    let encoded = |text| utf8_percent_encode(text, RESERVED);
    let pair = format!("{}:{}", encoded(key), encoded(secret));
    let pair = STANDARD.encode_to_string(pair);
    report::hide(&pair);
    let request = Request::post(format!("{}/oauth2/token", client.settings.endpoint))
        .header("authorization", format!("Basic {pair}"))
        .header(
            "content-type",
            "application/x-www-form-urlencoded;charset=UTF-8",
        )
        .body("grant_type=client_credentials".to_owned());
    let answer = client.send(request).map_err(|trouble| match trouble {
        // Whatever else X finds wrong with such a request, it is the keys.
        Trouble::Person(_) | Trouble::Unauthorized => Trouble::Unauthorized,
        other => other,
    })?;

    #[derive(Deserialize)]
    struct Token {
        access_token: String,
    }
    serde_json::from_str::<Token>(&client.text(answer)?)
        .map(|token| token.access_token)
        .map_err(|_| Trouble::Server("X answered without a token".to_owned()))
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
