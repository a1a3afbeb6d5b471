//! Who signs tokens, and a server that takes them.

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::SystemTime,
};

use axum::{Router, extract::State, routing::get};
use holdfast::{
    app::App,
    config::{Access, Doors},
    proto,
};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode, jwk::Jwk};
use prost::{
    DecodeError, Message,
    bytes::{Buf, BufMut},
    encoding::{DecodeContext, WireType, skip_field},
};
use serde_json::{Value, json};
use tokio::sync::RwLock;
use tonic::{
    Request, Status, client::Grpc, codegen::http::uri::PathAndQuery, metadata::AsciiMetadataValue,
    transport::Channel,
};

use super::{EVENT, Stores, any_doors, small_event};

pub const AUDIENCE: &str = "holdfast";
pub const ISSUER: &str = "https://issuer.example";

/// One who signs, by a key of his own.
pub struct Signer {
    pub kid: String,
    key: EncodingKey,
    pub pem: String,
}

impl Signer {
    pub fn new(kid: &str) -> Self {
        let pair = rcgen::KeyPair::generate().unwrap();
        let key = EncodingKey::from_ec_pem(pair.serialize_pem().as_bytes()).unwrap();
        Self { kid: kid.into(), key, pem: pair.public_key_pem() }
    }

    pub fn jwk(&self) -> Value {
        let mut jwk = Jwk::from_encoding_key(&self.key, Algorithm::ES256).unwrap();
        jwk.common.key_id = Some(self.kid.clone());
        serde_json::to_value(jwk).unwrap()
    }

    /// A token with these claims.
    pub fn sign(&self, claims: &Value) -> String {
        let header = Header { kid: Some(self.kid.clone()), ..Header::new(Algorithm::ES256) };
        self.sign_with(&header, claims)
    }

    pub fn sign_with(&self, header: &Header, claims: &Value) -> String {
        encode(header, claims, &self.key).unwrap()
    }

    /// A good token of a role.
    pub fn token(&self, sub: &str, role: &str) -> String {
        self.sign(&claims(sub, role))
    }
}

/// Good ones, for ten minutes.
pub fn claims(sub: &str, role: &str) -> Value {
    json!({"sub": sub, "roles": [role], "aud": AUDIENCE, "iss": ISSUER, "exp": now_s() + 600})
}

pub fn now_s() -> u64 {
    SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs()
}

pub fn jwks(keys: &[Value]) -> String {
    json!({ "keys": keys }).to_string()
}

/// A URL of keys, which may go away.
pub struct KeyServer {
    pub addr: SocketAddr,
    /// What it tells; `None` is an error of its own.
    pub told: Arc<Mutex<Option<String>>>,
    /// Whoever has it to write keeps all answers back.
    pub gate: Arc<RwLock<()>>,
}

type Telling = (Arc<Mutex<Option<String>>>, Arc<RwLock<()>>);

impl KeyServer {
    pub async fn start(told: Option<String>) -> Self {
        let (told, gate) = (Arc::new(Mutex::new(told)), Arc::new(RwLock::default()));
        let answer = |State((told, gate)): State<Telling>| async move {
            let _open = gate.read().await;
            let told = told.lock().unwrap().clone();
            told.ok_or(axum::http::StatusCode::INTERNAL_SERVER_ERROR)
        };
        let router =
            Router::new().route("/keys", get(answer)).with_state((told.clone(), gate.clone()));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { addr, told, gate }
    }

    pub fn url(&self) -> String {
        format!("http://{}/keys", self.addr)
    }
}

/// Settings that take tokens of these keys, a file's path or a URL.
pub fn taking(keys: String) -> Access {
    Access {
        jwt_keys: Some(keys),
        jwt_algorithms: vec!["ES256".into(), "RS256".into(), "EdDSA".into()],
        jwt_audience: Some(AUDIENCE.into()),
        jwt_issuer: Some(ISSUER.into()),
        jwt_leeway_seconds: 30,
        jwt_roles_claim: "roles".into(),
        reflection: true,
        ..Access::default()
    }
}

