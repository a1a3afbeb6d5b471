//! Room 1, the side door: probes, metrics, and payment providers' callbacks over
//! plain HTTP.

#[cfg(feature = "failpoints")]
mod failpoints;
mod payments;
mod server;

use std::sync::Arc;

use axum::{
    Extension, Json, Router,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header::AUTHORIZATION},
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
        .merge(payments::routes());
    #[cfg(feature = "failpoints")]
    let router = router.merge(failpoints::routes());
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
