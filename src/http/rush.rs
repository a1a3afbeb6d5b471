//! A sale that fills a house while one watches, where there is one: under `holdfast dev`.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, Request, State},
    http::{HeaderMap, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Page, Side};
use crate::{domain::EventId, limits::MAX_RUSH_BYTES};

/// Who makes such sales.
pub trait Rush: Send + Sync {
    /// Begins one; false where one is under way.
    ///
    /// # Errors
    /// Where it cannot be begun.
    fn begin(&self, event_id: &EventId) -> anyhow::Result<bool>;
    /// Whether one is under way, and what it said last.
    fn told(&self) -> (bool, Option<String>);
    /// Ends the one that is under way.
    fn end(&self);
}

pub(super) fn routes() -> Router<Side> {
    Router::new()
        .route("/demo/rush", get(told).post(begin).delete(end))
        .layer(DefaultBodyLimit::max(MAX_RUSH_BYTES))
        .layer(middleware::from_fn(of_this_site))
}

#[derive(Deserialize)]
struct Begin {
    event_id: String,
}

/// JSON alone: other sites' pages must ask first whether they may send it, and nobody
/// answers them.
async fn begin(State(page): State<Page>, Json(request): Json<Begin>) -> Response {
    let Some(rush) = page.rush else { return StatusCode::NOT_FOUND.into_response() };
    let Ok(event_id) = request.event_id.parse() else {
        return (StatusCode::BAD_REQUEST, "event_id names no event\n").into_response();
    };
    match rush.begin(&event_id) {
        Ok(true) => (StatusCode::ACCEPTED, Json(json!({"running": true}))).into_response(),
        Ok(false) => (StatusCode::CONFLICT, "a rush is under way\n").into_response(),
        Err(error) => {
            tracing::warn!(%error, "a rush cannot be begun");
            (StatusCode::INTERNAL_SERVER_ERROR, "it cannot be begun: see the log\n").into_response()
        }
    }
}

async fn told(State(page): State<Page>) -> Json<Value> {
    state(page.rush.as_ref())
}

async fn end(State(page): State<Page>) -> Json<Value> {
    if let Some(rush) = &page.rush {
        rush.end();
    }
    state(page.rush.as_ref())
}

fn state(rush: Option<&Arc<dyn Rush>>) -> Json<Value> {
    let (running, said) = rush.map(|rush| rush.told()).unwrap_or_default();
    Json(json!({"running": running, "said": said}))
}

/// Only pages of this very port, and who is no browser.
async fn of_this_site(request: Request, next: Next) -> Response {
    match is_of_this_site(request.headers()) {
        true => next.run(request).await,
        false => (StatusCode::FORBIDDEN, "asked by another site\n").into_response(),
    }
}

fn is_of_this_site(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or("null"));
    text(header::ORIGIN).is_none_or(|origin| {
        let host = origin.split_once("://").map(|(_, host)| host);
        host.zip(text(header::HOST)).is_some_and(|(host, ours)| host.eq_ignore_ascii_case(ours))
    })
}
