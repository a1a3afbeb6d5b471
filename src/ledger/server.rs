//! What the Postgres URL says: which servers, and how each is reached.
//!
//! - Of several hosts, `postgres://user@a,b/database`, the one that can be written
//!   to is taken; a single one must be that, too: the truth is never read from a
//!   replica.
//! - `sslmode=require` or more is TLS, and the server's certificate must be right
//!   for its name, whichever word is used. `sslrootcert` names the PEM file of who
//!   signs, instead of the system's; `sslcert` and `sslkey` the client's own.

use std::{fs::File, io, sync::Arc};

use deadpool_postgres::{Manager, ManagerConfig, RecyclingMethod};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use secrecy::{ExposeSecret, SecretString};
use tokio_postgres::{
    Config, NoTls,
    config::{LoadBalanceHosts, SslMode, TargetSessionAttrs},
};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::Error;

/// A database, and the way there.
#[derive(Clone)]
pub(super) struct Server {
    pub config: Config,
    tls: Option<MakeRustlsConnect>,
}

/// What the URL says of certificates, which the driver does not read.
#[derive(Default)]
struct Certificates {
    root: Option<String>,
    own: Option<String>,
    key: Option<String>,
}

impl Server {
    pub(super) fn parse(url: &SecretString) -> Result<Self, Error> {
        let (url, certificates) = split(url.expose_secret());
        let mut config: Config = url.parse().map_err(|error| Error::Url(Box::new(error)))?;
        config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        // One that takes a connection and is silent then uses up the time for all:
        // it shall not always be the first.
        config.load_balance_hosts(LoadBalanceHosts::Random);
        let tls = match config.get_ssl_mode() {
            SslMode::Require => Some(
                client_config(&certificates)
                    .map(MakeRustlsConnect::new)
                    .map_err(|error| Error::Url(error.into()))?,
            ),
            _ => None,
        };
        Ok(Self { config, tls })
    }

    /// How a pool's sessions are opened.
    pub(super) fn manager(&self) -> Manager {
        let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let config = self.config.clone();
        match &self.tls {
            Some(tls) => Manager::from_config(config, tls.clone(), recycling),
            None => Manager::from_config(config, NoTls, recycling),
        }
    }
}

/// The URL as the driver reads it, and what it does not.
fn split(url: &str) -> (String, Certificates) {
    let (base, query) = url.split_once('?').unwrap_or((url, ""));
    let mut certificates = Certificates::default();
    let mut left = Vec::new();
    for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
        match parameter.split_once('=') {
            Some(("sslrootcert", file)) => certificates.root = Some(file.to_owned()),
            Some(("sslcert", file)) => certificates.own = Some(file.to_owned()),
            Some(("sslkey", file)) => certificates.key = Some(file.to_owned()),
            Some(("sslmode", "verify-ca" | "verify-full")) => left.push("sslmode=require"),
            _ => left.push(parameter),
        }
    }
    let url = match left.is_empty() {
        true => base.to_owned(),
        false => format!("{base}?{}", left.join("&")),
    };
    (url, certificates)
}

fn client_config(Certificates { root, own, key }: &Certificates) -> io::Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    let trusted = match root {
        Some(file) => certificates_of(file)?,
        None => rustls_native_certs::load_native_certs().certs,
    };
    roots.add_parsable_certificates(trusted);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(roots);
    match (own, key) {
        (None, None) => Ok(builder.with_no_client_auth()),
        (Some(own), Some(key)) => {
            let read = PrivateKeyDer::from_pem_reader(open(key)?);
            let key = read.map_err(|error| io::Error::other(format!("{key}: {error}")))?;
            builder.with_client_auth_cert(certificates_of(own)?, key).map_err(io::Error::other)
        }
        _ => Err(io::Error::other("sslcert and sslkey need each other")),
    }
}

fn certificates_of(file: &str) -> io::Result<Vec<CertificateDer<'static>>> {
    CertificateDer::pem_reader_iter(open(file)?)
        .collect::<Result<_, _>>()
        .map_err(|error| io::Error::other(format!("{file}: {error}")))
}

fn open(file: &str) -> io::Result<File> {
    File::open(file).map_err(|error| io::Error::other(format!("{file}: {error}")))
}
