//! A server that webhooks call.

use std::{
    collections::{HashMap, VecDeque},
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, Uri},
};
use serde_json::Value;
use tokio::net::TcpListener;

/// A call as it came.
#[derive(Debug, Clone)]
pub struct Call {
    pub headers: HashMap<String, String>,
    pub body: String,
}

impl Call {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    pub fn sequence(&self) -> i64 {
        self.json()["sequence"].as_i64().unwrap()
    }
}

/// One path of it.
#[derive(Debug, Default)]
struct Path {
    calls: Vec<Call>,
    answers: VecDeque<u16>,
}

type Paths = Arc<Mutex<HashMap<String, Path>>>;

/// Answers 200 at every path, where it is not told otherwise; never at `/hang`.
pub struct HookServer {
    addr: SocketAddr,
    paths: Paths,
}

impl HookServer {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let paths = Paths::default();
        let router = Router::new().fallback(take).with_state(paths.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { addr, paths }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.addr)
    }

    /// What the next calls of a path are answered.
    pub fn answer(&self, path: &str, codes: &[u16]) {
        let mut paths = self.paths.lock().unwrap();
        paths.entry(path.to_owned()).or_default().answers.extend(codes);
    }

    /// The calls of a path so far.
    pub fn calls(&self, path: &str) -> Vec<Call> {
        self.paths.lock().unwrap().entry(path.to_owned()).or_default().calls.clone()
    }
}

async fn take(State(paths): State<Paths>, uri: Uri, headers: HeaderMap, body: Bytes) -> StatusCode {
    let text = |value: &axum::http::HeaderValue| value.to_str().unwrap().to_owned();
    let headers = headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect();
    let call = Call { headers, body: String::from_utf8(body.to_vec()).unwrap() };
    let code = {
        let mut paths = paths.lock().unwrap();
        let path = paths.entry(uri.path().to_owned()).or_default();
        path.calls.push(call);
        path.answers.pop_front().unwrap_or(200)
    };
    if uri.path() == "/hang" {
        std::future::pending::<()>().await;
    }
    StatusCode::from_u16(code).unwrap()
}
