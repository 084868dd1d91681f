//! The AWS IoT credentials provider: the board authenticates with its X.509 certificate and gets credentials for an hour, so that no long-lived
//! AWS key is on its card. The request is `GET https://ENDPOINT/role-aliases/ALIAS/credentials` over mutual TLS.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use aws_credential_types::Credentials;
use rustls::ClientConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde::Deserialize;

use crate::aws::credentials::Parts;
use crate::net::endpoint::Endpoint;
use crate::net::roots::Roots;
use crate::net::{agent, tls};

const SILENCE: Duration = Duration::from_secs(20);

/// Settings of the provider.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Its address, such as `https://c1234.credentials.iot.eu-west-1.amazonaws.com`.
    pub endpoint: Endpoint,
    /// The role alias.
    pub role_alias: String,
    /// The thing's name, if the policy requires it, else empty.
    pub thing: String,
    /// Path of the board's certificate and its chain, PEM.
    pub certificate: PathBuf,
    /// Path of its private key, PEM.
    pub key: PathBuf,
}

/// The provider.
#[derive(Debug)]
pub struct Iot {
    settings: Settings,
    roots: Roots,
}

#[derive(Deserialize)]
struct Document {
    credentials: Fields,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Fields {
    access_key_id: String,
    secret_access_key: String,
    session_token: String,
    expiration: String,
}

impl Iot {
    /// A provider with these `settings`. The certificate is read at each renewal, so that a replaced one is used without a restart.
    pub fn new(settings: Settings, roots: Roots) -> Self {
        Self { settings, roots }
    }

    /// The provider's host.
    pub fn endpoint(&self) -> &str {
        self.settings.endpoint.authority()
    }

    /// Requests credentials.
    ///
    /// # Errors
    ///
    /// The certificate or key cannot be used, the connection failed, or AWS IoT refused. No error contains a secret.
    pub fn fetch(&self) -> anyhow::Result<Credentials> {
        let agent = agent::agent(&self.settings.endpoint, self.client_config()?, SILENCE);
        let url = format!(
            "{}/role-aliases/{}/credentials",
            self.settings.endpoint, self.settings.role_alias
        );
        let mut request = agent.get(&url);
        if !self.settings.thing.is_empty() {
            request = request.header("x-amzn-iot-thingname", &self.settings.thing);
        }
        let advice = || {
            format!(
                "AWS IoT at {} gave no credentials: check that the certificate {} is active there and its policy allows \
                 iot:AssumeRoleWithCertificate on the role alias '{}'",
                self.endpoint(),
                self.settings.certificate.display(),
                self.settings.role_alias
            )
        };
        let mut response = request.call().with_context(advice)?;
        let status = response.status();
        let body = response.body_mut().read_to_string().with_context(advice)?;
        if status != 200 {
            return Err(anyhow!("it answered {status}")).with_context(advice);
        }
        // The parser's error could quote a secret.
        let document: Document = serde_json::from_str(&body)
            .map_err(|_| anyhow!("its answer cannot be read"))
            .with_context(advice)?;
        let Fields {
            access_key_id,
            secret_access_key,
            session_token,
            expiration,
        } = document.credentials;
        let session_token = Some(session_token);
        Parts {
            access_key_id,
            secret_access_key,
            session_token,
            expiration: Some(expiration),
        }
        .into_credentials("iot")
    }

    fn client_config(&self) -> anyhow::Result<Arc<ClientConfig>> {
        let Settings {
            certificate, key, ..
        } = &self.settings;
        let chain = CertificateDer::pem_slice_iter(&read(certificate)?)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| anyhow!("{} is not PEM: {error}", certificate.display()))?;
        if chain.is_empty() {
            bail!(
                "there is no certificate in {}: it should be the board's, in PEM form",
                certificate.display()
            );
        }
        let private = PrivateKeyDer::from_pem_slice(&read(key)?).map_err(|_| {
            anyhow!(
                "there is no private key in {}: it should be in PEM form",
                key.display()
            )
        })?;
        tls::client_config_of(chain, private, self.roots.store()).with_context(|| {
            format!(
                "the certificate {} and the key {} cannot be used together",
                certificate.display(),
                key.display()
            )
        })
    }
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("{} cannot be read", path.display()))
}
