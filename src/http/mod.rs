//! Room 1, the side door: probes, metrics, and payment providers' callbacks over
//! plain HTTP.

#[cfg(feature = "failpoints")]
mod failpoints;
mod payments;

use std::{io, sync::Arc};

use axum::{Json, Router, extract::State, http::StatusCode, routing::get};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{flow::Flows, health::Health, payments::Providers, telemetry};

/// What the side door leads to.
#[derive(Clone)]
pub struct Side {
    pub health: Arc<Health>,
    pub flows: Arc<Flows>,
    pub providers: Arc<Providers>,
}

/// Serves until `stop`.
///
/// # Errors
/// Where the listener fails.
pub async fn serve(listener: TcpListener, side: Side, stop: CancellationToken) -> io::Result<()> {
    let router = Router::new()
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(|| async { telemetry::metrics().render() }))
        .merge(payments::routes());
    #[cfg(feature = "failpoints")]
    let router = router.merge(failpoints::routes());
    let router = router.with_state(side);
    axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await
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
