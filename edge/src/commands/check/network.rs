//! Tests the connection to the server: DNS, TCP, TLS, and its clock.

use std::net::ToSocketAddrs;
use std::time::SystemTime;

use rustls::CertificateError::{NotValidYet, NotValidYetContext};

use crate::aws::clock::{self, ServerClock};
use crate::commands::check::Verdict::{self, Bad, Doubtful, Good, Untested};
use crate::net::endpoint::Endpoint;
use crate::net::roots::Roots;
use crate::net::{agent, explain, proxy};
use crate::observe::screen;
use crate::platform::time::since_1970;

/// Tests the DNS lookup of the server's name.
pub fn name(endpoint: &Endpoint) -> Verdict {
    let authority = endpoint.authority();
    if let Some(proxy) = proxy(endpoint) {
        return Untested(format!("the proxy {proxy} looks {authority} up"));
    }
    let has_port = authority
        .rsplit(':')
        .next()
        .is_some_and(|port| port.parse::<u16>().is_ok());
    let found = if has_port {
        authority.to_socket_addrs()
    } else {
        (authority, 443).to_socket_addrs()
    };
    match found.map(|mut addresses| addresses.next()) {
        Ok(Some(address)) => Good(format!("{authority} is {}", address.ip())),
        Ok(None) => Bad(format!("{authority} has no address: is the region right?")),
        Err(error) => Bad(format!(
            "{authority} cannot be resolved ({error}): is the network up, and the region right? Look at /etc/resolv.conf"
        )),
    }
}

/// Host and port of the proxy to the server, without its password.
fn proxy(endpoint: &Endpoint) -> Option<String> {
    proxy::between(endpoint.uri()).map(|proxy| proxy::name(&proxy))
}

/// The result of a first request to the server.
pub struct Greeting {
    /// Whether the connection works and the certificate is trusted.
    pub connection: Verdict,
    /// The clock's offset, if the server answered with a date.
    pub time: Option<Offset>,
}

/// The offset of the board's clock.
#[derive(Clone, Copy)]
pub struct Offset {
    /// Seconds by which the board's clock is behind the server's, as measured.
    measured_s: i64,
    /// The clock for signatures.
    pub clock: ServerClock,
}

/// Sends a first request to the server.
pub fn greet(endpoint: &Endpoint, roots: &Roots) -> Greeting {
    let host = endpoint.authority();
    let sent = SystemTime::now();
    match agent::agent(endpoint, roots.client_config(), agent::CHECK_SILENCE)
        .get(endpoint.as_str())
        .call()
    {
        Ok(answer) => {
            let received = SystemTime::now();
            let date = answer.headers().get("date");
            let date = date.and_then(|date| httpdate::parse_http_date(date.to_str().ok()?).ok());
            let connection = if endpoint.as_str().starts_with("https") {
                Good(format!(
                    "{host} answers, and its certificate is trusted ({roots:?})"
                ))
            } else {
                Doubtful(format!(
                    "{host} answers, unencrypted: right for a test on this machine only"
                ))
            };
            Greeting {
                connection,
                time: date.map(|date| offset(sent, received, date)),
            }
        }
        Err(error) => Greeting {
            connection: Bad(match explain::certificate_problem(&error) {
                Some(NotValidYet | NotValidYetContext { .. }) if clock::is_unset(sent) => format!(
                    "the certificate of {host} cannot be verified while this board's clock is not set: see that NTP runs ('timedatectl'), or set it with 'date'"
                ),
                _ => explain::explain(&error, host),
            }),
            time: None,
        },
    }
}

fn offset(sent: SystemTime, received: SystemTime, date: SystemTime) -> Offset {
    let seconds = |time: SystemTime| i64::try_from(since_1970(time).as_secs()).unwrap_or_default();
    let mut clock = ServerClock::default();
    clock.observe(sent, received, date);
    Offset {
        measured_s: seconds(date) - seconds(received),
        clock,
    }
}

/// Tests the board's clock.
pub fn clock(time: Option<Offset>) -> Verdict {
    match time {
        _ if clock::is_unset(SystemTime::now()) => Bad(
            "the clock is not set: it shows a time before this program was built: see that NTP runs ('timedatectl'), or set it with 'date'".to_owned(),
        ),
        None => Untested("the server sent no time to compare with".to_owned()),
        Some(Offset { measured_s, clock }) => {
            let by = screen::duration(measured_s.unsigned_abs());
            match clock.offset_ms() {
                0 => Good(format!("within {by} of the server's")),
                offset_ms => Doubtful(format!(
                    "{by} {} the server's: posts are signed with the server's time, but see that NTP runs ('timedatectl')",
                    if offset_ms > 0 { "behind" } else { "ahead of" }
                )),
            }
        }
    }
}
