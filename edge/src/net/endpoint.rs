//! The address of a server.

use std::fmt;

use anyhow::{Context, bail, ensure};
use ureq::http::Uri;

/// The address of a server: `https://` or `wss://`, or unencrypted to this machine. It has no trailing slash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    text: String,
    uri: Uri,
}

impl Endpoint {
    /// Parses `url`. `plain` allows unencrypted connections to other machines.
    ///
    /// # Errors
    ///
    /// It is not a URL of a web server, contains a user or password, or is unencrypted and not allowed.
    pub fn parse(url: &str, plain: bool) -> anyhow::Result<Self> {
        let text = url.trim_end_matches('/').to_owned();
        let after_scheme = text.split_once("://").map_or(&*text, |(_, rest)| rest);
        let authority = after_scheme.split(['/', '?', '#']).next();
        ensure!(
            !authority.is_some_and(|authority| authority.contains('@')),
            "an address may hold no user and no password: write it as https://HOST"
        );
        let uri: Uri = text
            .parse()
            .with_context(|| format!("'{url}' is no address"))?;
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
        let local = host == "localhost"
            || host
                .parse::<std::net::IpAddr>()
                .is_ok_and(|ip| ip.is_loopback());
        match uri.scheme_str() {
            _ if host.is_empty() => bail!("'{url}' names no host: write it as https://HOST"),
            Some("https" | "wss") => {}
            Some("http" | "ws") if local || plain => {}
            Some("http" | "ws") => bail!(
                "'{url}' is not encrypted: use https, or set HEADWATER_ALLOW_HTTP=1 on a network you trust"
            ),
            _ => bail!("'{url}' is no address of a web server: write it as https://HOST"),
        }
        Ok(Self { text, uri })
    }

    /// The address as text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The address as a URI.
    pub fn uri(&self) -> &Uri {
        &self.uri
    }

    /// The path: `/` mostly, else `/path/`.
    pub fn path(&self) -> String {
        match self.text.splitn(4, '/').nth(3) {
            None => "/".to_owned(),
            Some(path) => format!("/{path}/"),
        }
    }

    /// The host, and the port if it is not the default, as in the Host header.
    pub fn authority(&self) -> &str {
        let rest = self
            .text
            .split_once("://")
            .map_or(self.as_str(), |(_, rest)| rest);
        rest.split('/').next().unwrap_or(rest)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests;
