//! Room 1, the lock: TLS of both doors, by a certificate that is read again when its
//! files change.
//!
//! A connection goes on as it began; who comes after a change sees the new certificate,
//! and is asked for one by the new authorities. Nothing is resumed across a change: a
//! client whose authority was taken away does not come in by an old session.

mod names;
mod stream;

use std::{path::PathBuf, sync::Arc};

use rustls::{
    RootCertStore, ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
};
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::TlsAcceptor;

use crate::{
    limits::HANDSHAKE_TIMEOUT,
    reload::{self, Reloaded, Why},
    telemetry,
};
pub use stream::Stream;

/// Where the certificate is, and whom to trust to sign clients'.
#[derive(Debug, Clone)]
pub struct Files {
    pub certificate: PathBuf,
    pub key: PathBuf,
    pub client_ca: Option<PathBuf>,
    /// Whether a client without a certificate is sent away; only with authorities.
    pub needs_client_certificate: bool,
}

/// Which door.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    Grpc,
    /// Nobody needs a certificate there: probes and payment providers have none.
    Http,
}

/// The locks of both doors, by one certificate.
pub struct Locks {
    by_files: Arc<Reloaded<Configs>>,
}

struct Configs {
    grpc: Arc<ServerConfig>,
    http: Arc<ServerConfig>,
}

/// How connections begin at one door: plain, or by TLS.
#[derive(Clone)]
pub struct Entrance {
    pub door: Door,
    pub locks: Option<Arc<Locks>>,
}

/// Files that no TLS can be made of.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Unusable(&'static str);

impl Locks {
    /// Reads the files; from then on, whenever they change.
    ///
    /// # Errors
    /// Where they cannot be read, or no TLS can be made of them.
    pub fn new(files: Files) -> Result<Arc<Self>, reload::Error> {
        let mut paths = vec![files.certificate, files.key];
        paths.extend(files.client_ca);
        let needs = files.needs_client_certificate;
        let by_files = Reloaded::new("tls", paths, move |texts| configs(texts, needs))?;
        let by_files = Arc::new(by_files);
        tokio::spawn(Reloaded::keep(Arc::downgrade(&by_files)));
        Ok(Arc::new(Self { by_files }))
    }
}

impl Entrance {
    /// Begins a connection: what to talk over, and the names of the client's
    /// certificate. `None` for a client that cannot do so, or takes too long; only it is
    /// told.
    pub async fn enter(&self, stream: TcpStream) -> Option<(Stream, Vec<String>)> {
        let Some(locks) = &self.locks else { return Some((Stream::Plain(stream), Vec::new())) };
        let (config, door) = match self.door {
            Door::Grpc => (locks.by_files.now().grpc.clone(), "grpc"),
            Door::Http => (locks.by_files.now().http.clone(), "http"),
        };
        let shaken = timeout(HANDSHAKE_TIMEOUT, TlsAcceptor::from(config).accept(stream)).await;
        let result = match &shaken {
            Ok(Ok(_)) => "ok",
            Ok(Err(_)) => "failed",
            Err(_) => "late",
        };
        telemetry::handshake(door, result);
        match shaken {
            Ok(Ok(stream)) => {
                let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
                let names = chain.first().map(|own| names::of(own)).unwrap_or_default();
                Some((Stream::Tls(Box::new(stream)), names))
            }
            Ok(Err(error)) => {
                tracing::debug!(%error, door, "a client could not do the handshake");
                None
            }
            Err(_) => None,
        }
    }
}

/// Of the certificate and those above it, its key, and the authorities of clients.
fn configs(texts: &[Vec<u8>], needs_client_certificate: bool) -> Result<Configs, Why> {
    let provider = Arc::new(ring::default_provider());
    let chain = certificates(&texts[0])?;
    let key = PrivateKeyDer::from_pem_slice(&texts[1])?;
    let roots = match texts.get(2) {
        None => None,
        Some(pem) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates(pem)? {
                roots.add(certificate)?;
            }
            Some(Arc::new(roots))
        }
    };
    let config = |needs: bool, protocols: &[&[u8]]| -> Result<_, Why> {
        let config = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()?;
        let config = match &roots {
            None => config.with_no_client_auth(),
            Some(roots) => {
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(roots.clone(), provider.clone());
                let verifier =
                    if needs { verifier } else { verifier.allow_unauthenticated() }.build()?;
                config.with_client_cert_verifier(verifier)
            }
        };
        let mut config = config.with_single_cert(chain.clone(), key.clone_key())?;
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        Ok(Arc::new(config))
    };
    Ok(Configs {
        grpc: config(needs_client_certificate, &[b"h2", b"http/1.1"])?,
        http: config(false, &[b"http/1.1"])?,
    })
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, Why> {
    let all = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>()?;
    if all.is_empty() {
        return Err(Unusable("a file has no certificate").into());
    }
    Ok(all)
}
