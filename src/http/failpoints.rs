//! How the chaos harness arms failpoints: `PUT /failpoints/NAME` with
//! `TIMES*ACTION`, and `GET /failpoints`.

use axum::{Json, Router, extract::Path, http::StatusCode, routing::get};
use serde_json::{Value, json};

use crate::failpoint;

pub(super) fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new()
        .route("/failpoints", get(list))
        .route("/failpoints/{name}", axum::routing::put(arm))
}

async fn list() -> Json<Value> {
    let states = failpoint::states().into_iter().map(|(name, state)| {
        (name.to_owned(), json!({"armed": state.armed.is_some(), "fired": state.fired}))
    });
    Json(Value::Object(states.collect()))
}

async fn arm(Path(name): Path<String>, body: String) -> Result<(), (StatusCode, String)> {
    let bad = |why: &str| (StatusCode::BAD_REQUEST, format!("{why}\n"));
    let (times, action) = body.trim().split_once('*').ok_or_else(|| bad("must be TIMES*ACTION"))?;
    let times = times.parse().map_err(|_| bad("TIMES must be a number"))?;
    let action = action.parse().map_err(bad)?;
    match failpoint::arm(&name, times, action) {
        true => Ok(()),
        false => Err((StatusCode::NOT_FOUND, "no such failpoint\n".into())),
    }
}
