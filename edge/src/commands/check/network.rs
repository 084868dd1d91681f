//! The way to the server: its name, a connection that can be trusted, and what time it is there.

use std::net::ToSocketAddrs;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::CertificateError::{NotValidYet, NotValidYetContext};

use crate::aws::clock::{self, ServerClock};
use crate::commands::check::Verdict::{self, Bad, Doubtful, Good, Untested};
use crate::net::endpoint::Endpoint;
use crate::net::roots::Roots;
use crate::net::{agent, explain, proxy};
use crate::observe::screen;

const SILENCE: Duration = Duration::from_secs(10);

/// Whether the server's name leads to an address.
pub fn name(endpoint: &Endpoint) -> Verdict {
    let authority = endpoint.authority();
    if let Some(proxy) = proxy(endpoint) {
        return Untested(format!("{authority} is looked up by the proxy {proxy}"));
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

/// The host and port of the proxy between here and the server; never its password.
fn proxy(endpoint: &Endpoint) -> Option<String> {
    proxy::between(endpoint.uri()).map(|proxy| proxy::name(&proxy))
}

/// What came of a first exchange with the server.
pub struct Greeting {
    /// Whether there is a connection that can be trusted.
    pub connection: Verdict,
    /// The server's time, as far as it is known.
    pub time: Option<Offset>,
}

/// How far the board's clock is off.
#[derive(Clone, Copy)]
pub struct Offset {
    /// By so many seconds, as well as the exchange can tell; positive when it is behind.
    measured_s: i64,
    /// What signatures need.
    pub clock: ServerClock,
}

/// Says hello to the server.
pub fn greet(endpoint: &Endpoint, roots: &Roots) -> Greeting {
    let host = endpoint.authority();
    let sent = SystemTime::now();
    match agent::agent(endpoint, roots.client_config(), SILENCE)
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
                    "{host} cannot be trusted while this board's clock is not set: see that NTP runs ('timedatectl'), or set it with 'date'"
                ),
                _ => explain::explain(&error, host),
            }),
            time: None,
        },
    }
}

fn offset(sent: SystemTime, received: SystemTime, date: SystemTime) -> Offset {
    let seconds = |time: SystemTime| {
        i64::try_from(
            time.duration_since(UNIX_EPOCH)
                .unwrap_or_default()
                .as_secs(),
        )
        .unwrap_or_default()
    };
    let mut clock = ServerClock::default();
    clock.observe(sent, received, date);
    Offset {
        measured_s: seconds(date) - seconds(received),
        clock,
    }
}

/// Whether the board's clock is right.
pub fn clock(time: Option<Offset>) -> Verdict {
    match time {
        _ if clock::is_unset(SystemTime::now()) => Bad(
            "it is not set, and shows a time before this program was built: see that NTP runs ('timedatectl'), or set it with 'date'".to_owned(),
        ),
        None => Untested("there is no server's time to compare it with".to_owned()),
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
