//! Connections of sources, with a limit on silence.
//!
//! A source waits most of the time for the next byte. Below TLS this wait is cut into slices: between two of them the program's end is noticed, and a
//! silence that is too long by the program's clock ends the connection. Any byte ends a silence: a keep-alive, a ping, a part of a post.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use ureq::config::Config;
use ureq::http::Uri;
use ureq::{Agent, Error, Timeout};

use crate::net::agent;
use crate::net::endpoint::Endpoint;
use crate::net::roots::Roots;
use crate::net::tls::Tls;
use crate::net::unversioned::{
    Buffers, ConnectProxyConnector, ConnectionDetails, Connector, DefaultResolver, NextTimeout,
    TcpConnector, Transport, TransportAdapter, time,
};
use crate::observe::counters::Counters;
use crate::platform::stop::Stop;
use crate::platform::time::{Clock, SystemClock};
use crate::source::{Feed, SLICE};

/// How long a connection is kept for the next request. Short, so that a reconnect makes a new DNS lookup.
const IDLE: Duration = Duration::from_secs(2);

/// Bytes of a connection's buffers: one TLS record (RFC 8446, section 5.1, "Record Layer"). Posts have a few hundred bytes, requests fewer.
const BUFFER_BYTES: usize = 16 << 10;

/// What ends a wait for the next byte.
#[derive(Clone, Debug)]
pub struct Watch {
    clock: Arc<dyn Clock>,
    stop: Arc<Stop>,
    counters: Arc<Counters>,
    silence: Duration,
}

impl Watch {
    /// Ends a wait when `feed` is stopped, or after `silence`.
    pub fn new(feed: &Feed, silence: Duration) -> Self {
        Self {
            clock: feed.clock.clone(),
            stop: feed.stop.clone(),
            counters: feed.counters.clone(),
            silence,
        }
    }

    /// Does as [`Self::new`], for another thread than the source's own: its waits are not signs of life of that one.
    pub fn beside(feed: &Feed, silence: Duration) -> Self {
        Self {
            counters: Arc::default(),
            ..Self::new(feed, silence)
        }
    }

    /// Ends a wait only after [`CHECK_SILENCE`](agent::CHECK_SILENCE): for a check, in which no feed runs.
    pub fn of_check() -> Self {
        Self {
            clock: Arc::new(SystemClock::default()),
            stop: Arc::default(),
            counters: Arc::default(),
            silence: agent::CHECK_SILENCE,
        }
    }

    /// The time of the board's clock.
    pub fn wall(&self) -> SystemTime {
        self.clock.wall()
    }
}

/// An HTTP agent as [`agent::agent`], whose connections are watched.
pub fn agent(endpoint: &Endpoint, roots: &Roots, watch: &Watch) -> Agent {
    Agent::with_parts(
        config(endpoint, watch),
        connector(roots, watch.clone()),
        DefaultResolver::default(),
    )
}

/// Opens a watched connection to `endpoint`, through the proxy and with TLS as for HTTP, for a caller that speaks its own protocol.
///
/// # Errors
/// If the connection or its TLS handshake fails.
pub fn connect(
    roots: &Roots,
    watch: &Watch,
    endpoint: &Endpoint,
) -> Result<TransportAdapter, Error> {
    // ureq connects to ws as to http, and to wss as to https.
    let uri: Uri = format!("http{}", endpoint.as_str().trim_start_matches("ws"))
        .parse()
        .map_err(ureq::http::Error::from)?;
    let connector = Arc::new(connector(roots, watch.clone()));
    let transport = agent::connect(&uri, &config(endpoint, watch), connector)?;
    Ok(TransportAdapter::new(
        transport,
        Arc::new(time::Instant::now),
    ))
}

fn config(endpoint: &Endpoint, watch: &Watch) -> Config {
    agent::config(endpoint, watch.silence)
        .max_idle_age(IDLE)
        .input_buffer_size(BUFFER_BYTES)
        .output_buffer_size(BUFFER_BYTES)
        .build()
}

fn connector(roots: &Roots, watch: Watch) -> impl Connector<(), Out = impl Transport> {
    ().chain(ConnectProxyConnector::default())
        .chain(TcpConnector::default())
        .chain(watch)
        .chain(Tls(roots.client_config()))
}

impl<In: Transport> Connector<In> for Watch {
    type Out = Watched<In>;

    fn connect(
        &self,
        _: &ConnectionDetails,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, Error> {
        Ok(chained.map(|inner| Watched {
            inner,
            heard: self.clock.elapsed(),
            watch: self.clone(),
        }))
    }
}

/// A connection whose waits are cut into slices.
#[derive(Debug)]
pub struct Watched<T> {
    inner: T,
    /// When the last byte came.
    heard: Duration,
    watch: Watch,
}

impl<T: Transport> Transport for Watched<T> {
    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        let limit = timeout.for_read();
        let start = Instant::now();
        loop {
            if self.watch.stop.asked() {
                return Err(Error::Io(io::Error::other("the program is ending")));
            }
            let now = self.watch.clock.elapsed();
            self.watch.counters.source.alive(now, Duration::ZERO);
            if now.saturating_sub(self.heard) > self.watch.silence {
                return Err(Error::Timeout(Timeout::PerRead));
            }
            let left = limit.after.saturating_sub(start.elapsed());
            let slice = NextTimeout {
                after: time::Duration::Exact(left.min(SLICE)),
                reason: limit.reason,
                ..NextTimeout::default()
            };
            match self.inner.await_input(slice) {
                Err(Error::Timeout(_)) if left > SLICE => {}
                result => {
                    self.heard = self.watch.clock.elapsed();
                    return result;
                }
            }
        }
    }

    fn buffers(&mut self) -> &mut dyn Buffers {
        self.inner.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        // The silence begins with the request: before it, the connection was only idle.
        self.heard = self.watch.clock.elapsed();
        self.inner.transmit_output(amount, timeout)
    }

    fn is_open(&mut self) -> bool {
        self.inner.is_open()
    }

    fn is_tls(&self) -> bool {
        self.inner.is_tls()
    }
}
