//! What every connection of the board has in common: whom it trusts, how long it waits, and that it is encrypted.

use std::fmt;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::{Context, anyhow, bail, ensure};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{CertificateError, ClientConfig, RootCertStore};
use ureq::Agent;
use ureq::config::{Config, ConfigBuilder};
use ureq::http::Uri;
use ureq::typestate::AgentScope;

use crate::net::proxy;
use crate::net::tls::{self, Tls};
use crate::net::unversioned::{
    ConnectProxyConnector, ConnectionDetails, Connector, DefaultResolver, NextTimeout, Resolver,
    TcpConnector, Transport, time,
};

/// Sent with every request; X asks for a versioned one.
pub const USER_AGENT: &str = concat!("headwater/", env!("CARGO_PKG_VERSION"));

/// How long a connection may take to stand: name, TCP and TLS.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

/// The certificates the board trusts. Its clones share their TLS sessions.
#[derive(Clone, Default)]
pub struct Roots {
    /// `None` means Mozilla's, built in.
    own: Option<Vec<CertificateDer<'static>>>,
    client_config: Arc<OnceLock<Arc<ClientConfig>>>,
}

impl Roots {
    /// The PEM file named by AWS_CA_BUNDLE, else by SSL_CERT_FILE, in the place of the built-in roots.
    pub fn from_env(env: &dyn Fn(&str) -> Option<String>) -> anyhow::Result<Self> {
        let named = ["AWS_CA_BUNDLE", "SSL_CERT_FILE"]
            .into_iter()
            .find_map(|name| Some((name, env(name).filter(|value| !value.is_empty())?)));
        let Some((name, path)) = named else {
            return Ok(Self::default());
        };
        let path = PathBuf::from(path);
        let hint = || {
            format!(
                "{name} names {}: point it at a PEM file of certificates, or unset it",
                path.display()
            )
        };
        Self::from_pem(&fs::read(&path).with_context(hint)?).with_context(hint)
    }

    /// The certificates of a PEM file, at least one. Bundles of old hold some that no one can read any more: those are left out.
    pub fn from_pem(pem: &[u8]) -> anyhow::Result<Self> {
        let mut own = Vec::new();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            own.push(certificate.map_err(|error| anyhow!("it is not PEM: {error}"))?);
        }
        ensure!(!own.is_empty(), "there is no certificate in it");
        own.retain(|certificate| RootCertStore::empty().add(certificate.clone()).is_ok());
        ensure!(
            !own.is_empty(),
            "what it calls certificates cannot be read as such"
        );
        Ok(Self {
            own: Some(own),
            client_config: Arc::default(),
        })
    }

    /// The TLS client that trusts them: one for all connections, so that sessions are resumed.
    pub fn client_config(&self) -> Arc<ClientConfig> {
        self.client_config
            .get_or_init(|| tls::client_config(self.store()))
            .clone()
    }

    /// The same as rustls takes them.
    pub fn store(&self) -> RootCertStore {
        let mut store = RootCertStore::empty();
        match &self.own {
            None => store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
            Some(own) => {
                store.add_parsable_certificates(own.iter().cloned());
            }
        }
        store
    }
}

impl fmt::Debug for Roots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.own {
            None => f.write_str("built-in roots"),
            Some(own) => write!(f, "{} own roots", own.len()),
        }
    }
}

/// An agent for requests to `endpoint` that keeps its connections, follows no redirect, leaves every status to the caller, and
/// goes through the proxy that stands [between](proxy::between). Whom it trusts, and who it is, stands in `tls`; `silence` is the longest it
/// waits for the next byte.
pub fn agent(endpoint: &Endpoint, tls: Arc<ClientConfig>, silence: Duration) -> Agent {
    let connector =
        ().chain(ConnectProxyConnector::default())
            .chain(TcpConnector::default())
            .chain(Tls(tls));
    Agent::with_parts(
        config(endpoint, silence).build(),
        connector,
        DefaultResolver::default(),
    )
}

