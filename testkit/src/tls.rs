//! Certificates of the tests' own.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, CertifiedKey, IsCa, KeyPair};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};

/// An authority, and what it signs.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    /// A new one.
    ///
    /// # Panics
    /// There is no randomness to be had.
    #[expect(clippy::new_without_default, reason = "each is another one")]
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// A certificate for `name`, and its key.
    ///
    /// # Panics
    /// `name` is none a certificate can have.
    pub fn sign(&self, name: &str) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        (params.signed_by(&key, &self.0).unwrap(), key)
    }

    /// Its own certificate.
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// A server called localhost, as large ones are: its certificates have 4 KB, and its tickets all that it must remember of a session.
    ///
    /// # Panics
    /// Its certificate has not the size it is to have.
    pub fn server_with_long_chain(
        &self,
        version: &'static SupportedProtocolVersion,
    ) -> Arc<ServerConfig> {
        let other_names =
            (0..78).map(|n| format!("kinesis-of-another-region-{n}.amazonaws.example"));
        let names: Vec<String> = [String::from("localhost")]
            .into_iter()
            .chain(other_names)
            .collect();
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(names).unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        let size = certificate.der().len();
        assert!((4000..4400).contains(&size), "a chain of {size} bytes");
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[version])
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        config.ticketer = ring::Ticketer::new().unwrap();
        Arc::new(config)
    }

    /// A server called localhost, which demands a certificate of `clients` if it is given.
    ///
    /// # Panics
    /// What it signed itself is not accepted.
    pub fn server(&self, clients: Option<&Authority>) -> Arc<ServerConfig> {
        let (certificate, key) = self.sign("localhost");
        config(clients, certificate.der().clone(), &key)
    }
}

/// A server under all of `names`, and the PEM of its certificate, which it signed itself.
///
/// # Panics
/// `names` are none a certificate can have.
pub fn self_signed(names: &[&str]) -> (Arc<ServerConfig>, String) {
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let CertifiedKey { cert, signing_key } = rcgen::generate_simple_self_signed(names).unwrap();
    let config = config(None, cert.der().clone(), &signing_key);
    (config, cert.pem())
}

fn config(
    clients: Option<&Authority>,
    certificate: CertificateDer<'static>,
    key: &KeyPair,
) -> Arc<ServerConfig> {
    // Named, for where another one is compiled in too.
    let provider = Arc::new(ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .unwrap();
    let config = match clients {
        None => config.with_no_client_auth(),
        Some(clients) => {
            let mut roots = RootCertStore::empty();
            roots.add(clients.0.der().clone()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            config.with_client_cert_verifier(verifier.build().unwrap())
        }
    };
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    Arc::new(config.with_single_cert(vec![certificate], key).unwrap())
}
