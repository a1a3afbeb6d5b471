//! What a script may do to the simulator, in JSON.

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    body::Bytes,
    extract::{Path, State as Part},
    http::StatusCode,
};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::book::{Book, Transaction, Wrong};

type Answer<T> = Result<Json<T>, (StatusCode, String)>;

/// What becomes of a transaction, and who hears of it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Deed {
    /// So much later.
    delay_ms: u64,
    /// Whether the merchant is told; where not, only a query tells.
    ipn: bool,
    /// Whether the answer waits for all of that.
    wait: bool,
    /// Why it failed; 24: the buyer cancelled.
    code: String,
}

impl Default for Deed {
    fn default() -> Self {
        Self { delay_ms: 0, ipn: true, wait: true, code: "24".to_owned() }
    }
}

/// `POST /control/transactions/{txn_ref}/pay`, also again.
pub async fn pay(
    Part(book): Part<Arc<Book>>,
    Path(txn_ref): Path<String>,
    body: Bytes,
) -> Answer<Transaction> {
    let deed = Deed { code: "00".to_owned(), ..read(&body)? };
    act(book, txn_ref, deed).await
}

/// `POST /control/transactions/{txn_ref}/fail`
pub async fn fail(
    Part(book): Part<Arc<Book>>,
    Path(txn_ref): Path<String>,
    body: Bytes,
) -> Answer<Transaction> {
    act(book, txn_ref, read(&body)?).await
}

async fn act(book: Arc<Book>, txn_ref: String, deed: Deed) -> Answer<Transaction> {
    let before = book.find(&txn_ref).await.ok_or_else(unknown)?;
    let wait = deed.wait;
    let done = tokio::spawn(async move {
        sleep(Duration::from_millis(deed.delay_ms)).await;
        let decided = book.decide(&txn_ref, &deed.code).await;
        if deed.ipn { book.notify(&txn_ref, Wrong::default()).await } else { decided }
    });
    match wait {
        true => done.await.ok().flatten().map(Json).ok_or_else(unknown),
        false => Ok(Json(before)),
    }
}

/// `POST /control/transactions/{txn_ref}/ipn`: tells the merchant, rightly or wrongly.
pub async fn ipn(
    Part(book): Part<Arc<Book>>,
    Path(txn_ref): Path<String>,
    body: Bytes,
) -> Answer<Transaction> {
    let wrong: Wrong = read(&body)?;
    book.notify(&txn_ref, wrong).await.map(Json).ok_or_else(unknown)
}

/// `POST /control/transactions/{txn_ref}/replay`: the last IPN once more, as it was.
pub async fn replay(
    Part(book): Part<Arc<Book>>,
    Path(txn_ref): Path<String>,
) -> Answer<Transaction> {
    let found = book.find(&txn_ref).await.ok_or_else(unknown)?;
    let last = found.ipns.last().ok_or((StatusCode::CONFLICT, "no IPN yet\n".to_owned()))?;
    book.send(&txn_ref, &last.query).await;
    book.find(&txn_ref).await.map(Json).ok_or_else(unknown)
}

/// `GET /control/transactions/{txn_ref}/return`: where the buyer's browser goes.
pub async fn return_url(Part(book): Part<Arc<Book>>, Path(txn_ref): Path<String>) -> Answer<Value> {
    let found = book.find(&txn_ref).await.ok_or_else(unknown)?;
    let query = book.told(&found, Wrong::default());
    Ok(Json(json!({ "url": format!("{}?{query}", found.return_url) })))
}

/// `GET /control/transactions`
pub async fn list(Part(book): Part<Arc<Book>>) -> Json<Vec<Transaction>> {
    Json(book.transactions().await.values().cloned().collect())
}

/// `GET /control/transactions/{txn_ref}`
pub async fn show(Part(book): Part<Arc<Book>>, Path(txn_ref): Path<String>) -> Answer<Transaction> {
    book.find(&txn_ref).await.map(Json).ok_or_else(unknown)
}

/// `GET /control/settings`
pub async fn settings(Part(book): Part<Arc<Book>>) -> Json<Value> {
    Json(json!(*book.settings().await))
}

/// `POST /control/settings`: those that are named change.
pub async fn set(Part(book): Part<Arc<Book>>, body: Bytes) -> Answer<Value> {
    let changes: serde_json::Map<String, Value> = read(&body)?;
    let mut settings = book.settings().await;
    let mut all = json!(*settings);
    for (name, value) in changes {
        all[name] = value;
    }
    *settings = serde_json::from_value(all.clone()).map_err(|error| malformed(&error))?;
    Ok(Json(all))
}

/// A body of nothing is an object of nothing.
fn read<T: for<'a> Deserialize<'a>>(body: &[u8]) -> Result<T, (StatusCode, String)> {
    serde_json::from_slice(if body.is_empty() { b"{}" } else { body })
        .map_err(|error| malformed(&error))
}

fn malformed(error: &serde_json::Error) -> (StatusCode, String) {
    (StatusCode::BAD_REQUEST, format!("{error}\n"))
}

fn unknown() -> (StatusCode, String) {
    (StatusCode::NOT_FOUND, "no such transaction: its page was not opened\n".to_owned())
}
