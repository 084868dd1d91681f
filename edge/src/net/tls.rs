//! TLS over any connection, with session resumption.
//!
//! ureq's own connector has its own client configuration, and loses the session tickets with it. Here the caller passes the configuration in, one
//! for all connections with the same roots. A resumed handshake transfers no certificates, which saves most of its bytes and of the board's CPU
//! time.

use std::fmt;
use std::sync::Arc;

use rustls::client::{Resumption, WantsClientCert};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, ConfigBuilder, RootCertStore, StreamOwned};
use ureq::Error;

use crate::net::unversioned::{
    Buffers, ConnectionDetails, Connector, Either, LazyBuffers, NextTimeout, Transport,
    TransportAdapter,
};

/// Number of remembered session tickets. A server has up to eight: enough for Kinesis, STS and a source.
const SESSIONS: usize = 32;

/// A client configuration with these `roots` that remembers sessions.
pub fn client_config(roots: RootCertStore) -> Arc<ClientConfig> {
    let mut config = builder(roots).with_no_client_auth();
    config.resumption = Resumption::in_memory_sessions(SESSIONS);
    Arc::new(config)
}

/// The same with a client certificate, the chain to its authority, and its key.
///
/// # Errors
///
/// Certificate and key do not belong together, or cannot be used.
pub fn client_config_of(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    roots: RootCertStore,
) -> Result<Arc<ClientConfig>, rustls::Error> {
    let config = builder(roots).with_client_auth_cert(chain, key)?;
    Ok(Arc::new(config))
}

fn builder(roots: RootCertStore) -> ConfigBuilder<ClientConfig, WantsClientCert> {
    ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring has cipher suites for TLS 1.2 and 1.3")
        .with_root_certificates(roots)
}

/// Adds TLS to connections to `https` addresses.
#[derive(Debug)]
pub struct Tls(pub Arc<ClientConfig>);

impl<In: Transport> Connector<In> for Tls {
    type Out = Either<In, Encrypted>;

    fn connect(
        &self,
        details: &ConnectionDetails,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, Error> {
        let Some(inner) = chained else {
            return Ok(None);
        };
        if !details.needs_tls() || inner.is_tls() {
            return Ok(Some(Either::A(inner)));
        }
        let host = details.uri.host().unwrap_or_default();
        let name = ServerName::try_from(host.trim_matches(['[', ']']))
            .map_err(|_| Error::Tls("the server's name can be in no certificate"))?
            .to_owned();
        let mut connection = ClientConnection::new(self.0.clone(), name)?;
        let mut inner = TransportAdapter::new(inner.boxed(), details.current_time.clone());
        inner.set_timeout(details.timeout);
        while connection.is_handshaking() {
            connection.complete_io(&mut inner)?;
        }
        Ok(Some(Either::B(Encrypted {
            buffers: LazyBuffers::new(
                details.config.input_buffer_size(),
                details.config.output_buffer_size(),
            ),
            stream: StreamOwned::new(connection, inner),
        })))
    }
}

/// A TLS connection.
pub struct Encrypted {
    buffers: LazyBuffers,
    stream: StreamOwned<ClientConnection, TransportAdapter>,
}

impl Transport for Encrypted {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        use std::io::Write;
        self.stream.sock.set_timeout(timeout);
        self.stream.write_all(&self.buffers.output()[..amount])?;
        Ok(())
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        use std::io::Read;
        self.stream.sock.set_timeout(timeout);
        let amount = self.stream.read(self.buffers.input_append_buf())?;
        self.buffers.input_appended(amount);
        Ok(amount > 0)
    }

    /// Whether nothing waits to be read, decrypted or not. Any unsolicited message, even one of TLS, ends the connection's reuse.
    fn is_open(&mut self) -> bool {
        let Ok(state) = self.stream.conn.process_new_packets() else {
            return false;
        };
        let inner = self.stream.sock.get_mut();
        state.plaintext_bytes_to_read() == 0
            && !state.peer_has_closed()
            && inner.buffers().input().is_empty()
            && inner.is_open()
    }

    fn is_tls(&self) -> bool {
        true
    }
}

impl fmt::Debug for Encrypted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encrypted")
            .field("inner", &self.stream.sock.inner())
            .finish_non_exhaustive()
    }
}