/// A server that takes tokens, with [`EVENT`] on sale.
pub struct Guarded {
    pub app: App,
    pub channel: Channel,
    pub signer: Signer,
    /// Where its key is.
    pub keys: PathBuf,
    _dir: tempfile::TempDir,
}

impl Guarded {
    pub async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub async fn with(change: impl FnOnce(&mut Access)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (signer, keys) = (Signer::new("first"), dir.path().join("keys.json"));
        std::fs::write(&keys, jwks(&[signer.jwk()])).unwrap();
        let mut access = taking(keys.display().to_string());
        change(&mut access);
        let stores = Stores::new().await;
        let doors = Doors { access, ..any_doors() };
        let app = App::start(&doors, &stores.settings()).await.unwrap();
        app.ready().await;
        let url = format!("http://{}", app.grpc_addr);
        let channel = Channel::from_shared(url).unwrap().connect().await.unwrap();
        let guarded = Self { app, channel, signer, keys, _dir: dir };
        let operator = guarded.signer.token("root", "operator");
        let request = bearing(&operator, small_event(EVENT));
        proto::catalog_service_client::CatalogServiceClient::new(guarded.channel.clone())
            .create_event(request)
            .await
            .unwrap();
        guarded
    }

    /// What a call of a method comes to.
    pub async fn call(
        &self,
        path: &str,
        token: Option<&str>,
        request: Raw,
    ) -> Result<Vec<u8>, Status> {
        call(self.channel.clone(), path, token, request).await
    }

    /// Whether a token is taken, for what every caller may.
    pub async fn takes(&self, token: &str) -> bool {
        takes(self.channel.clone(), token).await
    }
}

pub async fn takes(channel: Channel, token: &str) -> bool {
    let path = "/holdfast.v1.CatalogService/ListEvents";
    match call(channel, path, Some(token), Raw::default()).await {
        Ok(_) => true,
        Err(status) => {
            assert_eq!(status.code(), tonic::Code::Unauthenticated, "{status:?}");
            false
        }
    }
}

/// A call of any method; of a stream, its beginning.
pub async fn call(
    channel: Channel,
    path: &str,
    token: Option<&str>,
    request: Raw,
) -> Result<Vec<u8>, Status> {
    let mut client = Grpc::new(channel);
    client.ready().await.unwrap();
    let mut request = Request::new(futures_util::stream::iter([request]));
    if let Some(token) = token {
        let value: AsciiMetadataValue = format!("Bearer {token}").parse().unwrap();
        request.metadata_mut().insert("authorization", value);
    }
    let codec = tonic_prost::ProstCodec::<Raw, Raw>::default();
    let path: PathAndQuery = path.parse().unwrap();
    let mut answer = client.streaming(request, path, codec).await?.into_inner();
    // A stream that has begun need not tell anything yet.
    let first = tokio::time::timeout(std::time::Duration::from_millis(300), answer.message());
    Ok(first.await.unwrap_or(Ok(None))?.unwrap_or_default().0)
}

pub fn bearing<T>(token: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    let value: AsciiMetadataValue = format!("Bearer {token}").parse().unwrap();
    request.metadata_mut().insert("authorization", value);
    request
}

/// A message as its bytes.
#[derive(Debug, Clone, Default)]
pub struct Raw(pub Vec<u8>);

impl Message for Raw {
    fn encode_raw(&self, into: &mut impl BufMut) {
        into.put_slice(&self.0);
    }

    fn merge_field(
        &mut self,
        tag: u32,
        wire_type: WireType,
        from: &mut impl Buf,
        context: DecodeContext,
    ) -> Result<(), DecodeError> {
        skip_field(wire_type, tag, from, context)
    }

    fn encoded_len(&self) -> usize {
        self.0.len()
    }

    fn clear(&mut self) {
        self.0.clear();
    }
}
