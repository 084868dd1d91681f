//! A server's certificate chain, as long as those of the web.

use std::sync::Arc;

use anyhow::Context;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

/// A server's TLS, and the authority a client must trust for it.
#[derive(Debug)]
pub struct Chain {
    /// What the server shows and knows; it gives tickets for resumed sessions.
    pub config: Arc<ServerConfig>,
    /// The authority, as PEM.
    pub authority: String,
    /// Bytes of the certificates the server shows.
    pub bytes: usize,
}

impl Chain {
    /// A certificate for `names` and that of its issuer, together about `bytes` long: further names fill them up, as a cloud's do.
    ///
    /// # Errors
    ///
    /// If a name is none.
    pub fn new(names: &[String], bytes: usize) -> anyhow::Result<Self> {
        let authority = CertifiedIssuer::self_signed(
            issuer("the root of the test kit")?,
            KeyPair::generate()?,
        )?;
        let between = CertifiedIssuer::signed_by(
            issuer("an issuer of the test kit")?,
            KeyPair::generate()?,
            &authority,
        )?;
        let key = KeyPair::generate()?;
        let leaf = |more: usize| -> anyhow::Result<CertificateDer<'static>> {
            let more =
                (0..more).map(|number| format!("service-{number:03}.of-the-test-kit.example.org"));
            let params =
                CertificateParams::new(names.iter().cloned().chain(more).collect::<Vec<_>>())?;
            Ok(params.signed_by(&key, &between)?.der().clone())
        };
        let length = |leaf: &CertificateDer<'_>| leaf.len() + between.der().len();
        // A hundred names more tell what one costs; the first ones cost a little beside.
        let (few, many) = (length(&leaf(10)?), length(&leaf(110)?));
        let missing = 10 + (bytes.saturating_sub(few) * 100).div_ceil(many - few);
        let leaf = leaf(missing)?;
        let bytes = length(&leaf);
        let certificates = vec![leaf, between.der().clone()];
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(
                certificates,
                PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())),
            )
            .context("the chain does not fit its key")?;
        Ok(Self {
            config: Arc::new(config),
            authority: authority.pem(),
            bytes,
        })
    }
}

fn issuer(name: &str) -> anyhow::Result<CertificateParams> {
    let mut params = CertificateParams::new(Vec::<String>::new())?;
    params
        .distinguished_name
        .push(rcgen::DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    Ok(params)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_is_as_long_as_asked_and_at_most_a_name_longer() {
        for bytes in [2_500, 4_096] {
            let chain = Chain::new(&["localhost".to_owned()], bytes).unwrap();
            let a_name_more = bytes..bytes + 60;
            assert!(a_name_more.contains(&chain.bytes), "{}", chain.bytes);
        }
    }
}
