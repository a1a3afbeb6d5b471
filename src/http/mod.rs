//! Room 1, the side door: probes, metrics, payment providers' callbacks over plain HTTP,
//! and the page for browsers.

#[cfg(feature = "failpoints")]
mod failpoints;
mod page;
mod payments;
mod rush;
mod server;

pub use page::GrpcUrl;
pub use rush::Rush;

use std::sync::Arc;

use axum::{
    Extension, Json, Router,
    extract::{FromRef, State},
    http::{HeaderMap, HeaderValue, StatusCode, header::AUTHORIZATION},
    middleware::map_response,
    routing::get,
};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{
    access::{Access, No, Peer},
    config::Limits,
    connections::Connections,
    domain::{Refusal, Role},
    flow::Flows,
    health::Health,
    payments::Providers,
    telemetry,
    tls::Entrance,
};

/// What the side door leads to.
#[derive(Clone)]
pub struct Side {
    pub access: Arc<Access>,
    pub health: Arc<Health>,
    pub flows: Arc<Flows>,
    pub providers: Arc<Providers>,
    pub page: Page,
}

/// What the page is told of this server.
#[derive(Clone)]
pub struct Page {
    pub grpc: GrpcUrl,
    /// Who makes sales to watch: under `holdfast dev` alone.
    pub rush: Option<Arc<dyn Rush>>,
}

impl FromRef<Side> for Page {
    fn from_ref(side: &Side) -> Self {
        side.page.clone()
    }
}

/// Serves until `stop`.
pub fn serve(
    listener: TcpListener,
    entrance: Entrance,
    side: Side,
    limits: &Limits,
    stop: CancellationToken,
) -> impl Future<Output = ()> + use<> {
    let router = Router::new()
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .merge(page::routes())
        .merge(payments::routes());
    let router = match side.page.rush {
        Some(_) => router.merge(rush::routes()),
        None => router,
    };
    #[cfg(feature = "failpoints")]
    let router = router.merge(failpoints::routes());
    let router = router.layer(map_response(page::with_care));
    let most = limits.max_http_connections;
    let places = Connections::new("http", most, limits.per_address(most));
    server::serve(listener, entrance, router.with_state(side), places, stop)
}

/// For whoever may look, where callers are told apart.
async fn metrics(
    State(side): State<Side>,
    Extension(peer): Extension<Arc<Peer>>,
    headers: HeaderMap,
) -> (StatusCode, String) {
    let authorization = headers.get(AUTHORIZATION).map(HeaderValue::as_bytes);
    let code = match side.access.may("/metrics", Role::Viewer, authorization, &peer).await {
        Ok(()) => return (StatusCode::OK, telemetry::metrics().render()),
        Err(No::Refused(Refusal::RoleRequired { .. })) => StatusCode::FORBIDDEN,
        Err(No::KeysAway) => StatusCode::SERVICE_UNAVAILABLE,
        Err(No::Refused(_) | No::KeyUnknown) => StatusCode::UNAUTHORIZED,
    };
    (code, String::new())
}

/// 200 where calls should come here, 503 where not, and why.
async fn ready(State(side): State<Side>) -> (StatusCode, Json<Value>) {
    let report = side.health.report();
    let text = |part: &Result<(), String>| match part {
        Ok(()) => "ok".to_owned(),
        Err(why) => why.clone(),
    };
    let code = match report.is_ready() {
        true => StatusCode::OK,
        false => StatusCode::SERVICE_UNAVAILABLE,
    };
    let body = json!({
        "ready": report.is_ready(),
        "redis": text(&report.redis),
        "postgres": text(&report.postgres),
        "jobs": text(&report.jobs),
        "draining": report.draining,
    });
    (code, Json(body))
}
