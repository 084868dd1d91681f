//! What all connections have in common: the connect timeout, the proxy, and that no redirect is followed.

use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use ureq::Agent;
use ureq::config::{Config, ConfigBuilder};
use ureq::http::Uri;
use ureq::typestate::AgentScope;

use crate::net::endpoint::Endpoint;
use crate::net::proxy;
use crate::net::tls::Tls;
use crate::net::unversioned::{
    ConnectProxyConnector, ConnectionDetails, Connector, DefaultResolver, NextTimeout, Resolver,
    TcpConnector, Transport, time,
};

/// The User-Agent header. X requires one with a version.
pub const USER_AGENT: &str = concat!("headwater/", env!("CARGO_PKG_VERSION"));

/// Timeout for connecting: DNS lookup, TCP and TLS together.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

/// How long a check waits for the next byte of a server. Short, because a person waits for the result.
pub const CHECK_SILENCE: Duration = Duration::from_secs(10);

/// An agent for requests to `endpoint`. It keeps connections alive, follows no redirect, returns every status to the caller, and uses the proxy
/// [for that address](proxy::between). `tls` holds the trusted roots and a client certificate, if any. `silence` is the timeout for the next byte.
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

/// The configuration of [`agent`], for callers with their own connector.
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

/// Opens a connection to the server of `uri` for a caller that speaks its own protocol. Like a request of ureq it does the DNS lookup and uses the
/// proxy of `config`; `connector` makes the connection.
///
/// # Errors
///
/// The DNS lookup, the connection, the proxy or the TLS handshake failed.
pub fn connect(
    uri: &Uri,
    config: &Config,
    connector: Arc<impl Connector<(), Out = impl Transport>>,
) -> Result<Box<dyn Transport>, ureq::Error> {
    let resolver = DefaultResolver::default();
    // A proxy does the DNS lookup itself.
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