/// What [`agent`] is made of, for those with a connector of their own.
pub fn config(endpoint: &Endpoint, silence: Duration) -> ConfigBuilder<AgentScope> {
    Agent::config_builder()
        .proxy(proxy::between(endpoint.uri()))
        .user_agent(USER_AGENT)
        .http_status_as_error(false)
        .max_redirects(0)
        .timeout_connect(Some(CONNECT_TIMEOUT))
        .timeout_per_read(Some(silence))
        .timeout_per_write(Some(silence))
}

/// Opens a connection to the server of `uri` for a caller that speaks its own protocol. `connector` makes it as ureq makes those of its own
/// requests: its name is looked up, and the way is by the proxy that `config` names.
pub fn connect(
    uri: &Uri,
    config: &Config,
    connector: Arc<impl Connector<(), Out = impl Transport>>,
) -> Result<Box<dyn Transport>, ureq::Error> {
    let resolver = DefaultResolver::default();
    // The proxy looks the name up.
    let addrs = if config.proxy().is_some() {
        resolver.empty()
    } else {
        resolver.resolve(uri, config, NextTimeout::default())?
    };
    let run = {
        let connector = connector.clone();
        move |details: &ConnectionDetails<'_>| open(&*connector, details)
    };
    let details = ConnectionDetails {
        uri,
        addrs,
        config,
        request_level: false,
        resolver: &resolver,
        now: time::Instant::now(),
        timeout: NextTimeout {
            after: CONNECT_TIMEOUT.into(),
            reason: ureq::Timeout::Connect,
            ..NextTimeout::default()
        },
        current_time: Arc::new(time::Instant::now),
        run_connector: Arc::new(run),
        register_shutdown: Arc::new(|_| Ok(())),
    };
    open(&*connector, &details)
}

fn open(
    connector: &impl Connector<(), Out = impl Transport>,
    details: &ConnectionDetails<'_>,
) -> Result<Box<dyn Transport>, ureq::Error> {
    match connector.connect(details, None)? {
        Some(transport) => Ok(Box::new(transport)),
        None => Err(ureq::Error::ConnectionFailed),
    }
}

/// What went wrong with the connection to `host`, for a person: one line. Names the proxy where it is the one that fails.
pub fn explain(error: &ureq::Error, host: &str) -> String {
    let proxy = format!("https://{host}").parse().ok();
    let proxy = proxy.and_then(|uri| proxy::between(&uri));
    explain_by_way(error, host, proxy.map(|proxy| proxy::name(&proxy)))
}

fn explain_by_way(error: &ureq::Error, host: &str, proxy: Option<String>) -> String {
    use ureq::Error::{ConnectProxyFailed, HostNotFound, Io, Timeout};
    if let Some(problem) = certificate_problem(error) {
        return format!(
            "{host} shows a certificate that is not trusted ({problem}): check this board's clock with 'date'; \
             if a proxy of yours stands between, name its authority in AWS_CA_BUNDLE"
        );
    }
    // Until the proxy has connected, it is the one that is spoken to.
    let (first, advice) = match &proxy {
        None => (host.to_owned(), "is the address right?"),
        Some(proxy) => (
            format!("the proxy {proxy}"),
            "is it running, and HTTPS_PROXY right?",
        ),
    };
    let unresolved = || match &proxy {
        None => format!("the name {host} cannot be resolved; is the network up?"),
        Some(proxy) => format!(
            "the name of the proxy {proxy} cannot be resolved; is the network up, and HTTPS_PROXY right?"
        ),
    };
    match error {
        HostNotFound => unresolved(),
        Timeout(ureq::Timeout::PerRead) => format!("{host} went silent"),
        Timeout(ureq::Timeout::RecvResponse) => {
            format!("{host} took the call, and its answer is not whole after a minute")
        }
        Timeout(ureq::Timeout::PerWrite) => {
            format!("nothing more leaves for {host}; is the network up?")
        }
        Timeout(ureq::Timeout::Connect) => format!("{first} does not answer; is the network up?"),
        ConnectProxyFailed(reason) => {
            format!("{first} does not connect to {host} ({reason}); does it allow that?")
        }
        Io(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            format!("{first} refuses the connection; {advice}")
        }
        Io(error) if error.to_string().contains("failed to lookup address") => unresolved(),
        Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            format!("{host} closed the connection in the middle of an answer")
        }
        other => match &proxy {
            None => format!("the connection to {host} failed ({other})"),
            Some(proxy) => {
                format!("the connection to {host} by the proxy {proxy} failed ({other})")
            }
        },
    }
}

