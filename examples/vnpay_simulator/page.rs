//! The page where a buyer pays.

use std::sync::Arc;

use axum::{
    extract::{RawQuery, State as Part},
    http::StatusCode,
    response::{Html, IntoResponse, Redirect, Response},
};

use crate::{
    book::{Book, State, Transaction, Wrong},
    sign::{decode_query, is_time, now, verified},
};

/// What may be paid at once, in hundredths of a dong.
const AMOUNTS: std::ops::Range<u64> = 500_000..100_000_000_000;

/// `GET`: the page. A mistake of the merchant's is HTTP 400, with VNPAY's code.
pub async fn show(Part(book): Part<Arc<Book>>, RawQuery(query): RawQuery) -> Response {
    if book.settings().await.down {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    match open(&book, &query.unwrap_or_default()).await {
        Ok(transaction) => Html(page(&transaction)).into_response(),
        Err((code, why)) => {
            let text = format!("<!doctype html><title>{code}</title><p>Error {code}: {why}\n");
            (StatusCode::BAD_REQUEST, Html(text)).into_response()
        }
    }
}

/// `POST`: what the buyer chose, by `txn_ref` and `choice` in the query: `pay`, `fail`
/// (they cancel: 24) or `leave`. The merchant is called before the browser goes back.
pub async fn choose(Part(book): Part<Arc<Book>>, RawQuery(query): RawQuery) -> Response {
    let parameters = decode_query(&query.unwrap_or_default()).unwrap_or_default();
    let get = |name| parameters.iter().find(|(n, _)| n == name).map_or("", |(_, value)| value);
    let (txn_ref, code) = match get("choice") {
        "pay" => (get("txn_ref"), "00"),
        "fail" => (get("txn_ref"), "24"),
        _ => return Html("<!doctype html><p>Left; nothing was paid.\n").into_response(),
    };
    let Some(decided) = book.decide(txn_ref, code).await else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let query = book.told(&decided, Wrong::default());
    // Once before the browser goes back, and then until the merchant has it.
    if !book.send(txn_ref, &query).await.is_done() {
        let (book, txn_ref) = (book.clone(), txn_ref.to_owned());
        tokio::spawn(async move { book.notify(&txn_ref, Wrong::default()).await });
    }
    Redirect::to(&format!("{}?{query}", decided.return_url)).into_response()
}

/// Checks what the merchant signed, and remembers it.
async fn open(book: &Book, query: &str) -> Result<Transaction, (&'static str, String)> {
    let flags = &book.flags;
    let parameters = verified(&flags.hash_secret, query)
        .ok_or_else(|| ("70", "the signature is wrong".to_owned()))?;
    let get = |name| parameters.iter().find(|(n, _)| n == name).map_or("", |(_, value)| value);
    let malformed = |name: &str| ("03", format!("{name} is missing or malformed"));
    for (name, is_good) in [
        ("vnp_Version", get("vnp_Version") == "2.1.0"),
        ("vnp_Command", get("vnp_Command") == "pay"),
        ("vnp_TmnCode", get("vnp_TmnCode") == flags.tmn_code),
        ("vnp_Amount", get("vnp_Amount").parse().is_ok_and(|n: u64| AMOUNTS.contains(&n))),
        ("vnp_CurrCode", get("vnp_CurrCode") == "VND"),
        ("vnp_TxnRef", is_text(get("vnp_TxnRef"), 100, "")),
        ("vnp_OrderInfo", is_text(get("vnp_OrderInfo"), 255, " :.-")),
        ("vnp_OrderType", is_text(get("vnp_OrderType"), 100, "")),
        ("vnp_Locale", ["vn", "en"].contains(&get("vnp_Locale"))),
        ("vnp_ReturnUrl", get("vnp_ReturnUrl").starts_with("http")),
        ("vnp_IpAddr", get("vnp_IpAddr").parse::<std::net::IpAddr>().is_ok()),
        ("vnp_CreateDate", is_time(get("vnp_CreateDate"))),
        ("vnp_ExpireDate", is_time(get("vnp_ExpireDate"))),
    ] {
        if !is_good {
            return Err(malformed(name));
        }
    }
    if get("vnp_ExpireDate") <= now().as_str() {
        return Err(("15", "it is too late to pay".to_owned()));
    }
    let new = Transaction {
        txn_ref: get("vnp_TxnRef").to_owned(),
        state: State::Open,
        amount: get("vnp_Amount").parse().map_err(|_| malformed("vnp_Amount"))?,
        order_info: get("vnp_OrderInfo").to_owned(),
        return_url: get("vnp_ReturnUrl").to_owned(),
        create_date: get("vnp_CreateDate").to_owned(),
        expire_date: get("vnp_ExpireDate").to_owned(),
        request: query.to_owned(),
        response_code: String::new(),
        transaction_no: "0".to_owned(),
        pay_date: String::new(),
        ipns: Vec::new(),
        asked: Vec::new(),
        refunds: Vec::new(),
    };
    let mut transactions = book.transactions().await;
    let known = transactions.entry(new.txn_ref.clone()).or_insert_with(|| new.clone());
    // The same page may be loaded again, until something was paid by it.
    match known.state == State::Open && known.request == new.request {
        true => Ok(known.clone()),
        false => Err(("01", "the transaction exists".to_owned())),
    }
}

/// Letters, digits, and some others.
fn is_text(text: &str, max_chars: usize, others: &str) -> bool {
    (1..=max_chars).contains(&text.len())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || others.contains(c))
}

fn page(of: &Transaction) -> String {
    let Transaction { txn_ref, amount, order_info, .. } = of;
    let button = |choice: &str, text: &str| {
        format!(
            "<form method=post action='/paymentv2/choice?txn_ref={txn_ref}&amp;choice={choice}'>\
             <button id={choice}>{text}</button></form>\n"
        )
    };
    format!(
        "<!doctype html><meta charset=utf-8><title>VNPAY simulator</title>\n\
         <h1>VNPAY, simulated: no money moves</h1>\n<p>{order_info}<p><b>{}.{:02} VND</b>\n{}{}{}",
        amount / 100,
        amount % 100,
        button("pay", "Pay"),
        button("fail", "Cancel"),
        button("leave", "Leave without a word")
    )
}
