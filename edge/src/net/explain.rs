//! Connection errors as text for a person.

use std::io;

use rustls::CertificateError;

use crate::net::proxy;

/// The error of a connection to `host` in one line. It names the proxy if that is what failed.
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
    // Until the proxy has connected to the host, an error is the proxy's.
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
            format!("{host} received the call, and its answer was incomplete after a minute")
        }
        Timeout(ureq::Timeout::PerWrite) => {
            format!("{host} acknowledges nothing any more; is the network up?")
        }
        Timeout(ureq::Timeout::Connect) => format!("{first} does not answer; is the network up?"),
        ConnectProxyFailed(reason) => {
            format!("{first} does not connect to {host} ({reason}); does it allow that host?")
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

/// Why the server's certificate was not accepted, if that is the error.
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

#[cfg(test)]
mod tests;