/// Why the server's certificate was not accepted, if that was it.
pub fn certificate_problem(error: &ureq::Error) -> Option<&CertificateError> {
    let tls = match error {
        ureq::Error::Rustls(tls) => Some(tls),
        ureq::Error::Io(error) => error.get_ref()?.downcast_ref(),
        _ => None,
    };
    match tls {
        Some(rustls::Error::InvalidCertificate(problem)) => Some(problem),
        _ => None,
    }
}

/// The address of a server: `https://` or `wss://`, or unencrypted to this machine itself. Without a slash at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    text: String,
    uri: Uri,
}

impl Endpoint {
    /// Reads `url`. An unencrypted address of another machine is refused unless `plain` allows it.
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

    /// The address in its parts.
    pub fn uri(&self) -> &Uri {
        &self.uri
    }

    /// Where its service is, on that host: `/`, mostly, else `/path/`.
    pub fn path(&self) -> String {
        match self.text.splitn(4, '/').nth(3) {
            None => "/".to_owned(),
            Some(path) => format!("/{path}/"),
        }
    }

    /// Host, and port where it is not the usual one, as in the Host header.
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
mod tests {
    use super::*;

    #[test]
    fn what_fails_before_the_server_is_reached_is_the_proxys() {
        use ureq::Error::{ConnectProxyFailed, HostNotFound, Io, Timeout};
        let refused = || Io(io::ErrorKind::ConnectionRefused.into());
        let table = [
            (
                refused(),
                "h refuses the connection",
                "the proxy p:1 refuses",
            ),
            (HostNotFound, "the name h cannot", "of the proxy p:1 cannot"),
            (
                Io(io::Error::other("failed to lookup address information")),
                "the name h cannot",
                "of the proxy p:1 cannot",
            ),
            (
                Timeout(ureq::Timeout::Connect),
                "h does not answer",
                "the proxy p:1 does not answer",
            ),
            (
                ConnectProxyFailed("403".into()),
                "h does not connect",
                "the proxy p:1 does not connect to h (403)",
            ),
            (
                Io(io::ErrorKind::ConnectionReset.into()),
                "the connection to h failed",
                "to h by the proxy p:1 failed",
            ),
            // The tunnel stands: the server is the one that is silent.
            (
                Timeout(ureq::Timeout::PerRead),
                "h went silent",
                "h went silent",
            ),
            (
                Timeout(ureq::Timeout::RecvResponse),
                "h took the call",
                "h took the call",
            ),
        ];
        for (error, direct, by_proxy) in table {
            let said = explain_by_way(&error, "h", None);
            assert!(said.starts_with(direct), "{said}");
            let said = explain_by_way(&error, "h", Some("p:1".into()));
            assert!(said.contains(by_proxy), "{said}");
        }
    }

    #[test]
    fn an_address_with_a_user_is_refused_and_not_quoted() {
        for url in [
            "https://me:hunter2@kinesis.example",
            "https://hunter2@kinesis.example:8443/path",
            "me:hunter2@kinesis.example",
            "https://me:hunter2 @kinesis.example",
        ] {
            let error = format!("{:#}", Endpoint::parse(url, true).unwrap_err());
            assert!(error.contains("no user and no password"), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
        // Elsewhere the sign means nothing.
        assert!(Endpoint::parse("https://kinesis.example/@me", false).is_ok());
    }

    #[test]
    fn a_bundle_is_good_if_one_certificate_in_it_can_be_read() {
        let unreadable = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(Roots::from_pem(unreadable.as_bytes()).is_err());
        let good = rcgen::generate_simple_self_signed(vec!["h".into()]).unwrap();
        let both = format!("{unreadable}{}", good.cert.pem());
        let roots = Roots::from_pem(both.as_bytes()).unwrap();
        assert_eq!(format!("{roots:?}"), "1 own roots");
    }
}
