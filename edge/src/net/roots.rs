//! The certificate authorities that the board trusts.

use std::fmt;
use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use anyhow::{Context, anyhow, ensure};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use crate::net::tls;

/// The trusted root certificates. Clones share their TLS sessions.
#[derive(Clone, Default)]
pub struct Roots {
    /// `None` stands for Mozilla's list, which is built in.
    own: Option<Vec<CertificateDer<'static>>>,
    client_config: Arc<OnceLock<Arc<ClientConfig>>>,
}

impl Roots {
    /// The roots in the PEM file that AWS_CA_BUNDLE, else SSL_CERT_FILE, names; without either, the built-in ones.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or has no certificate that can be parsed.
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

    /// The certificates in a PEM file, at least one. Old bundles contain some in outdated encodings: those are skipped.
    ///
    /// # Errors
    ///
    /// It is not PEM, or has no certificate that can be parsed.
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

    /// The TLS client configuration with these roots. All connections share it, so that sessions are resumed.
    pub fn client_config(&self) -> Arc<ClientConfig> {
        self.client_config
            .get_or_init(|| tls::client_config(self.store()))
            .clone()
    }

    /// The roots as rustls takes them.
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

#[cfg(test)]
mod tests;
