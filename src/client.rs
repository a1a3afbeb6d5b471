//! How our own commands reach servers: over TLS or not, and with what credentials.

use std::{fmt, path::Path, sync::Arc};

use anyhow::{Context as _, ensure};
use tokio::fs;
use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity},
};

use crate::{config, reload::Reloaded};

/// A connection that brings its credentials with each call; a copy shares it.
pub type Connection = InterceptedService<Channel, Credentials>;

/// What each call brings.
#[derive(Clone)]
pub struct Credentials(Option<Arc<Reloaded<MetadataValue<Ascii>>>>);

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "a token" } else { "no token" })
    }
}

impl Interceptor for Credentials {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(token) = &self.0 {
            request.metadata_mut().insert("authorization", (**token.now()).clone());
        }
        Ok(request)
    }
}

/// Connects to a server by its URL; `with` sets what the connection is like.
///
/// # Errors
/// Where the URL is none, a file cannot be used, or nobody answers there.
pub async fn connect(
    server: &str,
    client: &config::Client,
    with: impl FnOnce(Endpoint) -> Endpoint,
) -> anyhow::Result<Connection> {
    let endpoint = Endpoint::from_shared(server.to_owned())
        .ok()
        .filter(|endpoint| matches!(endpoint.uri().scheme_str(), Some("http" | "https")))
        .with_context(|| format!("{server} is no URL like http://127.0.0.1:50051"))?;
    let is_secure = endpoint.uri().scheme_str() == Some("https");
    let credentials = credentials(&endpoint, is_secure, client)?;
    let mut endpoint = with(endpoint);
    if is_secure {
        endpoint = endpoint.tls_config(tls(client).await?)?;
    }
    let channel = endpoint.connect().await.map_err(|error| {
        let error = anyhow::Error::from(error);
        anyhow::anyhow!("no server answers at {server}: {}", error.root_cause())
    })?;
    Ok(InterceptedService::new(channel, credentials))
}

fn credentials(
    endpoint: &Endpoint,
    is_secure: bool,
    client: &config::Client,
) -> anyhow::Result<Credentials> {
    let Some(path) = &client.token_file else { return Ok(Credentials(None)) };
    let host = endpoint.uri().host().unwrap_or_default();
    let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
    let is_here = host == "localhost" || address.is_ok_and(|address| address.is_loopback());
    ensure!(is_secure || is_here, "a token is not sent to {host} in the clear: use https");
    let token = Reloaded::new("token", vec![path.clone()], |texts| {
        let text = std::str::from_utf8(&texts[0])?;
        let mut value: MetadataValue<Ascii> = format!("Bearer {}", text.trim()).parse()?;
        value.set_sensitive(true);
        Ok(value)
    });
    let token = Arc::new(token?);
    tokio::spawn(Reloaded::keep(Arc::downgrade(&token)));
    Ok(Credentials(Some(token)))
}

async fn tls(client: &config::Client) -> anyhow::Result<ClientTlsConfig> {
    let tls = ClientTlsConfig::new();
    let tls = match &client.ca_file {
        None => tls.with_native_roots(),
        Some(path) => tls.ca_certificate(Certificate::from_pem(read(path).await?)),
    };
    Ok(match (&client.client_cert_file, &client.client_key_file) {
        (Some(certificate), Some(key)) => {
            tls.identity(Identity::from_pem(read(certificate).await?, read(key).await?))
        }
        _ => tls,
    })
}

async fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    fs::read(path).await.with_context(|| format!("cannot read {}", path.display()))
}
